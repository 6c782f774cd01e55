"""Serves NanoIDP on loopback: `python serve.py DIRECTORY PORT`, where DIRECTORY holds its configuration.

It adds what NanoIDP has no settings for:

- ID tokens carry what a person's account says of them, as Cognito's do; NanoIDP leaves that to the `claims`
  parameter of each request.
- Its pages load nothing from other hosts: a style of our own makes do for Bootstrap from a CDN.
- It answers to its own names alone, and its forms are sent by its own pages alone: other pages in a browser must
  neither read accounts by a name that was made to point here (DNS rebinding), nor change anything.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Response
from nanoidp.app import create_app
from werkzeug.serving import run_simple

CLAIMS = json.dumps({"id_token": dict.fromkeys(("email", "email_verified", "name", "groups"))})

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

STYLE = b"""<link rel="icon" href="data:,"><style>
* { box-sizing: border-box } body { margin: 0; font: 16px/1.5 system-ui, sans-serif }
.authorize-header { text-align: center } .authorize-header h3 { margin: 0 }
.form-floating { display: flex; flex-direction: column-reverse; margin: 0 0 1rem }
input { font: inherit; padding: .6rem; border: 1px solid #888; border-radius: .4rem }
button { font: inherit; padding: .6rem 1rem; border: 0; border-radius: .4rem; background: #0d6efd; color: #fff }
button[type=submit] { width: 100% } .btn-close { display: none } small { display: block; color: inherit }
[role=alert] { padding: .6rem; margin-bottom: 1rem; border-radius: .4rem; background: #f8d7da; color: #58151c }
.scope-badge { display: inline-block; padding: 0 .5rem; border-radius: .4rem; background: #6c757d; color: #fff }
</style></head>"""

ELSEWHERE = re.compile(rb'<link [^>]*href="https:[^>]*>|<script src="https:[^>]*></script>')

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


def releasing_claims(app: Wsgi) -> Wsgi:
    """Have every authorisation request ask for the claims, unless it says itself what it wants."""

    def asking(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query = environ["QUERY_STRING"]
        if environ["PATH_INFO"] == "/authorize" and query and "claims=" not in query:
            environ["QUERY_STRING"] = f"{query}&claims={quote(CLAIMS)}"
        return app(environ, start_response)

    return asking


def at_its_own_names(app: Wsgi, own: frozenset[str]) -> Wsgi:
    """Refuse other names than loopback's and the issuer's, and what pages of others send.

    Args:
        app: what is served.
        own: hosts with ports, as browsers send them.
    """

    def guarded(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN", "").partition("://")[2]
        site = environ.get("HTTP_SEC_FETCH_SITE")
        # A form of a page without a referrer has the origin `null`; then only the browser's other word counts.
        foreign = (
            site not in {"same-origin", "none"} if site else "HTTP_ORIGIN" in environ and origin not in own
        )
        reads = environ["REQUEST_METHOD"] in {"GET", "HEAD", "OPTIONS"}
        if environ.get("HTTP_HOST", "").lower() in own and (reads or not foreign):
            return app(environ, start_response)
        body = b"This login provider answers its own pages and programs of this machine.\n"
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return guarded


def at_home(response: Response) -> Response:
    """Give a page the style it has here, and keep it from loading any other."""
    response.headers["Content-Security-Policy"] = POLICY
    if response.mimetype == "text/html":
        response.set_data(ELSEWHERE.sub(b"", response.get_data()).replace(b"</head>", STYLE, 1))
    return response


def main(directory: str, port: int) -> None:
    """Serve until the end."""
    app = create_app(directory, strict_config=True)
    app.after_request(at_home)
    issuer = json.loads(Path(directory, "settings.yaml").read_text())["oauth"]["issuer"]
    own = frozenset({f"{name}:{port}" for name in ("127.0.0.1", "localhost")} | {urlsplit(issuer).netloc})
    run_simple("127.0.0.1", port, at_its_own_names(releasing_claims(app), own), threaded=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
