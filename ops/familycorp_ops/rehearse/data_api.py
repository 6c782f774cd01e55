"""A stand-in for the RDS Data API: runs statements on a real server on loopback, as its owner.

Clients find it by `AWS_ENDPOINT_URL_RDS_DATA`. Logging in by IAM is a plugin of Amazon's own, so users that are made
with it have no password here; the front before the server asks for their tokens.
"""

import json
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from familycorp_ops.servers.loopback import LoopbackServer
from familycorp_ops.servers.process import LOOPBACK

BY_IAM: Final = "IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'"


class DataApi(LoopbackServer):
    """The stand-in, for the length of the block.

    Args:
        port: where the server listens.
        asleep: how many calls are answered as by a cluster that wakes up.
    """

    def __init__(self, port: int, *, asleep: int = 1) -> None:
        self.database, self.asleep = port, asleep
        self.failing = ""
        """Beginning of statements that fail."""
        self.statements: list[str] = []
        """What was asked, in its order."""
        super().__init__(self._handler())

    def execute(self, sql: str, database: str) -> tuple[int, str, dict[str, Any]]:
        """Run a statement; return status, type of the error if there is one, and body of the response."""
        import pymysql  # type: ignore[import-untyped]  # noqa: PLC0415 - only tests need it.

        if self.asleep:
            self.asleep -= 1
            return 400, "DatabaseResumingException", {"message": "The database is resuming."}
        if self.failing and sql.startswith(self.failing):
            return 400, "BadRequestException", {"message": "A test makes this call fail."}
        self.statements.append(sql)
        connection = pymysql.connect(
            host=LOOPBACK, port=self.database, user="root", database=database, autocommit=True
        )
        try:
            cursor = connection.cursor()
            cursor.execute(sql.replace(BY_IAM, "").replace(" REQUIRE SSL", " REQUIRE NONE"))
            rows = cursor.fetchall() if cursor.description else ()
        except pymysql.MySQLError as error:
            return 400, "BadRequestException", {"message": str(error)}
        finally:
            connection.close()
        records = [
            [{"longValue": v} if isinstance(v, int) else {"stringValue": str(v)} for v in row] for row in rows
        ]
        return 200, "", {"records": records, "numberOfRecordsUpdated": 0}

    def _handler(api: "DataApi") -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the class below has a `self`, too.
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, kind, body = api.execute(asked["sql"], asked["database"])
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                if kind:
                    self.send_header("x-amzn-errortype", kind)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        return Handler
