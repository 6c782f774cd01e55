"""Serves NanoIDP on loopback: `python serve.py DIRECTORY PORT`, where DIRECTORY holds its configuration.

It adds what NanoIDP has no settings for:

- ID tokens carry what a person's account says of them, as Cognito's do; NanoIDP leaves that to the `claims`
  parameter of each request.
- Its pages load nothing from other hosts: a style of our own makes do for Bootstrap from a CDN.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

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
    run_simple("127.0.0.1", port, releasing_claims(app), threaded=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
