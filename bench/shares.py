"""What a server's processor time is made of: py-spy samples its stacks under load, and each part gets its share.

Only a thread that runs Python is sampled, since the others wait. A sample counts for the innermost frame that belongs
to a part, so that the standard library's work counts for the package that called it.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

PARTS: Mapping[str, tuple[str, ...]] = {
    "the log line: record, formatting, embedded metrics": ("/logging/", "/core/observability/"),
    "botocore: hooks, building, signing and parsing": ("/botocore/",),
    "the connection to DynamoDB: urllib3, `http.client`, sockets": ("/urllib3/", "/http/client.py"),
    "the thread's hop: anyio and the event loop": ("/anyio/", "/asyncio/", "/concurrent/", "threading.py"),
    "the HTTP server: uvicorn, httptools, uvloop": ("/uvicorn/", "/uvloop/"),
    "the connection to Valkey: redis": ("/redis/", "/core/read_path/cache"),
    "FastAPI, Starlette and Pydantic": ("/fastapi/", "/starlette/", "/pydantic/"),
    "the layers before routing: headers, CORS, limits, the cached answer": (
        "/core/http/",
        "/core/read_path/",
    ),
    "the rest of the application": ("/app/",),
}
"""The parts, by what the path of a frame's file contains; the first one that fits a frame counts."""

REST = "anything else"
RATE = 250
"""Samples per second."""


def measured(pid: int, load: Callable[[], object], seconds: float) -> Mapping[str, float]:
    """Return the share of each part in a process's samples while `load` runs, the largest first.

    It is empty where this process may not trace another one (ptrace(2), "/proc/sys/kernel/yama/ptrace_scope").
    """
    with tempfile.NamedTemporaryFile() as stacks:
        options = ["--format", "raw", "--full-filenames", "--gil", "--rate", str(RATE)]
        program = str(Path(sys.executable).with_name("py-spy"))
        command = [program, "record", "--pid", str(pid), *options, "--output", stacks.name]
        recorder = subprocess.Popen(
            [*command, "--duration", str(max(1, round(seconds)))],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        load()
        if recorder.wait(timeout=10 * seconds + 30):
            return {}  # Not every machine lets a process trace one that isn't its child.
        return _shares(Path(stacks.name).read_text())


def _shares(stacks: str) -> Mapping[str, float]:
    """Attribute collapsed stacks: `outermost (file:line);…;innermost (file:line) count` on each line."""
    found: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        found[_part(stack)] += int(count)
    return {part: count / found.total() for part, count in found.most_common()}


def _part(stack: str) -> str:
    for frame in reversed(stack.split(";")):
        for part, paths in PARTS.items():
            if any(path in frame for path in paths):
                return part
    return REST


def table(shares: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of the parts, one column for each kind of request."""
    parts = sorted(
        {p for found in shares.values() for p in found},
        key=lambda p: -max(f.get(p, 0) for f in shares.values()),
    )
    return "\n".join(
        [
            f"| share of the processor time | {' | '.join(shares)} |",
            f"|---|{'---:|' * len(shares)}",
            *(f"| {p} | {' | '.join(f'{f.get(p, 0):.0%}' for f in shares.values())} |" for p in parts),
        ]
    )
