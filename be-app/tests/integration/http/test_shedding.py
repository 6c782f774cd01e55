"""Asked for more than it can do, a process refuses the rest at once and serves what it took on in time."""

import time
from collections.abc import Callable
from statistics import median

import pytest

from support.contract import log_lines
from support.stack import Stack
from support.traffic import Traffic

AT_ONCE = 8


@pytest.fixture(scope="module")
def stack(new_stack: Callable[..., Stack]) -> Stack:
    """A stack whose process works on few requests at once, and has no cache to answer from."""
    stack = new_stack("sqlite", MAX_CONCURRENCY=str(AT_ONCE), RATE_VISITORS="1000000")
    stack.start(deployed=True, FAMILYCORP_CACHE_URL="redis://127.0.0.1:1/0")
    return stack


def test_beyond_its_knee_a_process_sheds_and_serves_the_rest(stack: Stack) -> None:
    paths = [f"/v1/posts?limit={n}" for n in range(1, 50)]

    def asked(clients: int) -> Traffic:
        with Traffic(stack.processes[0].port, 3, clients=clients, pause_s=0.5, paths=paths) as crowd:
            time.sleep(1)
            with stack.client() as client:
                assert client.get("/health").status_code == 200  # A busy process isn't a broken one.
        return crowd

    few, many = asked(AT_ONCE), asked(50 * AT_ONCE)
    assert {a.status for a in few.answers} == {200}
    assert {a.status for a in many.answers} == {200, 503}
    assert {a.retry_after for a in many.answers if a.status == 503} == {"5"}
    served = [sorted(a.ms for a in crowd.answers if a.status == 200) for crowd in (few, many)]
    # The crowd itself takes time of the processors, and more of it where others work, too.
    assert len(served[1]) > len(served[0]) / 16
    lines = log_lines(stack)
    refused = [line for line in lines if line.get("status") == 503]
    assert all(line["shed"] == 1 for line in refused)
    took = [line["latency"] for line in lines if line.get("status") == 200 and line["route"] == "/v1/posts"]
    assert median(line["latency"] for line in refused) < median(took) / 2
