"""The functions that the tests call, served by the example worker."""

import asyncio
import os
import pathlib

from worker import Problem, Worker, from_environment

FOLDER = pathlib.Path(os.environ["TEST_FOLDER"])


def note(line):
    with open(FOLDER / "notes", "a") as notes:
        print(line, file=notes)


async def describe(arguments, call):
    return {
        "arguments": arguments,
        "key": call.idempotency_key,
        "workflow": call.workflow,
        "reference": call.reference,
        "hasTime": call.remaining is not None and 0 < call.remaining <= 50,
    }


async def count(arguments, call):
    """Sums up, so that numbers have to arrive as numbers."""
    return {"sum": sum(arguments["all"]), "text": "é" * 3, "none": None, "half": 0.5}


async def echo(arguments, call):
    return arguments


async def refuse(arguments, call):
    raise Problem("https://example.com/errors/stock", 409, "none left", title="Sold Out")


async def fail(arguments, call):
    raise RuntimeError("the printer is on fire")


async def bytes_of(arguments, call):
    return b"no JSON"


async def deep(arguments, call):
    value = []
    for _ in range(300):
        value = [value]
    return value


async def hold(arguments, call):
    """Ends once the file `open` is there."""
    note(f"begin {arguments['id']} {call.idempotency_key}")
    try:
        while not (FOLDER / "open").exists():
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        note(f"cancelled {arguments['id']}")
        raise
    return {"held": arguments["id"]}


functions = {
    "describe": describe, "count": count, "echo": echo, "refuse": refuse, "fail": fail,
    "bytes": bytes_of, "deep": deep, "hold": hold,
}
asyncio.run(Worker(functions, drain=60.0, **from_environment()).run())
