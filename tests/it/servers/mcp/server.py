"""A server of the official SDK, of either major version: server.py http|stdio LOG [PORT].

LOG gets a line for what is called and how it ends."""

import asyncio
import os
import sys
from typing import Annotated

from pydantic import Field

try:
    from mcp.server.mcpserver import Context, MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    NEW = True
except ImportError:
    from mcp.server.fastmcp import Context, FastMCP as MCPServer
    from mcp.server.fastmcp.exceptions import ToolError

    NEW = False

transport, log = sys.argv[1:3]
place = {"host": "127.0.0.1", "port": int(sys.argv[3])} if transport == "http" else {}
server = MCPServer("tests") if NEW else MCPServer("tests", **place)


def note(text):
    with open(log, "a") as file:
        file.write(text + "\n")


@server.tool()
def add(a: int, b: int) -> int:
    note(f"add {a} {b}")
    return a + b


@server.tool()
def untyped():
    return {"it": [1, 2], "big": 12345678901234567890}


@server.tool()
def echo(text: str) -> str:
    return text


@server.tool()
def deploy(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    note(f"deploy {region}")
    return region


@server.tool()
def refuses(why: str) -> str:
    raise ToolError(why)


@server.tool()
def breaks() -> str:
    raise ValueError("a text of its own")


@server.tool()
async def progresses(ctx: Context) -> str:
    for step in range(3):
        await ctx.report_progress(step, 3)
    return "größer"


@server.tool()
def environment(name: str) -> str:
    return os.environ.get(name, "none")


@server.tool()
async def held() -> str:
    """Goes on when there is a file beside the log."""
    note(f"held began {os.getpid()}")
    try:
        while not os.path.exists(log + ".go"):
            await asyncio.sleep(0.02)
    except BaseException as error:
        note(f"held ended {type(error).__name__}")
        raise
    return "released"


@server.prompt()
def greet(name: str) -> str:
    return f"Greet {name}"


@server.resource("notes://today")
def today() -> str:
    return "fair winds"


@server.resource("notes://{day}/text")
def text_of(day: str) -> str:
    return f"notes of {day}"


if transport == "stdio":
    server.run(transport="stdio")
elif NEW:
    server.run(transport="streamable-http", **place)
else:
    server.run(transport="streamable-http")
