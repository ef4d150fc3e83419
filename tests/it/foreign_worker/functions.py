"""Functions as others write them, and workers that do what they should not."""

import asyncio
import os
import pathlib

import msgpack
from worker import Problem, Worker, from_environment

FOLDER = pathlib.Path(os.environ["TEST_FOLDER"])
MODE = os.environ.get("TEST_MODE", "")


def note(line):
    with open(FOLDER / "notes", "a") as notes:
        print(line, file=notes)


class Foreign(Worker):
    """One that packs whatever it is told to, or takes nothing."""

    async def perform(self, said):
        if said["function"] != "raw":
            return await super().perform(said)
        arguments = msgpack.unpackb(said["arguments"])
        if "bytes" in arguments:
            return msgpack.packb({"result": {"Ok": "x" * arguments["bytes"]}})
        if "unpacked" in arguments:
            return {"result": {"Ok": arguments["unpacked"]}}
        return bytes.fromhex(arguments["hex"])

    async def take(self, call):
        if MODE == "hands back":
            return await self.say(released=[call["key"]])
        if MODE == "takes nothing":
            return
        await super().take(call)


async def add(arguments, call):
    note(f"add {arguments['id']}")
    return {"id": arguments["id"], "sum": sum(arguments["all"])}


async def ugly(arguments, call):
    kind = arguments["kind"]
    if kind == "half a character thrown":
        raise RuntimeError("oh \ud800")
    if kind == "half a character":
        return {"a": ["\udc80"]}
    if kind == "no number":
        return [float("nan")]
    if kind == "too many digits":
        return 10**2000
    if kind == "a status that is a text":
        raise Problem("https://example.com/a", "500")
    if kind == "a status with a fraction":
        raise Problem("https://example.com/a", 422.5)
    if kind == "a detail that is a map":
        raise Problem("https://example.com/a", 500, detail={"oh": "detail"})
    if kind == "cancelled from within":
        raise asyncio.CancelledError
    if kind == "ends the process":
        raise SystemExit("the process")
    if kind == "an error without a text":
        class Mute(Exception):
            def __str__(self):
                raise ValueError
        raise Mute
    if kind == "deeper than deep":
        value = []
        for _ in range(arguments["levels"]):
            value = [value]
        return value
    raise KeyError(kind)


async def stubborn(arguments, call):
    """Ends once the file `open` is there, whoever wants it to end before."""
    note(f"begin {arguments['id']}")
    while not (FOLDER / "open").exists():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            note(f"cancelled {arguments['id']}")
    return arguments["id"]


async def echo(arguments, call):
    return arguments


functions = {"add": add, "ugly": ugly, "stubborn": stubborn, "echo": echo, "raw": None}
worker = Foreign(functions, drain=5.0, **from_environment())
worker.identity = os.environ.get("TEST_IDENTITY", worker.identity)
asyncio.run(worker.run())
