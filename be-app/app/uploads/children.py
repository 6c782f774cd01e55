"""Processes of their own for what parses or decodes a stranger's bytes.

A parser that a hostile file breaks has no credentials, no connections and little time, its memory goes back to the
system, and the event loop of this process goes on meanwhile.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from app.uploads.reasons import REASONS, Rejection

REJECTED = 3
"""Exit status of a program that prints the reason of a rejection."""

_DEADLINE_S = 27 if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else 300
"""Less than API Gateway waits for a response. Elsewhere nobody cuts it off, and the limit of processor time holds."""


def run(program: list[str], directory: Path) -> None:
    """Run a Python program, in a worker thread; raise `Rejection` for a file that it can't or won't process."""
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        # One thread and one heap: a function is billed by memory.
        "VIPS_CONCURRENCY": "1",
        "MALLOC_ARENA_MAX": "2",
    }
    try:
        ran = subprocess.run(  # noqa: S603 - the program is ours, and its arguments are not a stranger's.
            [sys.executable, "-P", *program],
            env=environment,
            cwd=directory,
            capture_output=True,
            timeout=_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Rejection("too_complex") from None
    if ran.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:  # The limit of its processor time.
        raise Rejection("too_complex")
    if ran.returncode != 0:
        reason = ran.stdout.decode("ascii", "replace")
        raise Rejection(reason if ran.returncode == REJECTED and reason in REASONS else "malformed")
