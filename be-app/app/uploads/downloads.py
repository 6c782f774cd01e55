"""Downloads: who may have a file of a post is given a link that is good for a minute.

A visitor's download needs no database: public files are in the post's read model, and a key is made of an id. A GET
changes nothing, so counting is a request of its own, as for views.
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from app.core.http.problems import NotFound
from app.core.read_path import read_model
from app.uploads import storage
from app.uploads.kinds import KINDS, THUMBNAILS

_COUNTER = "downloads."


async def public(post_id: uuid.UUID, attachment_id: uuid.UUID, variant: str) -> str:
    """Return the link to a file of a published post; raise `NotFound` for anything that is not public now."""
    return link(await _public_file(post_id, attachment_id), variant)


async def count(post_id: uuid.UUID, attachment_id: uuid.UUID) -> None:
    """Count one download of a file of a published post; raise `NotFound` for anything that is not public now."""
    await _public_file(post_id, attachment_id)
    await read_model.increment(str(post_id), f"{_COUNTER}{attachment_id}")


async def counts(post_id: uuid.UUID) -> dict[str, int]:
    """Return how often each file of a post was downloaded while it was public."""
    _, counters = await read_model.with_counters(str(post_id))
    return {name.removeprefix(_COUNTER): n for name, n in counters.items() if name.startswith(_COUNTER)}


async def _public_file(post_id: uuid.UUID, attachment_id: uuid.UUID) -> Mapping[str, Any]:
    item = await read_model.get(str(post_id))
    if item is None or "page" not in item:
        raise NotFound
    page = orjson.loads(item["page"])
    return named([*page["attachments"], page["thumbnail"]], attachment_id)


def named(files: Iterable[Mapping[str, Any] | None], attachment_id: uuid.UUID) -> Mapping[str, Any]:
    """Return the reference to a file among those that a post names; raise `NotFound` if it names no such."""
    for file in files:
        if file is not None and file["id"] == str(attachment_id):
            return file
    raise NotFound


def link(file: Mapping[str, Any], variant: str) -> str:
    """Return the link to a file, given as its reference; only images have variants."""
    name = file["name"]
    content_type = file.get("contentType") or file["content_type"]
    if variant != "original":
        if content_type not in KINDS or KINDS[content_type].family != "image":
            raise NotFound
        suffix = variant.rpartition(".")[2]
        name, content_type = f"{name.rpartition('.')[0]}.{suffix}", THUMBNAILS[suffix]
    place = file.get("storedAs") or file.get("stored_as") or file["id"]
    return storage.link(storage.file_key(uuid.UUID(place), variant), name, content_type)
