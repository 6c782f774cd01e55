"""Serves the staff page, which stands in for a front end: arguments are PORT, API_URL and FILES_URL.

It is what front-end developers may copy from: the files in `demo/staff` use nothing but the API.
"""

import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FILES = Path(__file__).parent / "demo" / "staff"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}


def pages(api_url: str) -> Mapping[str, tuple[str, bytes]]:
    """Return media type and content of every path that is served; the pages know the API's address."""
    found = {
        f"/{file.name}": (TYPES[file.suffix], file.read_bytes().replace(b"{{api}}", api_url.encode()))
        for file in FILES.iterdir()
    }
    return found | {"/": found["/index.html"]}


def serve(port: int, api_url: str, files_url: str) -> None:
    """Serve on loopback until the end; the pages talk to the API and send files to `files_url` alone."""
    content = pages(api_url)
    # Even if somebody smuggled a script into a page, it could talk to the API alone.
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src {api_url} {files_url}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, body = content.get(self.path.partition("?")[0], ("text/plain", b"There is no such page.\n"))
            self.send_response(404 if kind == "text/plain" else 200)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                "Cache-Control": "no-store",
                "Content-Security-Policy": policy,
                "Cross-Origin-Opener-Policy": "same-origin",
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])
