"""The files of an export: each is taken once, under a name of its own."""

import asyncio
import hashlib
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from gettext import gettext as _
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx

from app.content.exporting import ExportedFile
from app.uploads.schemas import shown_name
from familycorp_ops.content import manifest, uploads
from familycorp_ops.content.uploads import Exported
from familycorp_ops.environment import CommandError

_AT_ONCE = 4
_TIMEOUT_S = 120.0
_LONGEST_NAME = 200
"""Bytes that a name may have here, of the 255 that systems take."""

_GONE = {403, 404}
"""How S3 answers for what isn't there: 403 where the role may not list."""


class Taking:
    """The files of an export's posts.

    Args:
        directory: where the export is written.
        earlier: what an earlier export wrote there; of that, a file that is still the same isn't taken again.
    """

    def __init__(self, directory: Path, earlier: Mapping[str, Exported | None]) -> None:
        self._directory, self._earlier = directory, earlier
        self._names: dict[UUID, str] = {}
        self._taken: set[str] = set()
        self.written: dict[str, Exported | None] = {}
        """The files that are there, for the manifest."""
        self.missing: set[UUID] = set()
        """Files that the storage doesn't have."""
        trusted = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        self._client = httpx.AsyncClient(verify=trusted, timeout=_TIMEOUT_S)

    async def take(self, files: Iterable[ExportedFile]) -> None:
        """Take files; raise `CommandError` where that can't be done."""
        waiting = iter([file for file in files if self._named(file)])

        async def work() -> None:
            for file in waiting:
                await self._take(file)

        await asyncio.gather(*(work() for __ in range(_AT_ONCE)))

    def address(self, file: UUID) -> str | None:
        """Return a file's address below the folder; None where the file isn't there."""
        name = self._names.get(file)
        if name is None or file in self.missing:
            return None
        return "/" + re.sub("[%#]", lambda found: f"%{ord(found[0]):02X}", name)

    def _named(self, file: ExportedFile) -> bool:
        """Give a file its name, unless it has one; of two alike the second gets a number."""
        if file.id in self._names:
            return False
        stem, dot, suffix = shown_name(file.name).rpartition(".")
        stem = stem.encode()[:_LONGEST_NAME].decode(errors="ignore").strip() or "file"
        wishes = (
            f"{stem}{f'-{number}' if number > 1 else ''}{dot}{suffix}" for number in range(1, 1_000_000)
        )
        name = next(wish for wish in wishes if wish.casefold() not in self._taken)
        self._taken.add(name.casefold())
        self._names[file.id] = f"{manifest.FILES}{name}"
        return True

    async def _take(self, file: ExportedFile) -> None:
        name = self._names[file.id]
        path = self._directory / name
        known = self._earlier.get(name)
        if known and known.upload == file.id and path.is_file() and uploads.sha256(path) == known.sha256:
            self.written[name] = known
            return
        path.parent.mkdir(exist_ok=True)
        part, digest = path.with_name(f".{path.name}.part"), hashlib.sha256()
        try:
            async with self._client.stream("GET", file.link) as answer:
                if answer.status_code in _GONE:
                    self.missing.add(file.id)
                    return
                answer.raise_for_status()
                with part.open("wb") as out:
                    async for block in answer.aiter_bytes():
                        digest.update(block)
                        out.write(block)
        except httpx.HTTPError as error:
            raise CommandError(
                _("{file} can't be taken: {reason}.").format(file=name, reason=error)
            ) from None
        part.replace(path)
        self.written[name] = Exported(file.id, digest.hexdigest())

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)
