"""Serves MiniStack to programs of this machine and to pages of named origins: `guarded_ministack.py ORIGIN...`.

MiniStack resets itself for any client, its keys are public, and it allows every origin by CORS. So any
page that a browser shows could delete a developer's data. A browser says which page a request comes from; programs
don't, and may do everything.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from ministack import app as ministack

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def refusal(scope: Any, origins: frozenset[str]) -> str | None:
    """Return why a request is refused, if it is."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    for host in headers.get("host", ()):
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        # Any other name was made to point here by somebody's name server (DNS rebinding).
        if name.lower() not in LOOPBACK and not name.lower().endswith(".localhost"):
            return "This emulator is called 127.0.0.1 or localhost, and by no other name."
    given = headers.get("origin", [])
    site = headers.get("sec-fetch-site", ["none"])
    if not given and site == ["none"]:
        return None
    if len(given) == 1 and (given[0] in origins or _on_any_port(given[0]) in origins):
        return None
    if not given and scope["type"] == "http" and _downloads(scope):
        return None
    return "Pages of this origin may not use this emulator: FAMILYCORP_CORS_ORIGINS names those that may."


def _on_any_port(origin: str) -> str:
    """Return the pattern of an origin with any port, as S3 writes it: `http://localhost:*`."""
    host, _, port = origin.rpartition(":")
    return f"{host}:*" if port.isdecimal() else f"{origin}:*"


def _downloads(scope: Any) -> bool:
    """Return whether a link or a picture of a page fetches an object by a presigned address."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    signed = query.get("X-Amz-Credential", [""])
    return (
        scope["method"] in {"GET", "HEAD"}
        and not scope["path"].startswith("/_")
        and scope["path"].count("/") > 1
        and all(value.endswith("/s3/aws4_request") for value in signed)
        and not {"action", "version"} & {name.lower() for name in query}
    )


def guarding(app: Asgi, origins: frozenset[str]) -> Asgi:
    """Have an application answer nothing that pages of other origins ask."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        reason = refusal(scope, origins) if scope["type"] in {"http", "websocket"} else None
        if reason is None:
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            body = f"{reason}\n".encode()
            headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return guarded


if __name__ == "__main__":
    ministack.app = guarding(ministack.app, frozenset(sys.argv[1:]))
    del sys.argv[1:]  # MiniStack reads them, too.
    ministack.main()
