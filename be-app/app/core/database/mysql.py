"""Connections to MySQL. To Aurora and RDS Proxy over verified TLS or not at all, with an IAM token for a password."""

import ssl
from pathlib import Path
from typing import Any

import aiomysql
from pymysql.constants import CLIENT, CR  # type: ignore[import-untyped]

from app.core.aws import iam
from app.core.process import process
from app.core.settings import settings

_AMAZONS_CA = Path(__file__).with_name("rds_ca.pem")


class _Connection(aiomysql.Connection):  # type: ignore[misc]
    def _write_bytes(self, data: bytes) -> None:
        try:
            super()._write_bytes(data)
        except RuntimeError as error:
            # uvloop raises this where the connection was reset; the pool wouldn't recognise it as lost.
            raise aiomysql.OperationalError(CR.CR_SERVER_GONE_ERROR, "The connection was reset") from error

    async def _request_authentication(self) -> None:
        # aiomysql would continue without TLS if the server offers none, and send the token in clear text.
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            raise aiomysql.OperationalError(CR.CR_SSL_CONNECTION_ERROR, "The server offers no TLS")
        await super()._request_authentication()


@process.keeps
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings().database_ca or _AMAZONS_CA)


async def connect(**arguments: Any) -> Any:
    """Connect as `aiomysql.connect` does; raises what that raises, and for a server that can't be trusted."""
    if settings().in_aws:
        arguments["ssl"] = _tls()
        arguments["password"] = iam.database_token(
            arguments["host"], arguments.get("port", 3306), arguments["user"]
        )
        arguments["auth_plugin"] = "mysql_clear_password"
    connection = _Connection(**arguments)
    await connection._connect()  # noqa: SLF001 - what `aiomysql.connect` does with its own class
    return connection
