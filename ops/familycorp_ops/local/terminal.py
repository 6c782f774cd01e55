"""The terminal of `familycorp up`: what asks to stop, and what Ctrl-C reaches."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def signals() -> Iterator[Callable[[], bool]]:
    """Catch what asks to stop, a closed terminal included, and yield a function that says whether it came."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        received.append(number)

    before = {
        number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def foreground() -> Iterator[None]:
    """Have the terminal send Ctrl-C to this process alone: `make` would complain and end as interrupted."""
    terminal, group = 0, os.getpgrp()
    if not os.isatty(terminal) or group == os.getpid() or os.tcgetpgrp(terminal) != group:
        yield  # Started by a shell itself, or without a terminal.
        return
    # To take the terminal back from the background is what SIGTTOU stops; Ctrl-Z would leave `make` hanging.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU, signal.SIGTSTP)}
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpid())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, group)
        for number, handler in before.items():
            signal.signal(number, handler)
