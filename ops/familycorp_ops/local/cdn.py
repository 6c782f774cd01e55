"""Stands in for CloudFront: serves the media bucket on a port of its own, by signed requests. The argument is PORT.

Nothing but this bucket is behind it, and what it says to browsers is what terraform/cloudfront.tf has CloudFront say.
"""

import re
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from app.core.settings import Settings

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
}
"""What CloudFront adds to each picture."""

_PICTURE: Final = re.compile(r"/(media/[0-9a-f]{32}/[0-9]+\.(?:avif|webp|jpg))")


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD.

    Args:
        s3: client of the bucket's server.
        bucket: name of the bucket.
        more: what the server's own handlers take.
    """

    protocol_version = "HTTP/1.1"

    def __init__(self, s3: Any, bucket: str, *more: Any) -> None:
        self._s3, self._bucket = s3, bucket
        super().__init__(*more)

    def do_GET(self) -> None:
        """Serve a picture."""
        key = _PICTURE.fullmatch(self.path.partition("?")[0])
        try:
            found = key and self._s3.get_object(Bucket=self._bucket, Key=key[1])
        except ClientError:
            found = None
        except BotoCoreError:
            self._answer(502, {}, b"")
            return
        if not found:
            self._answer(403, {}, b"")  # As S3 answers CloudFront, which may not list.
            return
        headers = {
            "Content-Type": found["ContentType"],
            "Cache-Control": found["CacheControl"],
            "ETag": found["ETag"],
        }
        self._answer(200, headers, found["Body"].read())

    def do_HEAD(self) -> None:
        """Serve a picture's headers."""
        self.do_GET()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, **HEADERS, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def server(port: int, settings: Settings) -> ThreadingHTTPServer:
    """Return a server on loopback."""
    s3 = get_session().create_client(
        "s3",
        region_name=settings.aws_region,
        endpoint_url=settings.s3_endpoint_url or settings.aws_endpoint_url,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, s3, settings.media_bucket))


if __name__ == "__main__":
    server(int(sys.argv[1]), Settings.from_environment()).serve_forever()
