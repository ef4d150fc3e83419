"""The functions that the tests call, served by the example worker."""

import os
import pathlib
import time

import worker
from worker import Problem, Worker

FOLDER = pathlib.Path(os.environ["TEST_FOLDER"])
ask = worker.ask


def ask_where_it_is_now(path, body):
    """A server of the tests has another address after each start."""
    worker.URL = (FOLDER / "url").read_text()
    return ask(path, body)


worker.ask = ask_where_it_is_now


def note(line):
    with open(FOLDER / "notes", "a") as notes:
        print(line, file=notes)


def describe(arguments, call):
    names = ["workflow", "reference", "idempotencyKey", "function"]
    return {"arguments": arguments, **{name: call[name] for name in names}}


def refuse(arguments, call):
    raise Problem("https://example.com/errors/stock", 409, "none left", title="Sold Out")


def fail(arguments, call):
    return 1 / 0


def hold(arguments, call):
    note(f"begin {arguments['id']} {os.getpid()} {call['idempotencyKey']}")
    while not (FOLDER / f"open-{arguments['id']}").exists():
        time.sleep(0.02)
    note(f"end {arguments['id']} {os.getpid()}")
    return {"held": arguments["id"]}


def ugly(arguments, call):
    """Values that a server may not be able to read, or that are many bytes."""
    deep = []
    for _ in range(400):
        deep = [deep]
    return {
        "surrogate": "\ud800",
        "deep": deep,
        "digits": 10**1500,
        "large": "x" * (9 << 20),
        "many": "x" * (3 << 20),
        "big": -(10**29) - 1,
    }[arguments["which"]]


Worker({"describe": describe, "refuse": refuse, "fail": fail, "hold": hold, "ugly": ugly}).run()
