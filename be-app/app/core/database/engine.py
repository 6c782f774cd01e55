"""The relational store: engine, sessions and column types that mean the same on SQLite, MariaDB and MySQL.

Nothing here prepares statements on the server or sets session state, so RDS Proxy never pins a connection
("Avoiding pinning", Amazon RDS user guide): drivers speak the text protocol, times are made in Python, and reads
are short transactions, because switching a pooled connection to autocommit and back sets session state.
"""

import asyncio
import fcntl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, Dialect, MetaData, String, Text, event, text
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMTEXT
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.types import JSON, TypeDecorator, Uuid

from app.core.http.problems import DatabaseUnavailable
from app.core.lazy import lazy_import
from app.core.observability import metrics
from app.core.process import process
from app.core.settings import settings

if TYPE_CHECKING:
    from app.core.database import mysql
else:
    mysql = lazy_import("app.core.database.mysql")

TEXT_COLLATION = "utf8mb4_unicode_520_ci"
"""For people's text: the newest Unicode collation that MariaDB and MySQL share."""

_READS = "familycorp_reads"

# MariaDB reports a violated CHECK, and both report a malformed statement, as "operational": those are bugs of
# ours, and answering "try again later" would hide them.
_NOT_AN_OUTAGE = {1054, 1064, 1146, 1366, 1406, 3819, 4025}

# Access denied to a user or a database, a statement, a column, a privilege (MySQL, "Server error message reference").
_REFUSALS = {1044, 1045, 1142, 1143, 1227}


# ER_OPTION_PREVENTS_STATEMENT (--read-only), ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ER_READ_ONLY_MODE.
_READ_ONLY = {1290, 1792, 1836}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, stored in UTC with microseconds; a naive one is refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Have MySQL store microseconds, which it drops by default."""
        if dialect.name == "mysql":
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Drop the zone after moving to UTC."""
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Put the zone back."""
        return value and value.replace(tzinfo=UTC)


class Key(TypeDecorator[str]):
    """A short identifier compared byte by byte on every database (slugs, states, keys)."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Ask MySQL for the binary collation; SQLite compares that way by itself."""
        collation = "utf8mb4_bin" if dialect.name == "mysql" else None
        return dialect.type_descriptor(String(self.length, collation=collation))


LongText = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")
"""Text beyond the 64 KB that MySQL's TEXT holds."""


TABLE_OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": TEXT_COLLATION,
}
"""Of every table; a class with arguments of its own ends them with these."""


class Base(DeclarativeBase):
    """Base of every mapped class."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        datetime: UtcDateTime,
        uuid.UUID: Uuid,
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON,
    }
    __table_args__: Any = TABLE_OPTIONS


def _connecting() -> dict[str, Any]:
    return {"connect_timeout": 5, "charset": "utf8mb4", "async_creator_fn": mysql.connect}


@process.connects(AsyncEngine.dispose)
def engine() -> AsyncEngine:
    """Return the process's engine, made on first use. It doesn't connect."""
    chosen = settings()
    if chosen.database_url.startswith("sqlite"):
        made = create_async_engine(
            chosen.database_url,
            hide_parameters=True,
            pool_size=chosen.database_pool_size,
            pool_reset_on_return=None,
        )
        event.listen(made.sync_engine, "connect", _prepare_sqlite)
        event.listen(made.sync_engine, "begin", _begin_sqlite)
        return made
    made = create_async_engine(
        chosen.database_url,
        hide_parameters=True,  # Parameters are people's data; errors and logs must not repeat them.
        pool_size=chosen.database_pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,  # A frozen Lambda or a failover leaves dead connections; COM_PING is no SQL.
        pool_reset_on_return=None,  # `reading` and `writing` end what they began; another ROLLBACK is a round trip.
        connect_args=_connecting(),
    )
    event.listen(made.sync_engine, "handle_error", _leave_reader)
    return made


def _leave_reader(context: ExceptionContext) -> None:
    """Take "I am read-only" for a lost connection, and every pooled one with it.

    After a failover a connection may lead to the former writer; it answers pings, and would stay in the pool.
    """
    if context.original_exception.args[:1] and context.original_exception.args[0] in _READ_ONLY:
        context.is_disconnect = True


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver's own implicit BEGIN is switched off, so that `_begin_sqlite` decides.
    connection.isolation_level = None
    cursor = connection.cursor()
    # secure_delete overwrites deleted rows: personal data that was destroyed stays in no free page.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=15000",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A transaction that reads and then writes would fail at once when another writer slips in between; taking
    # the write lock at BEGIN makes it wait for `busy_timeout` instead. Readers never wait.
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def is_outage(error: BaseException) -> bool:
    """Return whether `error` says that the database is away, busy or read-only, rather than that we erred."""
    if isinstance(error, PoolTimeout | OSError | TimeoutError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    number = _number(error)
    if isinstance(number, str):  # SQLite has messages instead of numbers.
        return not number.startswith(("no such", "near"))
    return number not in _NOT_AN_OUTAGE


def _number(error: BaseException) -> Any:
    cause = error.orig if isinstance(error, DBAPIError) else None
    return cause.args[0] if cause and cause.args else None


@asynccontextmanager
async def _outages_as_problems() -> AsyncIterator[None]:
    try:
        # A server that hangs would hold a request for ever: the driver knows no deadline but the connection's.
        with metrics.timed("sql"):
            async with asyncio.timeout(settings().database_deadline_s):
                yield
    except Exception as error:
        number = _number(error)
        if number in _REFUSALS:
            metrics.add("access_denied")
        if is_outage(error):
            metrics.add("sql_errors")
            # The number alone: a server's message may repeat a user's input.
            metrics.note("cause", f"{type(error).__name__}{f' {number}' if isinstance(number, int) else ''}")
            raise DatabaseUnavailable from error
        raise


@asynccontextmanager
async def reading() -> AsyncIterator[AsyncSession]:
    """Open a session for reads alone, which see one state of the database."""
    async with (
        _outages_as_problems(),
        AsyncSession(engine(), expire_on_commit=False, autoflush=False) as session,
    ):
        await session.connection(execution_options={_READS: True})
        yield session


@asynccontextmanager
async def writing() -> AsyncIterator[AsyncSession]:
    """Open a session in one transaction: committed at the end, rolled back on any exception."""
    async with (
        _outages_as_problems(),
        AsyncSession(engine(), expire_on_commit=False, autoflush=False) as session,
        session.begin(),
    ):
        yield session


@asynccontextmanager
async def exclusively(name: str, *, waits: Callable[[], None]) -> AsyncIterator[None]:
    """Run the block in one process at a time of all that use the database and the same name.

    A process that dies leaves the lock: the operating system or the server takes it back. `waits` is called once, if
    another process has the lock. For an operator's commands; it takes a connection of its own.
    """
    url = engine().url
    if url.get_backend_name() == "sqlite":
        lock: AbstractAsyncContextManager[Callable[[], Awaitable[bool]]] = _file_lock(
            f"{url.database}.{name}"
        )
    else:
        lock = _server_lock(name)
    async with lock as acquired:
        is_reported = False
        while not await acquired():
            if not is_reported:
                waits()
                is_reported = True
            await asyncio.sleep(_LOOKS_AGAIN_S)
        yield


_LOOKS_AGAIN_S = 0.2


@asynccontextmanager
async def _file_lock(path: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    with Path(path).open("wb") as file:  # noqa: ASYNC230 - it is an operator's command that waits

        async def acquired() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        yield acquired


@asynccontextmanager
async def _server_lock(name: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    # The pool may have but one connection, which the block itself needs.
    alone = create_async_engine(engine().url, poolclass=NullPool, connect_args=_connecting())
    # Names of locks are the whole server's and have at most 64 characters. MySQL 9.6 dropped SHA1 and MD5.
    statement = text("SELECT GET_LOCK(CONCAT(:name, '-', SHA2(DATABASE(), 224)), 0)")
    async with alone.connect() as connection:

        async def acquired() -> bool:
            return bool(await connection.scalar(statement, {"name": name}))

        yield acquired


async def ping() -> None:
    """Run the smallest statement; raise `DatabaseUnavailable` when it fails."""
    async with _outages_as_problems(), engine().connect() as connection:
        await _select_one(connection)


async def _select_one(connection: AsyncConnection) -> None:
    await connection.exec_driver_sql("SELECT 1")
