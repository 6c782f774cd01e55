"""`python respawning.py PORT` serves the instrumented application; when its process dies, it starts another.

A replacement is forked from a process that has imported everything and touched nothing: it starts as fresh as
a new program, in a fraction of the time.
"""

import asyncio
import gc
import importlib
import os
import signal
import socket
import sys
from typing import Any

import httpx
import uvicorn
from sqlalchemy.orm import configure_mappers

from support.instrumented import app

LAZY = (
    "app.categories.service",
    "app.feeds.service",
    "app.inquiries.service",
    "app.posts.commands",
    "app.posts.queries",
    "app.posts.publication.scheduler",
    "app.posts.publication.read_model",
    "app.system.service",
)


async def build_routes() -> None:
    """Request a path that no route has: the framework builds its routes on the first request."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        await client.get("/nowhere")


def serve(listener: socket.socket) -> None:
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None)).run(sockets=[listener])


def main() -> None:
    for name in LAZY:
        hasattr(
            importlib.import_module(name), "loaded"
        )  # A lazy module is executed when it is asked something.
    configure_mappers()
    asyncio.run(build_routes())
    gc.freeze()
    child = 0

    def end(*_: Any) -> None:
        if child:
            os.kill(child, signal.SIGKILL)
        sys.exit()

    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
        while True:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            child = os.fork()
            if child == 0:
                serve(listener)
                os._exit(0)
            signal.signal(signal.SIGTERM, end)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main()
