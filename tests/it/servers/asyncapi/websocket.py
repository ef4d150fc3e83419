"""A WebSocket server whose rooms, /chat/ROOM, show what clients must cope with.

It writes a line of JSON for every connection, message and end.
"""

import asyncio
import json
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


def tell(**what):
    print(json.dumps(what), flush=True)


def check(connection, request):
    wanted = "Bearer t0ken"
    if request.path.endswith("/secret") and request.headers.get("Authorization") != wanted:
        return connection.respond(401, "who is it?\n")


async def handle(connection):
    room = connection.request.path.rsplit("/", 1)[-1]
    headers = [list(it) for it in connection.request.headers.raw_items()]
    tell(event="open", room=room, headers=headers)
    try:
        if room == "greets":
            for message in ('{"n": 0}', '{"n": 1}', "hello", b"\x00\xff"):
                await connection.send(message)
        if room == "secret":
            await connection.send("in")
        if room == "large":
            await connection.send("x" * (10485760 + 1))
        if room == "closes":
            await connection.send("only")
            return
        async for message in connection:
            tell(event="message", room=room, text=message if isinstance(message, str) else None)
    except ConnectionClosed:
        pass
    finally:
        await connection.close()
        tell(event="end", room=room, code=connection.close_code)


async def main():
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), process_request=check):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
