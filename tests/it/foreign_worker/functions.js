// What functions.py beside this has, in JavaScript.

import { appendFileSync, existsSync } from 'node:fs'

import { decode } from '@msgpack/msgpack'

import { Problem, Worker, fromEnvironment } from './worker.js'

const folder = process.env.TEST_FOLDER
const mode = process.env.TEST_MODE
const note = (line) => appendFileSync(`${folder}/notes`, `${line}\n`)
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

class Foreign extends Worker {
  async perform(said, signal) {
    if (said.function !== 'raw') return super.perform(said, signal)
    const given = decode(said.arguments)
    if (given.unpacked !== undefined) return { result: { Ok: given.unpacked } }
    return Buffer.from(given.hex, 'hex')
  }

  take(call) {
    if (mode === 'hands back') return this.say({ released: [call.key] })
    if (mode === 'takes nothing') return undefined
    return super.take(call)
  }
}

const functions = {
  async add(given) {
    note(`add ${given.id}`)
    return { id: given.id, sum: given.all.reduce((a, b) => a + b) }
  },

  async ugly(given) {
    switch (given.kind) {
      case 'half a character thrown': throw new Error('oh \ud800')
      case 'half a character': return { a: ['\udc80'] }
      case 'no number': return [NaN]
      case 'too many digits': return 10n ** 2000n
      case 'a status that is a text': throw new Problem('https://example.com/a', '500')
      case 'a status with a fraction': throw new Problem('https://example.com/a', 422.5)
      case 'a detail that is a map': throw new Problem('https://example.com/a', 500, { toString: () => 'oh detail' })
      case 'cancelled from within': throw new DOMException('cancelled', 'AbortError')
      case 'ends the process': throw undefined
      case 'an error without a text': throw { toString: null }
      case 'deeper than deep': {
        let value = []
        for (let level = 0; level < given.levels; level += 1) value = [value]
        return value
      }
      default: throw new Error(given.kind)
    }
  },

  async stubborn(given, call) {
    note(`begin ${given.id}`)
    call.signal.addEventListener('abort', () => note(`cancelled ${given.id}`))
    while (!existsSync(`${folder}/open`)) await sleep(10)
    return given.id
  },

  async echo(given) {
    return given
  },

  raw: null,
}

const worker = new Foreign(functions, { drain: 5_000, ...fromEnvironment() })
worker.identity = process.env.TEST_IDENTITY ?? worker.identity
await worker.run()
