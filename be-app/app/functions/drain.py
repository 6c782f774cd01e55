"""Work that no request starts: once a minute in Lambda, every second by `app.functions.worker` on one's own machine.

`handler` is the entry point of the function that a schedule starts.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import app.previews  # noqa: F401 - it registers what ends with a member.
from app.core.clock import now
from app.core.lazy import lazy_import
from app.core.observability import context, metrics
from app.core.process import process
from app.core.settings import settings
from app.core.write_path import events
from app.functions import invocation

# An idle minute must import, connect to and ask nothing but DynamoDB.
days = lazy_import("app.core.days")
inquiries = lazy_import("app.inquiries.retention")
inquiry_categories = lazy_import("app.inquiries.categories")
categories = lazy_import("app.categories.service")
members = lazy_import("app.members.service")
posts = lazy_import("app.posts.publication.scheduler")
view_counts = lazy_import("app.posts.publication.view_counts")
redirects = lazy_import("app.redirects.service")
uploads = lazy_import("app.uploads.processing")
cache = lazy_import("app.core.read_path.cache")
outbox = lazy_import("app.core.write_path.outbox")

logger = logging.getLogger(__name__)


async def run_due() -> bool:
    """Do the work that is due: publish scheduled posts, process uploads, destroy inquiries, drain the outbox.

    Return whether anything was due.

    Markers are removed only once all work that they may stand for is done, so a failure is tried again.
    """
    with context.correlated():
        at = now()
        markers = await events.due_markers(at)
        if not markers:
            return False
        ends = [marker for marker in markers if events.is_day_end(marker)]
        # The end of a day alone must not wake the database.
        if work := [marker for marker in markers if marker not in ends]:
            await _run(at, work)
        if ends:  # Last: if it fails, nothing else has to wait for it.
            await view_counts.close_day(at)
            await events.mark_day_end(days.end_of_day(at))
            for marker in ends:
                await events.clear_due(marker)
        return True


async def _run(at: datetime, markers: list[str]) -> None:
    # A marker's name begins with when it was due.
    metrics.add("outbox_lag_s", (at - datetime.fromisoformat(markers[0].partition("#")[0])).total_seconds())
    posts_done = await posts.run(at)
    looked_at = await uploads.work_due(at)
    drained = await outbox.drain()
    destroyed = await inquiries.run(at, recompute=any(map(events.is_retention, markers)))
    forgotten = not any(map(events.is_invalidation, markers)) or await cache.invalidate()
    complete = posts_done and looked_at and destroyed and drained and forgotten
    if complete:
        for marker in markers:
            await events.clear_due(marker)
    logger.info("scheduled_drain_completed", extra={"markers": len(markers), "complete": complete})


async def run_minute() -> None:
    """Do the work that is due; in a process's first run, also apply new retention periods of a release or setting."""
    applied = _applied()
    if not applied:
        await events.note_periods(f"{settings().version} {settings().inquiry_retention_days}")
        await events.mark_day_end(days.end_of_day(now()))
        applied.append(True)
    await run_due()


@process.keeps
def _applied() -> list[bool]:
    return []


async def restore() -> None:
    """Bring DynamoDB and the database back in step after one of them was lost or restored from a backup.

    Personal data that was destroyed is destroyed again before anything else. Nothing newer is overwritten, so it may
    run at any time, and twice. View counts that were lost stay lost.
    """
    await inquiries.rebuild()
    await members.rebuild()
    await inquiry_categories.rebuild()
    await categories.rebuild()
    await posts.rebuild()
    await redirects.rebuild()
    await uploads.rebuild()
    await outbox.drain()
    await cache.invalidate()


def handler(event: Mapping[str, Any], _: object) -> None:
    """Serve Lambda: do all due work, or `restore` when an operator sends `{"restore": true}`.

    A failure is raised, and the markers stay for the next minute.
    """
    invocation.serve("drain", restore() if event.get("restore") is True else run_minute())
