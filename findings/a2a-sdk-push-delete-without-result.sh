#!/usr/bin/env bash
# a2a-sdk 0.3.26 (PyPI), the official Python SDK of Agent2Agent, answers `tasks/pushNotificationConfig/delete` with an
# object that has neither `result` nor `error`: the result is null, and nulls are left out. JSON-RPC 2.0 asks for one of
# the two, so a client that checks answers takes the success for a malformed one.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'a2a-sdk[http-server]==0.3.26' httpx==0.28.1
cat > ask.py <<'PY'
import asyncio

import httpx
from a2a.server.agent_execution import AgentExecutor
from a2a.server.apps import A2AStarletteApplication
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryPushNotificationConfigStore, InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard


class Agent(AgentExecutor):
    async def execute(self, context, queue):
        updater = TaskUpdater(queue, context.task_id, context.context_id)
        await updater.submit()
        await updater.complete()

    async def cancel(self, context, queue):
        pass


card = AgentCard(
    name="agent", description="finishes at once", version="1", url="http://agent/", skills=[],
    capabilities=AgentCapabilities(push_notifications=True),
    default_input_modes=["text/plain"], default_output_modes=["text/plain"],
)
handler = DefaultRequestHandler(
    agent_executor=Agent(), task_store=InMemoryTaskStore(), push_config_store=InMemoryPushNotificationConfigStore()
)
app = A2AStarletteApplication(agent_card=card, http_handler=handler).build()


async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://agent") as client:

        async def call(method, params):
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            return (await client.post("/", json=body)).json()

        message = {"role": "user", "messageId": "m1", "kind": "message", "parts": [{"kind": "text", "text": "go"}]}
        task = (await call("message/send", {"message": message}))["result"]["id"]
        config = {"id": "c1", "url": "http://127.0.0.1:9/"}
        given = {"taskId": task, "pushNotificationConfig": config}
        print("set", sorted(await call("tasks/pushNotificationConfig/set", given)))
        named = {"id": task, "pushNotificationConfigId": "c1"}
        print("delete", sorted(await call("tasks/pushNotificationConfig/delete", named)))
        print("list", (await call("tasks/pushNotificationConfig/list", {"id": task}))["result"])


asyncio.run(main())
PY
venv/bin/python ask.py 2>/dev/null | tee seen
diff - seen <<'EXPECTED'
set ['id', 'jsonrpc', 'result']
delete ['id', 'jsonrpc']
list []
EXPECTED
