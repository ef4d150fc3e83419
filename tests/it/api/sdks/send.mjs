// Sends events as the SDK's own examples do.

import { CloudEvent, HTTP } from 'cloudevents'

async function send({ headers, body }) {
  const answer = await fetch(process.env.EVENTS, { method: 'POST', headers, body })
  if (!answer.ok) throw new Error(await answer.text())
}

const event = (data) =>
  new CloudEvent({ type: 'sent', source: '/sdk', datacontenttype: 'application/json', data })

for (const data of ['hi', { a: [1, 'é'] }, [1, 2]]) await send(HTTP.binary(event(data)))
await send(HTTP.structured(event('hi')))
