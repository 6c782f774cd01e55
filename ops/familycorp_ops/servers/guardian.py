"""Stops the servers of a process that ended without stopping them, as after SIGKILL.

Runs as a program of its own, in a session of its own, and reads process groups from standard input: `+PID`
adds one, `-PID` forgets one. The other end of that pipe belongs to the process that started the servers, so
its end, however it came, is this program's end of input. Linux could ask the kernel for the same
(PR_SET_PDEATHSIG), but macOS can't, and on Linux the signal follows the *thread* that started the child.
"""

import contextlib
import os
import signal
import sys
import time

PATIENCE_S = 15.0
"""Seconds that a server may take to save its state after SIGTERM, before SIGKILL."""


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group and return whether anything of it is still there."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Collect process groups until end of input, then stop those that are left."""
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        _signal(group, signal.SIGTERM)
        _signal(group, signal.SIGCONT)  # A suspended process can't act on SIGTERM.
    deadline = time.monotonic() + PATIENCE_S
    while any(_signal(group, 0) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.05)
    for group in groups:
        _signal(group, signal.SIGKILL)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
