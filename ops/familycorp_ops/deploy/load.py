"""`familycorp load`: visitors who read all the time, for a while or while something else happens."""

import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from gettext import gettext as _
from types import TracebackType
from typing import Any, Final, Self

from familycorp_ops import output

TIMEOUT_S: Final = 30
"""As long as API Gateway waits for a function."""
READS: Final = ("/v1/posts?lang=ko", "/v1/categories", "/v1/search?q=a")


class Load:
    """Sends reads, one after the other from each visitor, for the length of the block.

    Args:
        url: where the API is.
        paths: what they read.
        trust: what certificates are verified with.
        visitors: how many read at once.
        timeout_s: seconds after which a request without a response has failed.
    """

    def __init__(
        self, url: str, paths: Sequence[str], trust: Any, visitors: int = 2, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._url, self._paths, self._trust, self._timeout_s = url, paths, trust, timeout_s
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read, daemon=True) for _ in range(visitors)]
        self.answers: Counter[str] = Counter()
        """How often each status came, or each kind of failure."""
        self.versions: Counter[str] = Counter()
        """How often each release answered `/health`."""
        self.slowest_s = 0.0

    @property
    def failed(self) -> int:
        """Requests that weren't answered with success."""
        return sum(count for status, count in self.answers.items() if not status.startswith("2"))

    @property
    def total(self) -> int:
        """Requests that were sent."""
        return sum(self.answers.values())

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * self._timeout_s)

    def _read(self) -> None:
        import httpx  # noqa: PLC0415 - `--help` needn't wait for it.

        with httpx.Client(verify=self._trust, trust_env=False, timeout=self._timeout_s) as client:
            while not self._stop.wait(0.02):
                for path in ("/health", *self._paths):
                    began = time.monotonic()
                    try:
                        answer = client.get(f"{self._url}{path}")
                        status = str(answer.status_code)
                        if path == "/health":
                            self.versions[str(answer.json().get("version"))] += 1
                    except (httpx.HTTPError, ValueError) as error:
                        status = type(error).__name__
                    self.answers[status] += 1
                    self.slowest_s = max(self.slowest_s, time.monotonic() - began)


def run(url: str, seconds: int, visitors: int, timeout_s: int, *, as_json: bool) -> int:
    """Read a deployment for some seconds; return the exit status: 1 if a request failed."""
    trust = ssl.create_default_context()
    with Load(url.rstrip("/"), READS, trust, visitors, timeout_s) as load:
        time.sleep(seconds)
    figures = {
        "requests": load.total,
        "failed": load.failed,
        "seconds": seconds,
        "slowestSeconds": round(load.slowest_s, 3),
        "answers": dict(load.answers),
        "versions": dict(load.versions),
    }
    said = _("{total} requests in {seconds} s, {failed} failed, the slowest took {slowest:.1f} s.").format(
        total=load.total, seconds=seconds, failed=load.failed, slowest=load.slowest_s
    )
    output.show(figures, said, as_json=as_json)
    if load.failed and not as_json:
        sys.stderr.write(_("Responses: {answers}").format(answers=dict(load.answers)) + "\n")
    return 1 if load.failed or not load.total else 0
