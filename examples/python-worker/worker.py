#!/usr/bin/env python3
"""A Windlass worker in Python: offers functions that workflows call by name.

Copy this file and replace the functions at its end. It speaks the protocol of proto/PROTOCOL.md.

    pip install nats-py msgpack pynacl          # Python 3.11 or newer
    WINDLASS_WORKER_KEY=wk1_... python worker.py
"""

import asyncio
import base64
import contextlib
import dataclasses
import json
import os
import random
import secrets
import signal
import socket
import sys
import time

import msgpack
import nats
from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey

FRAME_BYTES = 512 << 10  # the largest frame, less where the NATS server allows less
RESULT_BYTES, RESULT_DEPTH = 16 << 20, 256  # the largest result, and how deep it may nest
AGAIN, LONGEST = 2.0, 8.0  # seconds until a report that was not answered is repeated: first, most
LAST_WORDS = 5.0  # seconds a worker that leaves waits for answers to its last reports
RUNTIME = "https://serverlessworkflow.io/spec/1.0.0/errors/runtime"
TIMEOUT = "https://serverlessworkflow.io/spec/1.0.0/errors/timeout"


class Problem(Exception):
    """Raise it to end the task with an error of this type; definitions catch it with `try`."""

    def __init__(self, type, status, detail=None, title=None):
        super().__init__(detail or title or type)
        if not isinstance(status, int) or not 100 <= status <= 599:
            raise ValueError(f"{status!r} is no status: a whole number from 100 to 599 is")
        self.fields = {"type": text_of(type), "status": int(status)}
        texts = {"title": title, "detail": detail}
        self.fields |= {name: text_of(it) for name, it in texts.items() if it is not None}


@dataclasses.dataclass
class Call:
    """What a function learns beside its arguments."""

    function: str
    idempotency_key: str  # the same for every attempt of this visit of the task
    workflow: dict  # namespace, name, version
    reference: str  # JSON pointer of the task
    remaining: float | None  # seconds the task has from now; the call is cancelled after them
    traceparent: str | None


@dataclasses.dataclass
class Held:
    """A call this worker has not had the last word on."""

    key: dict
    token: bytes
    task: asyncio.Task | None = None  # what performs it
    watch: asyncio.Task | None = None  # what waits for that
    cancelled: bool = False  # held until it has ended all the same: it takes a place
    outcome: bytes | None = None  # once it is there, it is reported until that is settled
    again_at: float = 0.0
    wait: float = AGAIN


class Session:
    """One registration: numbers, encrypts and cuts what is said in it."""

    def __init__(self, box, welcome):
        self.box, self.id = box, welcome["session"]
        self.beat_every, self.lease = welcome["beat_ms"] / 1000, welcome["lease_ms"] / 1000
        self.sent, self.seen, self.partial, self.beats = 0, 0, None, 0
        self.heard, self.gone = time.monotonic(), False

    def seal(self, message, size):
        room = size - 8 - 16 - 1
        parts = [message[at : at + room] for at in range(0, len(message), room)]
        for number, part in enumerate(parts):
            flags = (1 if number == 0 else 0) | (2 if number == len(parts) - 1 else 0)
            self.sent += 1
            counter = self.sent.to_bytes(8, "big")
            nonce = self.id[:15] + b"\x02" + counter
            yield counter + self.box.encrypt(bytes([flags]) + part, nonce).ciphertext

    def open(self, frame):
        """The message that this frame completes, if it completes one."""
        counter = int.from_bytes(frame[:8], "big")
        if counter <= self.seen:
            return None
        plain = self.box.decrypt(frame[8:], self.id[:15] + b"\x01" + frame[:8])
        gap, self.seen = counter != self.seen + 1, counter
        if plain[0] & 1:
            self.partial = bytearray()
        elif gap:
            self.partial = None
        if self.partial is None:
            return None
        self.partial += plain[1:]
        if not plain[0] & 2:
            return None
        message, self.partial = bytes(self.partial), None
        return message


class Worker:
    """Serves the functions of a dict: name to `async def function(arguments, call)`."""

    def __init__(self, functions, key, url="nats://127.0.0.1:4222", bus="windlass", pool=None,
                 name=None, concurrency=64, drain=30.0, **nats_options):
        text = key.strip().removeprefix("wk1_")
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        self.coordinator, self.enrolment = PublicKey(raw[:32]), raw[32:64]
        self.pool = pool or raw[64:].decode() or "default"
        self.identity = f"{name or socket.gethostname()}-{secrets.token_hex(4)}"
        self.functions, self.bus, self.concurrency, self.drain = functions, bus, concurrency, drain
        self.nats_options = {"servers": url.split(","), "name": self.identity, **nats_options}
        self.held, self.session = {}, None  # calls by name_of(key), over all sessions
        self.leave_by, self.gave_up = None, False  # when to give up; none until told to stop
        self.saying, self.wake = asyncio.Lock(), asyncio.Event()

    async def run(self):
        """Works until SIGTERM or SIGINT, then drains. Raises when the coordinator refuses it."""
        self.nats = await nats.connect(
            max_reconnect_attempts=-1, reconnected_cb=self.reconnected, **self.nats_options)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        while await self.join():
            tell(f"joined as {self.session.id.hex()}")
            if await self.attend():
                break
            tell("the session is gone; joining again")
        await self.nats.close()

    def stop(self):
        """Takes nothing more, finishes what runs."""
        if self.leave_by is None:
            tell("stopping; finishing what runs")
            self.leave_by = time.monotonic() + self.drain
            self.wake.set()

    async def reconnected(self):
        if self.session:
            self.session.heard = time.monotonic()
        self.wake.set()

    async def join(self):
        """Registers, however long it takes; false when it is told to stop and holds nothing."""
        pause = 0.05
        while self.leave_by is None or (self.held and time.monotonic() < self.leave_by):
            ours = PrivateKey.generate()
            box = Box(ours, self.coordinator)
            introduction = {
                "enrolment": self.enrolment, "pool": self.pool, "identity": self.identity,
                "version": "python-1", "concurrency": self.concurrency, "evaluates": False,
                "capabilities": [f"function:{name}" for name in self.functions],
            }
            sealed = box.encrypt(msgpack.packb(introduction))
            hello = {"protocols": [2], "key": bytes(ours.public_key),
                     "nonce": sealed.nonce, "sealed": sealed.ciphertext}
            try:
                subject = f"{self.bus}.coordinator.hello"
                answer = await self.nats.request(subject, msgpack.packb(hello), timeout=2)
                answer = msgpack.unpackb(answer.data)
                welcome = msgpack.unpackb(box.decrypt(answer["sealed"], answer["nonce"]))
                if welcome.get("refused"):
                    raise SystemExit(f"the coordinator refuses this worker: {welcome['refused']}")
                self.session = Session(box, welcome)
                return True
            except (nats.errors.Error, CryptoError, ValueError, OSError):
                # Nobody there, or not the right one: ask again, not all workers at once.
                await asyncio.sleep(pause * random.uniform(0.5, 1))
                pause = min(pause * 2, 2.0)
        return False

    async def attend(self):
        """Stays in the session; true when the worker has left, false when the session is gone."""
        session = self.session
        inbox = await self.nats.subscribe(f"{self.bus}.worker.{session.id.hex()}", cb=self.hear)
        for held in self.held.values():
            held.again_at, held.wait = 0.0, AGAIN
        while True:
            now = time.monotonic()
            if session.gone or (self.nats.is_connected and now - session.heard > session.lease):
                await inbox.unsubscribe()
                return False
            if self.leave_by is not None:
                if now >= self.leave_by and not self.gave_up:
                    self.give_up()
                if not self.held or now >= self.leave_by:
                    with contextlib.suppress(nats.errors.Error):
                        await self.beat(goodbye=True)
                        await self.nats.flush()
                    return True
            await self.beat()
            self.wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), session.beat_every)

    async def beat(self, goodbye=False):
        """A sign of life, with everything held; reports that are due go along."""
        leaving = self.leave_by is not None
        self.session.beats += 1
        now = time.monotonic()
        for held in list(self.held.values()):
            if held.outcome is not None and now >= held.again_at:
                await self.report(held)
        held = [{"key": it.key, "token": it.token} for it in self.held.values()]
        await self.say(beat={
            "number": self.session.beats, "seen": self.session.seen, "held": held,
            "concurrency": 0 if leaving else self.concurrency,
            "leaving": leaving, "goodbye": goodbye,
        })

    async def say(self, **message):
        """Sends one message. What gets lost is missed and repeated, so errors are no concern."""
        async with self.saying:
            if not self.session or not self.nats.is_connected:
                return
            subject = f"{self.bus}.coordinator.session.{self.session.id.hex()}"
            size = min(self.nats.max_payload, FRAME_BYTES)
            for frame in self.session.seal(msgpack.packb(message), size):
                try:
                    await self.nats.publish(subject, frame)
                except nats.errors.Error:
                    return

    async def hear(self, message):
        session = self.session
        if not message.subject.endswith(session.id.hex()):
            return  # the rest of a former session
        if not message.data:
            session.gone = True
            return self.wake.set()
        try:
            said = session.open(message.data)
        except (CryptoError, IndexError):
            return  # not from the coordinator
        if said is None:
            return
        session.heard = time.monotonic()
        said = msgpack.unpackb(said)
        for settled in said.get("settled", []):
            self.forget(settled["key"])
        for key in said.get("cancelled", []):
            held = self.held.get(name_of(key))
            if held and held.outcome is None and not held.cancelled:
                held.cancelled = True
                held.task.cancel()
        for call in said.get("calls", []):
            await self.take(call)

    async def take(self, call):
        key = call["key"]
        if name_of(key) in self.held:
            return
        if self.leave_by is not None:
            return await self.say(released=[key])
        held = self.held[name_of(key)] = Held(key, call["token"])
        held.task = asyncio.create_task(self.perform(call))
        held.watch = asyncio.create_task(self.watch(held))

    async def watch(self, held):
        """Says how a call has ended."""
        await asyncio.wait([held.task])
        if held.cancelled:
            self.forget(held.key)
            return await self.say(released=[held.key])
        if held.task.cancelled():
            # Nobody asked for that: to hand it back would bring it back.
            problem = Problem(RUNTIME, 500, "the function was cancelled from within")
            held.outcome = packed({"Err": problem.fields})
        else:
            held.outcome = held.task.result()
        await self.report(held)

    async def perform(self, said):
        """Calls the function; gives what came of it as it is reported."""
        left = said.get("remaining_ms")
        call = Call(said["function"], said["idempotency_key"], said["workflow"], said["reference"],
                    None if left is None else left / 1000, said.get("traceparent"))
        limit = asyncio.timeout(call.remaining)
        try:
            try:
                arguments = numbers(msgpack.unpackb(said["arguments"]))
            except Exception as error:
                raise Problem(RUNTIME, 500, f"the arguments cannot be read: {text_of(error)}")
            async with limit:
                result = await self.functions[call.function](arguments, call)
            # Only JSON can travel; what is none is the function's error.
            result = json.loads(json.dumps(result, allow_nan=False))
            if depth(result) > RESULT_DEPTH:
                raise ValueError(f"the result is nested deeper than {RESULT_DEPTH} levels")
            outcome = packed({"Ok": result})
            if len(outcome) > RESULT_BYTES:
                raise ValueError(f"the result is larger than {RESULT_BYTES} bytes")
            return outcome
        except Problem as problem:
            return packed({"Err": problem.fields})
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a function that calls sys.exit() must not end the worker
            if limit.expired():
                problem = Problem(TIMEOUT, 408, "the task did not end within its timeout")
            else:
                problem = Problem(RUNTIME, 500, f"{type(error).__name__}: {text_of(error)}")
            return packed({"Err": problem.fields})

    async def report(self, held):
        """Sends a result; again and again until the coordinator has settled it."""
        held.again_at, held.wait = time.monotonic() + held.wait, min(held.wait * 2, LONGEST)
        await self.say(reports=[{"key": held.key, "token": held.token, "outcome": held.outcome}])

    def give_up(self):
        """Hands back what is not finished in time."""
        self.gave_up, self.leave_by = True, time.monotonic() + LAST_WORDS
        for held in list(self.held.values()):
            if held.outcome is None and not held.cancelled:
                held.cancelled = True
                held.task.cancel()

    def forget(self, key):
        self.held.pop(name_of(key), None)
        if self.leave_by is not None:
            self.wake.set()


def name_of(key):
    """What tells deliveries apart; the epoch changes when the coordinator restarts."""
    return (key["instance"], key["frame"], key["delivery"], key["partition"])


def packed(result):
    """What came of a call, in bytes of its own: what is wrong in it spoils nothing else."""
    return msgpack.packb({"result": result}, default=digits)


def text_of(it):
    """A text that can be sent: half of a surrogate pair, as file names may have it, cannot."""
    try:
        return str(it).encode("utf-8", "backslashreplace").decode()
    except Exception:
        return f"a {type(it).__name__} without a text"


def digits(number):
    """Integers beyond 64 bits travel as their decimal digits, in bytes."""
    if isinstance(number, int):
        return str(number).encode()
    raise TypeError(f"{type(number).__name__} is not JSON")


def numbers(value):
    """The other way round: values have no bytes of their own."""
    if isinstance(value, bytes):
        return int(value)
    if isinstance(value, list):
        return [numbers(it) for it in value]
    if isinstance(value, dict):
        return {key: numbers(it) for key, it in value.items()}
    return value


def depth(value):
    """Levels of nesting: 0 for what has no parts."""
    if not isinstance(value, (dict, list)):
        return 0
    parts = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, parts), default=0)


def tell(text):
    print(f"windlass: {text}", file=sys.stderr, flush=True)


def from_environment():
    """Options of `Worker` from the same variables that `windlass worker` reads."""
    env = os.environ.get
    key = env("WINDLASS_WORKER_KEY") or open(env("WINDLASS_KEY_FILE", "worker.key")).read()
    names = {"url": "NATS", "bus": "BUS", "pool": "POOL", "user_credentials": "NATS_CREDS"}
    given = {option: env(f"WINDLASS_{name}") for option, name in names.items()}
    concurrency = int(env("WINDLASS_CONCURRENCY", "64"))
    return {"key": key, "concurrency": concurrency, **{it: to for it, to in given.items() if to}}


# ---- Your functions: arguments are the evaluated `with` of the task, the result is its raw output.


async def convert(arguments, call):
    rates = {"EUR": 1.0, "USD": 1.25}
    try:
        amount = arguments["amount"] / rates[arguments["from"]] * rates[arguments["to"]]
    except KeyError as unknown:
        raise Problem("https://example.com/errors/currency", 422, f"no rate for {unknown}")
    return {"amount": round(amount, 2), "currency": arguments["to"]}


if __name__ == "__main__":
    asyncio.run(Worker({"convert": convert}, **from_environment()).run())
