"""An agent of the official SDK, of either major version: server.py LOG PORT.

Its card is at the usual place; it is spoken to at /rpc. LOG gets a line for what it is told and how
it goes on. A message begins with the word for what it does."""

import asyncio
import os
import sys
from contextvars import ContextVar

import uvicorn
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryPushNotificationConfigStore, InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentSkill, Message, Part, Task, TaskStatus
from starlette.applications import Starlette

try:
    from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
    from a2a.types import AgentInterface, Role, TaskState

    NEW = True
    AGENT, SUBMITTED = Role.ROLE_AGENT, TaskState.TASK_STATE_SUBMITTED
except ImportError:
    from a2a.server.apps import A2AStarletteApplication
    from a2a.server.events import InMemoryQueueManager
    from a2a.types import Role, TaskState, TextPart

    NEW = False
    AGENT, SUBMITTED = Role.agent, TaskState.submitted

FOLLOWS = ContextVar("follows", default=False)
log, port = sys.argv[1], int(sys.argv[2])
url = f"http://127.0.0.1:{port}/rpc"


def note(text):
    with open(log, "a") as file:
        file.write(text + "\n")


def text_part(text):
    return Part(text=text) if NEW else Part(root=TextPart(text=text))


def text_of(part):
    return getattr(part if NEW else part.root, "text", "")


class Agent(AgentExecutor):
    async def execute(self, context, queue):
        message = context.message
        word, _, rest = text_of(message.parts[0]).partition(" ")
        note(f"{word} {rest} began {message.message_id}")
        if word == "say":
            parts = [text_part(rest), *message.parts[1:]]
            answer = Message(message_id="of-the-agent", role=AGENT, parts=parts)
            await queue.enqueue_event(answer)
            return
        updater = TaskUpdater(queue, context.task_id, context.context_id)
        if context.current_task is None:
            task = Task(
                id=context.task_id,
                context_id=context.context_id,
                status=TaskStatus(state=SUBMITTED),
                history=[message],
            )
            await queue.enqueue_event(task)
        await updater.start_work()
        if word == "held":
            # Goes on when there is a file beside the log.
            while not os.path.exists(log + ".go"):
                await asyncio.sleep(0.02)
        if word == "ask":
            await updater.requires_input(updater.new_agent_message([text_part("for whom?")]))
            return
        if word == "break":
            raise ValueError("a text of its own")
        if word == "fail":
            await updater.failed(updater.new_agent_message([text_part(rest)]))
            return
        await updater.add_artifact([text_part(f"{rest} is done")], name="report")
        await updater.complete()
        note(f"{word} {rest} ended")

    async def cancel(self, context, queue):
        note("cancelled")
        await TaskUpdater(queue, context.task_id, context.context_id).cancel()


class Handler(DefaultRequestHandler):
    """Notes who looks for tasks, and who follows one from now on."""

    async def on_list_tasks(self, params, context):
        note("looked for")
        return await super().on_list_tasks(params, context)

    async def on_resubscribe_to_task(self, params, context):
        FOLLOWS.set(True)
        async for event in super().on_resubscribe_to_task(params, context):
            yield event

    async def on_subscribe_to_task(self, params, context):
        is_first = True
        async for event in super().on_subscribe_to_task(params, context):
            if is_first:
                note("followed")
            is_first = False
            yield event


can = {"streaming": True, "push_notifications": True}
if NEW:
    can["extended_agent_card"] = True
    where = {
        "supported_interfaces": [
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")
        ]
    }
else:
    where = {"url": url, "supports_authenticated_extended_card": True}
skill = AgentSkill(id="report", name="report", description="writes reports", tags=["report"])
card = AgentCard(
    name="tests",
    description="an agent for tests",
    version="1",
    capabilities=AgentCapabilities(**can),
    default_input_modes=["text"],
    default_output_modes=["text"],
    skills=[skill],
    **where,
)
if NEW:
    more = {"agent_card": card, "extended_agent_card": card}
else:

    class Queues(InMemoryQueueManager):
        async def tap(self, task_id):
            queue = await super().tap(task_id)
            if FOLLOWS.get():
                note("followed")
            return queue

    more = {"queue_manager": Queues()}
handler = Handler(
    agent_executor=Agent(),
    task_store=InMemoryTaskStore(),
    push_config_store=InMemoryPushNotificationConfigStore(),
    **more,
)
if NEW:
    routes = [*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/rpc")]
    app = Starlette(routes=routes)
else:
    made = A2AStarletteApplication(card, handler, extended_agent_card=card)
    app = made.build(rpc_url="/rpc")




uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
