"""`familycorp smoke`: whether a deployment serves, in a few seconds, by reading alone; safe on Prod.

The status alone proves little: what stands before the application answers too. So every check looks at a body or a
header that only the application gives.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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
"""What every answer carries, and how it begins."""


class SmokeError(Exception):
    """There is nothing to ask: the message says what is missing."""


class _Failed(Exception):
    pass


@dataclass(frozen=True)
class Result:
    """What a check found."""

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
        env: what it must say that it is.
        origin: a page's origin that must be allowed to call it.
        release: what it must say that it runs.
        slowest_ms: milliseconds that the 95th percentile of public reads may take.
    """
    import httpx  # noqa: PLC0415

    results = []
    with httpx.Client(base_url=url.rstrip("/") + "/", timeout=30, trust_env=True) as client:
        for name, check in _checks(client, env, origin, release, slowest_ms):
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
    told = {"url": url, "passed": not failed, "checks": [asdict(result) for result in results]}
    lines = (f"{'✓' if result.passed else '✗'} {_(result.check)}: {result.seen}" for result in results)
    output.show(told, "\n".join(lines), as_json=as_json)
    if not as_json:
        said = _("{passed} passed, {failed} failed at {url}")
        sys.stderr.write(said.format(passed=len(results) - failed, failed=failed, url=url) + "\n")
    return 1 if failed else 0


def _expect(holds: bool, seen: str) -> str:
    if not holds:
        raise _Failed(seen)
    return seen


def _checks(
    client: "httpx.Client", env: str | None, origin: str | None, release: str | None, slowest_ms: int
) -> list[tuple[str, Callable[[], str]]]:
    def health() -> str:
        answer = client.get("health")
        body = _json(answer)
        said = {key: body.get(key) for key in ("status", "version", "environment")}
        wanted = {"status": "ok", "version": release, "environment": env}
        holds = all(said[key] and value in (None, said[key]) for key, value in wanted.items())
        return _expect(answer.status_code == 200 and holds, f"{answer.status_code} {said}")

    def security_headers() -> str:
        answer = client.get("health")
        missing = [
            name for name, begins in HEADERS.items() if not answer.headers.get(name, "").startswith(begins)
        ]
        if missing:
            raise _Failed(_("without {headers}").format(headers=", ".join(missing)))
        return _("{number} there").format(number=len(HEADERS))

    def cors(asked: str, expected: str | None) -> str:
        answer = client.get("v1/categories", headers={"Origin": asked})
        allowed = answer.headers.get("access-control-allow-origin")
        return _expect(
            allowed == expected, _("{asked} is answered with {allowed}").format(asked=asked, allowed=allowed)
        )

    def cors_for_pages_of_the_company() -> str:
        return cors(origin or FOREIGN, origin)

    def cors_for_others() -> str:
        return cors(FOREIGN, None)

    def public_read() -> str:
        answer = client.get("v1/posts", params={"lang": "ko", "limit": 1})
        body = _json(answer)
        return _expect(
            answer.status_code == 200 and isinstance(body.get("items"), list), f"{answer.status_code}"
        )

    def refusal(path: str) -> str:
        answer = client.get(path)
        seen = f"{answer.status_code} {_json(answer).get('code')}"
        return _expect(answer.status_code == 401 and "json" in answer.headers.get("content-type", ""), seen)

    def anonymous_refusal() -> str:
        return refusal("v1/editor/posts")

    def unknown_route() -> str:
        answer = client.get("no-such-route")
        body = _json(answer)
        holds = answer.status_code == 404 and body.get("code") == "not_found" and body.get("requestId")
        return _expect(bool(holds), f"{answer.status_code} {body.get('code')}")

    def login_page() -> str:
        return refusal("v1/auth/me")

    def latency() -> str:
        took = []
        for __ in range(READS):
            began = time.perf_counter()
            answer = client.get("v1/posts", params={"lang": "ko", "limit": 1})
            took.append((time.perf_counter() - began) * 1000)
            _expect(
                answer.status_code == 200,
                _("one read was answered with {status}").format(status=answer.status_code),
            )
        p95 = statistics.quantiles(took, n=20)[-1]
        seen = _("p50 {p50:.0f} ms, p95 {p95:.0f} ms of {reads} reads").format(
            p50=statistics.median(took), p95=p95, reads=READS
        )
        return _expect(p95 <= slowest_ms, seen)

    checks = [
        (marked("health"), health),
        (marked("security headers"), security_headers),
        (marked("cors for others"), cors_for_others),
        (marked("public read"), public_read),
        (marked("anonymous refusal"), anonymous_refusal),
        (marked("unknown route"), unknown_route),
        (marked("login page"), login_page),
        (marked("latency"), latency),
    ]
    if origin:
        checks.insert(-1, (marked("cors for pages of the company"), cors_for_pages_of_the_company))
    return checks


def _json(answer: "httpx.Response") -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
