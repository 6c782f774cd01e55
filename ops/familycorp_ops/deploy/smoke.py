"""`familycorp smoke`: whether a deployment serves, in a few seconds, by reading alone; safe on Prod.

The status alone proves little: CloudFront and API Gateway answer too. So every check reads a body or a
header that only the application gives.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from gettext import gettext as _
from typing import TYPE_CHECKING, Any, Final

from familycorp_ops import output
from familycorp_ops.messages import marked

if TYPE_CHECKING:
    import httpx

REGION: Final = "ap-northeast-2"
READS: Final = 20
"""Public reads that latency is measured over."""
FOREIGN: Final = "https://elsewhere.example"
HEADERS: Final = {
    "strict-transport-security": "max-age=",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'",
    "referrer-policy": "no-referrer",
}
"""Headers of every response, and the start of their values."""


class SmokeError(Exception):
    """The check can't run: the message says what it lacks."""


class _Failed(Exception):
    pass


@dataclass(frozen=True)
class Result:
    """Outcome of a check."""

    check: str
    passed: bool
    seen: str


def stack(env: str) -> str:
    """Return the name of an environment's stack."""
    return f"familycorp-{env}-backend"


def address(env: str, region: str = REGION) -> str:
    """Return the output `HttpApiUrl` of an environment's stack; raise `SmokeError` where there is none."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    client = get_session().create_client("cloudformation", region_name=region)
    try:
        found = client.describe_stacks(StackName=stack(env))["Stacks"][0]
    except (BotoCoreError, ClientError) as error:
        raise SmokeError(
            _("The stack {stack} can't be read: {error}").format(stack=stack(env), error=error)
        ) from None
    outputs = {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", ())}
    if "HttpApiUrl" not in outputs:
        raise SmokeError(
            _("The stack {stack} has no output HttpApiUrl: is it {status}?").format(
                stack=stack(env), status=found["StackStatus"]
            )
        )
    return str(outputs["HttpApiUrl"])


def run(
    url: str, *, env: str | None, origin: str | None, release: str | None, slowest_ms: int
) -> list[Result]:
    """Ask a deployment; return what each check found.

    Args:
        url: where it is; may have a path.
        env: the environment that it must report.
        origin: a page's origin that must be allowed to call it.
        release: the release that it must report.
        slowest_ms: milliseconds that the 95th percentile of public reads may take.
    """
    import httpx  # noqa: PLC0415

    results = []
    with httpx.Client(base_url=url.rstrip("/") + "/", timeout=30, trust_env=True) as client:
        for name, check in _Checks(client, env, origin, release, slowest_ms).all():
            try:
                results.append(Result(name, True, check()))
            except _Failed as failed:
                results.append(Result(name, False, str(failed)))
            except httpx.HTTPError as error:
                results.append(Result(name, False, f"{type(error).__name__}: {error}"))
    return results


def report(results: Sequence[Result], url: str, *, as_json: bool) -> int:
    """Print results for people, or one JSON document for programs; return the exit status."""
    failed = sum(not result.passed for result in results)
    details = {"url": url, "passed": not failed, "checks": [asdict(result) for result in results]}
    lines = (f"{'✓' if result.passed else '✗'} {_(result.check)}: {result.seen}" for result in results)
    output.show(details, "\n".join(lines), as_json=as_json)
    if not as_json:
        said = _("{passed} passed, {failed} failed at {url}")
        sys.stderr.write(said.format(passed=len(results) - failed, failed=failed, url=url) + "\n")
    return 1 if failed else 0


def _expect(holds: bool, seen: str) -> str:
    if not holds:
        raise _Failed(seen)
    return seen


class _Checks:
    """The checks of one deployment: each returns what it saw, or raises `_Failed`."""

    def __init__(
        self,
        client: "httpx.Client",
        env: str | None,
        origin: str | None,
        release: str | None,
        slowest_ms: int,
    ) -> None:
        self._client, self._slowest_ms = client, slowest_ms
        self._env, self._origin, self._release = env, origin, release

    def all(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Yield each check with its name, in the order in which they run."""
        yield marked("health"), self._health
        yield marked("security headers"), self._security_headers
        yield marked("cors for others"), partial(self._cors, FOREIGN, None)
        yield marked("public read"), self._public_read
        yield marked("anonymous refusal"), partial(self._refusal, "v1/editor/posts")
        yield marked("unknown route"), self._unknown_route
        yield marked("login page"), partial(self._refusal, "v1/auth/me")
        if self._origin:
            yield marked("cors for pages of the company"), partial(self._cors, self._origin, self._origin)
        yield marked("latency"), self._latency

    def _health(self) -> str:
        answer = self._client.get("health")
        body = _json(answer)
        said = {key: body.get(key) for key in ("status", "version", "environment")}
        wanted = {"status": "ok", "version": self._release, "environment": self._env}
        holds = all(said[key] and value in (None, said[key]) for key, value in wanted.items())
        return _expect(answer.status_code == 200 and holds, f"{answer.status_code} {said}")

    def _security_headers(self) -> str:
        sent = self._client.get("health").headers
        missing = [name for name, begins in HEADERS.items() if not sent.get(name, "").startswith(begins)]
        _expect(not missing, _("without {headers}").format(headers=", ".join(missing)))
        return _("{number} there").format(number=len(HEADERS))

    def _cors(self, asked: str, expected: str | None) -> str:
        answer = self._client.get("v1/categories", headers={"Origin": asked})
        allowed = answer.headers.get("access-control-allow-origin")
        seen = _("{asked} gets {allowed}").format(asked=asked, allowed=allowed)
        return _expect(allowed == expected, seen)

    def _public_read(self) -> str:
        answer = self._read()
        listed = isinstance(_json(answer).get("items"), list)
        return _expect(answer.status_code == 200 and listed, f"{answer.status_code}")

    def _refusal(self, path: str) -> str:
        answer = self._client.get(path)
        seen = f"{answer.status_code} {_json(answer).get('code')}"
        return _expect(answer.status_code == 401 and "json" in answer.headers.get("content-type", ""), seen)

    def _unknown_route(self) -> str:
        answer = self._client.get("no-such-route")
        body = _json(answer)
        holds = answer.status_code == 404 and body.get("code") == "not_found" and body.get("requestId")
        return _expect(bool(holds), f"{answer.status_code} {body.get('code')}")

    def _latency(self) -> str:
        took = []
        for __ in range(READS):
            began = time.perf_counter()
            answer = self._read()
            took.append((time.perf_counter() - began) * 1000)
            refused = _("one read got {status}").format(status=answer.status_code)
            _expect(answer.status_code == 200, refused)
        p95 = statistics.quantiles(took, n=20)[-1]
        seen = _("p50 {p50:.0f} ms, p95 {p95:.0f} ms of {reads} reads").format(
            p50=statistics.median(took), p95=p95, reads=READS
        )
        return _expect(p95 <= self._slowest_ms, seen)

    def _read(self) -> "httpx.Response":
        return self._client.get("v1/posts", params={"lang": "ko", "limit": 1})


def _json(answer: "httpx.Response") -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
