"""Work that takes a processor longer than the event loop may stand still: it runs in one of two worker threads.

Other requests go on meanwhile: a thread gives the interpreter up every five milliseconds. There are two threads, so
that however many such requests come at once, the event loop still gets its third of the interpreter.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from app.core.process import process

P = ParamSpec("P")
T = TypeVar("T")


@process.closes(ThreadPoolExecutor.shutdown)
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, "offload")


async def offload(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Return what a function returns, having called it in a worker thread with the caller's context."""
    call = partial(copy_context().run, function, *arguments, **options)
    return await asyncio.get_running_loop().run_in_executor(_workers(), call)
