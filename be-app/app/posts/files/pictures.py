"""Pictures in posts: `![alt](upload:ID)` becomes `<picture>`, and what an editor should know about them.

A text names a picture by its upload's id. Addresses are filled in when the text is shown, so that a draft, its
preview and the published post have the same form.
"""

import html
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.posts.models import PostRevision
from app.posts.schemas import EditorWarning, WarningCode
from app.uploads import repository as uploads
from app.uploads.pictures import renditions as uploaded
from app.uploads.pictures.renditions import Pictures
from app.uploads.schemas import AttachmentReference, ResponsivePicture

MOST: Final = 50
"""Pictures that a text may show: a read model has the addresses of all their renditions."""

SCHEME: Final = "upload:"

SIZES: Final = "(min-width: 50rem) 50rem, 100vw"
"""Width of a picture for `sizes`: the page's, up to that of a column of text."""

# In sanitised HTML each `<` of a text is escaped; one in an attribute stands between quotes.
_TAG: Final = re.compile(r'<[^<>"]*(?:"[^"]*"[^<>"]*)*>')
_LINK: Final = re.compile(rf' href="{SCHEME}[^"]*"')
_ATTRIBUTE: Final = re.compile(r' ([a-z]+)="([^"]*)"')


class Image(NamedTuple):
    """An image of a text: its address, the upload that the address names, its alternative text and title."""

    src: str
    upload: uuid.UUID | None
    alt: str
    title: str


def _image(tag: str) -> Image | None:
    """Return the image that a tag shows; None for another tag."""
    if not tag.startswith("<img"):
        return None
    found = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(tag)}
    src = found.get("src", "")
    return Image(src, _upload(src), found.get("alt", "").strip(), found.get("title", ""))


def _upload(src: str) -> uuid.UUID | None:
    if not src.startswith(SCHEME):
        return None
    try:
        return uuid.UUID(src.removeprefix(SCHEME))
    except ValueError:
        return None


def images(rendered: str) -> list[Image]:
    """Return the images of a text in rendered HTML, in their order."""
    return [image for tag in _TAG.finditer(rendered) if (image := _image(tag[0]))]


def warnings(named: Sequence[Image], known: Pictures, lang: str) -> list[EditorWarning]:
    """Return what an editor should put right about a text's images; an upload may have an alternative text."""
    codes = ((_code(image, known, lang), image.src) for image in named)
    return [EditorWarning(code=code, subject=src) for code, src in dict.fromkeys(codes) if code]


def _code(image: Image, known: Pictures, lang: str) -> WarningCode | None:
    if image.src.startswith(("http:", "https:", "//")):
        return "picture_hotlinked"
    if image.upload is None:
        return "picture_address"
    return None if image.alt or known[image.upload].alt_in(lang) else "alt_missing"


async def named_by(session: AsyncSession, *revisions: PostRevision) -> Pictures:
    """Return the images with renditions that revisions show or attach: one query, or none."""
    files = [file for revision in revisions for file in (*_shown(revision), *revision.attachments)]
    ids = {uuid.UUID(file["id"]) for file in files if file["content_type"].startswith("image/")}
    return await uploads.pictures(session, ids)


def _shown(revision: PostRevision) -> list[dict[str, Any]]:
    return [file for file in (*(revision.pictures or ()), revision.thumbnail) if file]


def shown_by(revision: PostRevision, known: Pictures) -> Pictures:
    """Return those of the known images that a revision shows in its text or in lists."""
    ids = {uuid.UUID(file["id"]) for file in _shown(revision)}
    return {upload: known[upload] for upload in ids if upload in known}


def current(file: Mapping[str, Any], known: Pictures) -> Mapping[str, Any]:
    """Return the reference to a file as it is now: an image may have been replaced since a revision named it."""
    image = known.get(uuid.UUID(file["id"]))
    return AttachmentReference.model_validate(image).model_dump(mode="json") if image else file


async def replaced(session: AsyncSession, file: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reference to a file that a revision names as it is now."""
    return current(file, await uploads.pictures(session, [uuid.UUID(file["id"])]))


def thumbnail(
    revision: PostRevision, known: Pictures, lang: str, *, public: bool
) -> ResponsivePicture | None:
    """Return the picture of a revision in lists."""
    file = known.get(uuid.UUID(revision.thumbnail["id"])) if revision.thumbnail else None
    return uploaded.shown(file, file.alt_in(lang), public=public) if file else None


class Filled(NamedTuple):
    """A text with its pictures: as HTML, and each picture where it first stands."""

    html: str
    pictures: list[ResponsivePicture]


def fill(rendered: str, known: Pictures, lang: str, *, public: bool) -> Filled:
    """Put pictures where rendered HTML names them; one that isn't known leaves its alternative text.

    Where the text has no alternative text, the upload's in the post's language serves.
    """
    found: dict[tuple[uuid.UUID, str], ResponsivePicture] = {}

    def put(tag: re.Match[str]) -> str:
        image = _image(tag[0])
        if image is None or not image.src.startswith(SCHEME):
            return _LINK.sub("", tag[0])
        file = known.get(image.upload) if image.upload else None
        if file is None:
            return html.escape(image.alt)
        key = file.id, image.alt or file.alt_in(lang)
        if key not in found:
            found[key] = uploaded.shown(file, key[1], public=public)
        return _element(found[key], image.title, lazily=len(found) > 1)

    return Filled(_TAG.sub(put, rendered), list(found.values()))


def _element(picture: ResponsivePicture, title: str, *, lazily: bool) -> str:
    """Return a picture as HTML. All but the first load when a reader comes near them."""
    *sources, (_, fallback) = picture.srcset.items()
    made = [f"<source{_attributes({'type': kind, 'srcset': s, 'sizes': SIZES})}>" for kind, s in sources]
    image = {
        "src": picture.src,
        "srcset": fallback,
        "sizes": SIZES,
        "width": str(picture.width),
        "height": str(picture.height),
        "alt": picture.alt,
        **({"title": title} if title else {}),
        "loading": "lazy" if lazily else "eager",
        "decoding": "async",
    }
    return f"<picture>{''.join(made)}<img{_attributes(image)}></picture>"


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f' {name}="{html.escape(value)}"' for name, value in values.items())


def ids(named: Sequence[Image]) -> list[uuid.UUID]:
    """Return the uploads that a text shows, each once."""
    return list(dict.fromkeys(image.upload for image in named if image.upload))
