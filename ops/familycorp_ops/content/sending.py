"""Sending the files of an import: those that aren't there yet, a few at a time, each checked as every upload is."""

import asyncio
import os
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from gettext import gettext as _
from typing import Any

import httpx

from app.content.importing import IMPORTER
from app.core.translation import Text
from app.uploads import moving
from app.uploads.models import CLEAN, REJECTED
from app.uploads.moving import Arrival, Moved
from app.uploads.reasons import REASONS
from app.uploads.schemas import PART_BYTES
from familycorp_ops import messages
from familycorp_ops.admin.operator import Operator
from familycorp_ops.content import uploads
from familycorp_ops.content.uploads import Named
from familycorp_ops.environment import CommandError

_AT_ONCE = 4
"""How many files are under way: checking an image takes a processor."""

_TRIES = 3
_LOOKS_AGAIN_S = 1.0
_CHECKED_WITHIN_S = 900.0
_TIMEOUT_S = 300.0


class Way:
    """Where files are sent; this is the way into the stores that the settings name."""

    async def arrivals(self, ids: Sequence[uuid.UUID]) -> list[Arrival]:
        """Return those of some files that needn't be sent."""
        return await moving.arrivals(ids)

    async def expect(self, file: Moved) -> Arrival:
        """Return how to send a file."""
        return await moving.expect(file, IMPORTER)

    async def sent(self, file: uuid.UUID) -> Arrival:
        """Return how far a file is that was sent."""
        return await moving.sent(file, checks=True)


class RemoteWay(Way):
    """The way into an environment in AWS.

    Args:
        operator: its operator functions.
    """

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    async def arrivals(self, ids: Sequence[uuid.UUID]) -> list[Arrival]:
        """Return those of some files that needn't be sent."""
        return [
            Arrival.model_validate(item) for item in await self._ask("content.files", ids=list(map(str, ids)))
        ]

    async def expect(self, file: Moved) -> Arrival:
        """Return how to send a file."""
        return Arrival.model_validate(
            await self._ask("content.expect-file", file=file.model_dump(mode="json", by_alias=True))
        )

    async def sent(self, file: uuid.UUID) -> Arrival:
        """Return how far a file is that was sent."""
        return Arrival.model_validate(await self._ask("content.sent-file", file=str(file)))

    async def _ask(self, command: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._operator.write, command, **arguments)


class Sending:
    """The files of an import on their way.

    Args:
        way: where they are sent.
        files: the files.
        progress: receives how many of how many are there.
    """

    def __init__(self, way: Way, files: Sequence[Named], progress: Callable[[int, int], None]) -> None:
        self._way, self._files, self._progress = way, files, progress
        self.missing: list[Named] = []
        """Files that have to be sent, or were."""
        self.refused: dict[uuid.UUID, str] = {}
        """Why files were refused, by id."""
        self.there = 0
        """How many files were there already."""
        self._done = 0

    async def look(self) -> None:
        """Find out which files are there."""
        found: dict[uuid.UUID, Arrival] = {}
        for start in range(0, len(self._files), moving.TOGETHER):
            part = self._files[start : start + moving.TOGETHER]
            found |= {a.id: a for a in await self._way.arrivals([named.moved.id for named in part])}
        for named in self._files:
            arrival = found.get(named.moved.id)
            if arrival is None or arrival.state not in {CLEAN, REJECTED}:
                self.missing.append(named)
            elif arrival.state == REJECTED:
                self.refused[arrival.id] = _why(arrival)
        self._done = len(self._files) - len(self.missing)
        self.there = self._done - len(self.refused)

    async def send(self) -> None:
        """Send what isn't there; raise `CommandError` where that can't be done."""
        if not self.missing:
            return
        trusted = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        waiting = iter(self.missing)
        client = httpx.AsyncClient(verify=trusted, timeout=_TIMEOUT_S)
        async with client, asyncio.TaskGroup() as group:
            for __ in range(_AT_ONCE):
                group.create_task(self._take(client, waiting))

    async def _take(self, client: httpx.AsyncClient, waiting: Any) -> None:
        for named in waiting:
            arrival = await self._sent(client, named)
            if arrival.state == REJECTED:
                self.refused[arrival.id] = _why(arrival)
            self._done += 1
            self._progress(self._done, len(self._files))

    async def _sent(self, client: httpx.AsyncClient, named: Named) -> Arrival:
        arrival = await self._way.expect(named.moved)
        for tried in range(1, _TRIES + 1):
            try:
                await _deliver(client, named, arrival)
                break
            except (httpx.HTTPError, OSError) as error:
                if tried == _TRIES:
                    raise CommandError(
                        _("{file} can't be sent: {reason}.").format(file=named.path, reason=error)
                    ) from None
                await asyncio.sleep(_LOOKS_AGAIN_S)
                arrival = await self._way.expect(named.moved)
        until = time.monotonic() + _CHECKED_WITHIN_S
        while arrival.state not in {CLEAN, REJECTED}:
            arrival = await self._way.sent(named.moved.id)
            if arrival.state not in {CLEAN, REJECTED}:
                if time.monotonic() > until:
                    raise CommandError(
                        _("{file} is still being checked: run the same command again later.").format(
                            file=named.path
                        )
                    )
                await asyncio.sleep(_LOOKS_AGAIN_S)
        return arrival


def _why(arrival: Arrival) -> str:
    """Return why a file was refused, in the command's language."""
    reason = arrival.reason or ""
    return Text(REASONS[reason]).in_language(messages.chosen()) if reason in REASONS else reason


async def _deliver(client: httpx.AsyncClient, named: Named, arrival: Arrival) -> None:
    """Send a file as its arrival says; raise `httpx.HTTPError` or `OSError`."""
    if arrival.form is not None:
        with named.path.open("rb") as file:
            answer = await client.post(
                str(arrival.form.url), data=arrival.form.fields, files={"file": (named.moved.name, file)}
            )
        answer.raise_for_status()
    wanted = {part.number: part for part in arrival.parts}
    for number, block in enumerate(uploads.blocks(named.path, PART_BYTES), start=1):
        if part := wanted.get(number):
            (await client.put(str(part.url), content=block, headers=part.headers)).raise_for_status()
