"""Alembic's environment: migrates the database that the settings name."""

import asyncio
from contextlib import nullcontext
from typing import Any

from alembic import context
from sqlalchemy import Connection

# Every module with mapped classes, so that their tables are known.
import app.audit.models
import app.categories.models
import app.core.write_path.idempotency
import app.core.write_path.outbox
import app.inquiries.models
import app.members.models
import app.posts.models
import app.previews.models
import app.redirects.models
import app.uploads.models  # noqa: F401
from app.core.database.engine import Base, engine
from app.functions.migrations import alone

# The full-text index and its shadow tables are each database's own; migrations make them.
_SEARCH = "post_search"


def _include(_: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    return not (reflected and compare_to is None and name and _SEARCH in name and kind in {"table", "index"})


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=_include,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _migrate() -> None:
    try:
        exclusive = context.config.attributes.get("exclusive")
        async with engine().connect() as connection, alone(connection) if exclusive else nullcontext():
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await engine().dispose()


asyncio.run(_migrate())
