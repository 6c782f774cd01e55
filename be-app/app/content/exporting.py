"""From posts to what their files say, of which an import makes the same posts."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, cast

from anyio import to_thread
from sqlalchemy import select

from app.categories import service as categories
from app.categories.schemas import CategoryCreate
from app.content import aliases, stored
from app.content.schemas import FilePost
from app.content.stored import Address, Stored
from app.core.database.engine import reading
from app.core.http.schema import Model
from app.posts.fields import Lang, State
from app.posts.models import PUBLISHED, PostRevision
from app.posts.publication import addresses as post_addresses
from app.redirects.models import Redirect
from app.redirects.schemas import RedirectCreate
from app.uploads import repository, storage
from app.uploads.models import Upload
from app.uploads.schemas import AttachmentReference

_LINK_S = 3600

BATCH = stored.BATCH
"""Maximum number of posts in one request."""


class Listed(Model):
    """Where a post is found; its translations have the same key, which doesn't depend on ids."""

    id: uuid.UUID
    slug: str
    lang: str
    translation_key: str | None


class Outline(Model):
    """All that there is to export: categories in their order, and the addresses of all posts, by slug."""

    categories: list[CategoryCreate]
    posts: list[Listed]


class ExportedFile(Model):
    """A picture or attachment of a post, and a link to it that is good for an hour."""

    id: uuid.UUID
    name: str
    link: str


@dataclass(frozen=True)
class Exported:
    """A post's file but for slug and translation key, which the outline has; what of the post it doesn't carry."""

    id: uuid.UUID
    post: FilePost
    files: list[ExportedFile]
    """Files that the post names: its thumbnail, its pictures in their order, its attachments."""
    with_earlier_revisions: bool
    with_unpublished_edits: bool

    def dumped(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        files = [file.model_dump(mode="json") for file in self.files]
        return {**vars(self), "id": str(self.id), "post": self.post.model_dump(mode="json"), "files": files}

    @classmethod
    def loaded(cls, dumped: Mapping[str, Any]) -> Self:
        """Return what `dumped` made JSON of, unchecked: some of the rules are about the present."""
        post = dict(dumped["post"])
        for name in ("published_at", "scheduled_at"):
            post[name] = post[name] and datetime.fromisoformat(post[name])
        post["thumbnail"] = post["thumbnail"] and uuid.UUID(post["thumbnail"])
        post["attachments"] = [uuid.UUID(attached) for attached in post["attachments"]]
        return cls(
            **{
                **dumped,
                "id": uuid.UUID(dumped["id"]),
                "post": FilePost.model_construct(**post),
                "files": [ExportedFile.model_validate(file) for file in dumped["files"]],
            }
        )


async def outline() -> Outline:
    """Return what there is."""
    listed, __ = await categories.editorial()
    addresses = await stored.addresses()
    keys = _translation_keys(addresses)
    return Outline(
        categories=[CategoryCreate(slug=c.slug, name=c.name) for c in listed.items],
        posts=[
            Listed(id=a.id, slug=a.slug, lang=a.lang, translation_key=keys.get(a.translation_key))
            for a in addresses
        ],
    )


async def posts(ids: Collection[uuid.UUID]) -> list[Exported]:
    """Return those of at most `BATCH` posts that exist."""
    listed = await stored.by_id(ids)
    named = {uuid.UUID(file["id"]) for one in listed for file in _named(_shown(one))}
    async with reading() as session:
        pictures = await repository.pictures(session, named)
    # Signing a link takes a while.
    found = await to_thread.run_sync(lambda: [_exported(one, pictures) for one in listed])
    leading = await aliases.of_addresses([post_addresses.path(f.post.lang, f.post.slug) for f in found])
    for exported in found:
        exported.post.aliases = leading.get(post_addresses.path(exported.post.lang, exported.post.slug), [])
    return found


async def redirects() -> list[RedirectCreate]:
    """Return all redirects, those of posts' earlier addresses among them, in their order."""
    async with reading() as session:
        query = select(Redirect.path, Redirect.target).order_by(Redirect.id)
        found = await session.execute(query)
        # Stored redirects were validated when they were written.
        return [RedirectCreate.model_construct(path=path, target=target) for path, target in found]


def _shown(found: Stored) -> PostRevision:
    """Return the public revision of a published post, else the newest."""
    return found.public if found.post.state == PUBLISHED and found.public else found.newest


def _exported(found: Stored, pictures: Mapping[uuid.UUID, Upload]) -> Exported:
    """Return a post's file. The outline has its slug."""
    post, revision, category = found.post, _shown(found), found.post.category
    edited = bool(post.first_published_at and post.wished_slug)
    if post.state == PUBLISHED and post.published_category:
        category = post.published_category
        edited |= revision is not found.newest or category != post.category
    # Stored posts were validated when they were written, and some rules are about the present.
    said = FilePost.model_construct(
        title=revision.title,
        slug=post.slug,
        lang=cast("Lang", post.lang),
        category=category,
        tags=revision.tags,
        excerpt=revision.excerpt,
        thumbnail=uuid.UUID(revision.thumbnail["id"]) if revision.thumbnail else None,
        attachments=[uuid.UUID(attached["id"]) for attached in revision.attachments],
        body=revision.body,
        description=revision.description,
        canonical_url=revision.canonical_url,
        noindex=revision.noindex,
        state=cast("State", post.state),
        published_at=post.first_published_at,
        scheduled_at=post.scheduled_at,
        translation_key=None,
        aliases=[],
    )
    return Exported(
        id=post.id,
        post=said,
        files=[_file(AttachmentReference.model_validate(file), pictures) for file in _named(revision)],
        with_earlier_revisions=post.revision > 1,
        with_unpublished_edits=edited,
    )


def _named(revision: PostRevision) -> Collection[Any]:
    thumbnail = [revision.thumbnail] if revision.thumbnail else []
    return {
        file["id"]: file for file in (*thumbnail, *(revision.pictures or ()), *revision.attachments)
    }.values()


def _file(named: AttachmentReference, pictures: Mapping[uuid.UUID, Upload]) -> ExportedFile:
    """Return a file as it is now: a picture may have been replaced since the revision was written."""
    place, name, content_type = named.id, named.name, named.content_type
    if picture := pictures.get(named.id):
        place, name, content_type = picture.place, picture.name, picture.content_type
    link = storage.link(storage.file_key(place), name, content_type, _LINK_S)
    return ExportedFile(id=named.id, name=name, link=link)


def _translation_keys(addresses: Sequence[Address]) -> dict[uuid.UUID, str]:
    """Return for each group of translations a key that doesn't depend on the ids: the first of its slugs."""
    groups = defaultdict[uuid.UUID, list[str]](list)
    for address in addresses:
        groups[address.translation_key].append(address.slug)
    return {key: min(slugs) for key, slugs in groups.items() if len(slugs) > 1}
