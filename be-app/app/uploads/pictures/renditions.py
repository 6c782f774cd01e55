"""Pictures: an image's renditions as pages and lists show them.

A public picture's addresses lead to the media bucket (see `media`); those of a draft are links to the private files,
which are good for a quarter of an hour.
"""

import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from app.uploads import storage
from app.uploads.kinds import THUMBNAILS
from app.uploads.models import Upload
from app.uploads.pictures import media
from app.uploads.schemas import CENTRE, Focus, ResponsivePicture

DRAFT_LINK_S = 900

_FALLBACK = 1024
"""Width of the rendition for browsers that know no `srcset`, for feeds and for previews of links."""

Pictures = Mapping[uuid.UUID, Upload]
"""Images that have renditions, by id."""


def shown(file: Upload, alt: str, *, public: bool) -> ResponsivePicture:
    """Return an image as a picture. Signing a draft's addresses takes a while: call this in a worker thread."""
    made: Mapping[str, Any] = file.picture or {}
    address = partial(media.address, made["digest"]) if public else partial(_draft_address, file)
    files: Mapping[str, list[int]] = made["files"]
    return ResponsivePicture(
        id=file.id,
        src=address(f"{_nearest(files['jpg'])}.jpg"),
        srcset={THUMBNAILS[kind]: _srcset(widths, kind, address) for kind, widths in files.items()},
        width=made["width"],
        height=made["height"],
        alt=alt,
        placeholder=made["placeholder"],
        focus=Focus.model_validate(file.focus) if file.focus else CENTRE,
    )


def _srcset(widths: list[int], kind: str, address: Callable[[str], str]) -> str:
    return ", ".join(f"{address(f'{width}.{kind}')} {width}w" for width in widths)


def _nearest(widths: list[int]) -> int:
    return next((width for width in widths if width >= _FALLBACK), widths[-1])


def _draft_address(file: Upload, variant: str) -> str:
    kind = variant.rpartition(".")[2]
    name = f"{Path(file.name).stem}.{kind}"
    return storage.link(storage.file_key(file.place, variant), name, THUMBNAILS[kind], DRAFT_LINK_S)
