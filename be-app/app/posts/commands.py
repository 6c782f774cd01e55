"""Rules of posts: writing, revising, and what becomes public when."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import update as update_statement
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from app.audit import service as audit
from app.auth.subject import SYSTEM, Subject
from app.authz.grant import Grant
from app.authz.guard import authorise, permitted
from app.core.clock import new_id, now, timestamp
from app.core.database.engine import reading, writing
from app.core.http import pagination
from app.core.http.problems import NotFound, PreconditionFailed, ValidationFailed
from app.core.offload import offload
from app.core.read_path import read_model as stored
from app.core.read_path.read_model import Snapshot
from app.core.write_path import events, idempotency, outbox
from app.posts import diff as diffs
from app.posts import markup, read_model, repository, searching
from app.posts.errors import SlugFixed, SlugTaken, StateForbids, TranslationExists
from app.posts.models import ARCHIVED, DRAFT, PUBLISHED, SCHEDULED, Post, PostRevision
from app.posts.schemas import (
    EditorialCard,
    EditorialCards,
    EditorialPost,
    EditorialQuery,
    PostContent,
    PostCreate,
    PostUpdate,
    PublicPost,
    Revision,
    RevisionCard,
    RevisionCards,
    RevisionDiff,
    SearchHit,
    SearchQuery,
)
from app.uploads import downloads as links
from app.uploads import repository as uploads
from app.uploads.models import Attachment
from app.uploads.schemas import AttachmentReference, DownloadCounts, Downloads

MAX_HTML_BYTES = 250_000
"""A snapshot must fit DynamoDB's 400 KB an item, with its card and the escapes of JSON."""

READ = "post:read-any"

_WITHDRAWALS = {
    "post:unpublish": (DRAFT, "post.unpublished"),
    "post:archive": (ARCHIVED, "post.archived"),
}
_DUE_BATCH = 100
_REBUILD_BATCH = 100


# -- writing ------------------------------------------------------------------------------------------------


async def create(
    request: PostCreate, key: str | None, actor: Subject, *, first_published_at: datetime | None = None
) -> EditorialPost:
    """Write a new draft; with an idempotency key, once.

    A post that moves in from elsewhere brings along when it was first published there.
    """

    async def write(transaction: outbox.Transaction, post_id: uuid.UUID) -> None:
        session, at = transaction.session, now()
        post = Post(
            id=post_id,
            slug=_slug_for(request.title, post_id),
            lang=request.lang,
            category=request.category,
            translation_key=post_id,
            state=DRAFT,
            revision=1,
            published_revision=None,
            published_category=None,
            first_published_at=first_published_at,
            published_at=None,
            scheduled_at=None,
            created_by=actor.id,
            created_at=at,
            updated_at=at,
        )
        if request.slug:
            await _wish_for_slug(session, post, request.slug, actor)
        await _relate(session, post, request, actor)
        revision = await _revise(session, post, request, actor, at)
        session.add(post)
        await _flush(session)
        session.add(revision)
        audit.record(session, actor.id, "post.created", f"post:{post_id}")

    post_id = await idempotency.create_once(f"posts:{actor.id}", key, request, write)
    async with reading() as session:
        return _editorial(*await _allowed(session, post_id, actor, READ))


async def update(
    post_id: uuid.UUID,
    request: PostUpdate,
    expected: int,
    actor: Subject,
    *,
    first_published_at: datetime | None = None,
) -> EditorialPost:
    """Write a new revision of a post. What is public stays as it is until the post is published again.

    A post that moved in from elsewhere may have its first publication's time put right.
    """
    async with outbox.transaction() as transaction:
        session = transaction.session
        post, _ = await _open(session, post_id, expected, actor, "post:update")
        if request.slug and request.slug != post.shown_slug:
            if post.first_published_at:
                raise SlugFixed
            await _wish_for_slug(session, post, request.slug, actor)
        post.category = request.category
        post.first_published_at = first_published_at or post.first_published_at
        await _relate(session, post, request, actor)
        return await _next_revision(session, post, request, actor, "post.updated")


async def restore(post_id: uuid.UUID, number: int, expected: int, actor: Subject) -> EditorialPost:
    """Make an earlier revision's content the newest revision."""
    async with outbox.transaction() as transaction:
        session = transaction.session
        post, _ = await _open(session, post_id, expected, actor, "post:update")
        old = await repository.revision(session, post_id, number)
        if old is None:
            raise NotFound
        # What is stored was checked by the rules of its time.
        content = PostContent.model_construct(
            title=old.title,
            excerpt=old.excerpt,
            body=old.body,
            tags=old.tags,
            thumbnail=uuid.UUID(old.thumbnail["id"]) if old.thumbnail else None,
            attachments=[uuid.UUID(a["id"]) for a in old.attachments],
        )
        return await _next_revision(session, post, content, actor, "post.restored", restored=number)


async def publish(post_id: uuid.UUID, expected: int, actor: Subject) -> EditorialPost:
    """Make the current revision public."""
    async with outbox.transaction() as transaction:
        post, revision = await _open(transaction.session, post_id, expected, actor, "post:publish")
        _forbid(post, ARCHIVED)
        await _publish(transaction, post, revision, actor, now())
        return _editorial(post, revision)


async def schedule(post_id: uuid.UUID, at: datetime, expected: int, actor: Subject) -> EditorialPost:
    """Have a draft's current revision published at a future time."""
    if at <= now():
        raise ValidationFailed.on("body.publishAt", "in_the_past", "must be in the future")
    async with outbox.transaction() as transaction:
        post, revision = await _open(transaction.session, post_id, expected, actor, "post:schedule")
        _forbid(post, PUBLISHED, ARCHIVED)
        await _claim(transaction.session, post)
        post.state, post.scheduled_at = SCHEDULED, at
        await _step(transaction, post, actor, "post.scheduled", at=timestamp(at))
        transaction.wake_at(at)
        return _editorial(post, revision)


async def unpublish(post_id: uuid.UUID, expected: int, actor: Subject) -> EditorialPost:
    """Take a post back to a draft, whatever it was."""
    return await _withdraw(post_id, expected, actor, "post:unpublish")


async def archive(post_id: uuid.UUID, expected: int, actor: Subject) -> EditorialPost:
    """Put a post away: not public, not in the way."""
    return await _withdraw(post_id, expected, actor, "post:archive")


async def publish_due(at: datetime) -> bool:
    """Publish scheduled posts whose time has come by `at`, each in a transaction; return whether all are."""
    async with reading() as session:
        due = await repository.due(session, at, _DUE_BATCH)
    for post_id in due:
        async with outbox.transaction() as transaction:
            found = await repository.current(transaction.session, post_id)
            # Somebody may have published or withdrawn it since; then the scheduler has nothing to do.
            if found and found[0].scheduled_at and found[0].scheduled_at <= at:
                await _publish(transaction, *found, SYSTEM, found[0].scheduled_at)
    return len(due) < _DUE_BATCH


async def rebuild() -> None:
    """Write to DynamoDB what the database says is public, and when to look for scheduled posts.

    For a table that was lost or restored from an older backup; a snapshot that is in date stays as it is. What is
    searched is made again, too: an earlier release may have folded it by other rules.
    """
    last = None
    while True:
        async with reading() as session:
            batch = await repository.once_published(session, after=last, limit=_REBUILD_BATCH)
            scheduled = await repository.scheduled(session) if last is None else ()
        for at in scheduled:
            await events.mark_due(at)
        for post, revision in batch:
            if revision and post.first_published_at:
                await _search_again(post, revision)
                public = await _public(post, revision, post.first_published_at)
                public.category = post.published_category or post.category
                await stored.replace(read_model.published(public, post.translation_key), post.version)
            else:
                await stored.replace(read_model.withdrawn(post.id), post.version)
        if len(batch) < _REBUILD_BATCH:
            return
        last = batch[-1][0].id


# -- reading ------------------------------------------------------------------------------------------------


async def read(post_id: uuid.UUID, actor: Subject) -> EditorialPost:
    """Return a post in whatever state, with its current revision."""
    async with reading() as session:
        return _editorial(*await _allowed(session, post_id, actor, READ))


async def listed(query: EditorialQuery, granted: Grant) -> EditorialCards:
    """Return a page of posts in any state, newest first; whoever may not see others' drafts sees none."""
    before = pagination.decode_id(query.cursor)
    async with reading() as session:
        found = await repository.page(
            session,
            state=query.state,
            lang=query.lang,
            category=query.category,
            before=before,
            limit=query.limit + 1,
            drafts_of=granted.subject.id if granted.obligations.get("ownDraftsOnly") else None,
        )
    page = found[: query.limit]
    return EditorialCards(
        items=[EditorialCard.model_validate({**_columns(post), "title": title}) for post, title in page],
        next_cursor=pagination.encode(str(page[-1][0].id)) if len(found) > query.limit else None,
    )


async def preview(post_id: uuid.UUID, actor: Subject) -> PublicPost:
    """Return a post's current revision as visitors would read it."""
    async with reading() as session:
        post, revision = await _allowed(session, post_id, actor, "post:preview")
    return await _public(post, revision, post.first_published_at or now())


async def history(post_id: uuid.UUID, actor: Subject) -> RevisionCards:
    """Return a post's revisions, newest first."""
    async with reading() as session:
        await _allowed(session, post_id, actor, READ)
        found = await repository.history(session, post_id)
    return RevisionCards(items=[RevisionCard.model_validate(row) for row in found])


async def revision(post_id: uuid.UUID, number: int, actor: Subject) -> Revision:
    """Return one revision."""
    async with reading() as session:
        await _allowed(session, post_id, actor, READ)
        return Revision.model_validate(await _revision(session, post_id, number))


async def diff(post_id: uuid.UUID, number: int, against: int, actor: Subject) -> RevisionDiff:
    """Compare two revisions of a post line by line."""
    async with reading() as session:
        await _allowed(session, post_id, actor, READ)
        before, after = await _revision(session, post_id, against), await _revision(session, post_id, number)
    unified = await offload(
        diffs.unified, _lines(before), _lines(after), f"revision {against}", f"revision {number}"
    )
    return RevisionDiff(before=against, after=number, unified=unified)


async def download(post_id: uuid.UUID, attachment_id: uuid.UUID, variant: str, actor: Subject) -> str:
    """Return the link to a file that any revision of a post names."""
    async with reading() as session:
        await _allowed(session, post_id, actor, READ)
        files = await repository.files(session, post_id)
    return links.link(links.named(files, attachment_id), variant)


async def downloads(post_id: uuid.UUID, actor: Subject) -> DownloadCounts:
    """Return how often a post's files were downloaded by visitors."""
    async with reading() as session:
        await _allowed(session, post_id, actor, READ)
    counted = await links.counts(post_id)
    return DownloadCounts(items=[Downloads(id=uuid.UUID(i), downloads=n) for i, n in counted.items()])


async def search(query: SearchQuery) -> bytes:
    """Return a page of published posts that hold every word, as JSON."""
    before, words = pagination.decode_ranked(query.cursor), searching.words(query.q)
    async with reading() as session:
        found = await repository.search(
            session,
            words,
            lang=query.lang,
            category=query.category,
            before=before,
            limit=query.limit + 1,
        )
    page, more = found[: query.limit], len(found) > query.limit
    hits = await offload(_hits, page, words)
    last = f"{page[-1].rank}#{read_model.sort_key(hits[-1])}" if more else None
    return read_model.cards(
        [orjson.dumps(h.model_dump(mode="json", by_alias=True)).decode() for h in hits], last
    )


def _hits(page: Sequence[repository.Hit], words: Sequence[str]) -> list[SearchHit]:
    return [_hit(hit, words, searching.SCANNED // len(page)) for hit in page]


def _hit(hit: repository.Hit, words: Sequence[str], scanned: int) -> SearchHit:
    post, revision = hit.post, hit.revision
    assert post.first_published_at  # noqa: S101 - only what is public is found
    card = _card(post, revision, post.first_published_at)
    text = card["excerpt"] if hit.plain_text is None else hit.plain_text
    more = {"category": post.published_category, "snippet": searching.snippet(text, words, scanned)}
    return SearchHit.model_validate(card | more)


# -- how ----------------------------------------------------------------------------------------------------


async def _found(session: AsyncSession, post_id: uuid.UUID) -> tuple[Post, PostRevision]:
    found = await repository.current(session, post_id)
    if found is None:
        raise NotFound
    return found


def _object(post: Post) -> dict[str, Any]:
    """Return what the policy is told of a post; `draft` is whether it never was public, whatever its state."""
    return {"type": "post", "id": str(post.id), "owner": post.created_by, "draft": post.private}


async def _allowed(
    session: AsyncSession, post_id: uuid.UUID, actor: Subject, action: str
) -> tuple[Post, PostRevision]:
    post, revision = await _found(session, post_id)
    authorise(actor, action, _object(post))
    return post, revision


async def _open(
    session: AsyncSession, post_id: uuid.UUID, expected: int, actor: Subject, action: str
) -> tuple[Post, PostRevision]:
    post, revision = await _allowed(session, post_id, actor, action)
    if post.version != expected:
        raise PreconditionFailed(f"The post is at version {post.version}; read it again.")
    return post, revision


async def _revision(session: AsyncSession, post_id: uuid.UUID, number: int) -> PostRevision:
    found = await repository.revision(session, post_id, number)
    if found is None:
        raise NotFound
    return found


def _forbid(post: Post, *states: str) -> None:
    if post.state in states:
        raise StateForbids(f"The post is {post.state}; unpublish it first.")


async def _flush(session: AsyncSession) -> None:
    """Send the changes; translate what another editor's commit made impossible."""
    try:
        await session.flush()
    except StaleDataError:
        raise PreconditionFailed from None
    except IntegrityError as error:
        reason = str(error.orig).lower()
        if "foreign key" in reason:
            raise ValidationFailed.on(
                "body.category", "unknown_category", "must be an existing category"
            ) from None
        if "translation_key" in reason:
            raise TranslationExists from None
        raise SlugTaken from None


async def _wish_for_slug(session: AsyncSession, post: Post, slug: str, actor: Subject) -> None:
    """Give a post a slug, or have it wish for the one that another holds.

    Only a post that the actor may read is a reason to refuse: whether there is another is no business of theirs.
    """
    others = await repository.wishing(session, post, slug=slug)
    if any(permitted(actor, READ, _object(other)) for other in others):
        raise SlugTaken
    if any(other.slug == slug for other in others):
        post.slug, post.wished_slug = _placeholder(post), slug
    else:
        post.slug, post.wished_slug = slug, None
    if post.claims:
        await _claim(session, post)


async def _relate(session: AsyncSession, post: Post, request: PostUpdate, actor: Subject) -> None:
    """Put a post into the group of the post that it translates; alone, it is a group of its own.

    Where a post that the actor may not read has the place, this one wishes for it.
    """
    if request.translation_of is None:
        alone = post.id
        # Another post may have claimed the group that bears this one's id.
        if post.translation_key != alone and await repository.wishing(session, post, group=alone):
            alone = new_id()
        post.translation_key, post.wished_translation_key = alone, None
        return
    found = await repository.current(session, request.translation_of)
    if found is None or found[0].id == post.id or not permitted(actor, READ, _object(found[0])):
        raise ValidationFailed.on("body.translationOf", "unknown_post", "must be the id of another post")
    group = found[0].shown_translation_key
    if group == post.shown_translation_key:
        return
    others = await repository.wishing(session, post, group=group)
    if any(permitted(actor, READ, _object(other)) for other in others):
        raise TranslationExists
    if any(other.translation_key == group for other in others):
        post.translation_key, post.wished_translation_key = post.id, group
    else:
        post.translation_key, post.wished_translation_key = group, None
    if post.claims:
        await _claim(session, post)


async def _claim(session: AsyncSession, post: Post) -> None:
    """Make a post's slug and group of translations its own; a post that merely held them wishes for them now.

    Raises `SlugTaken` or `TranslationExists` where another's are for good.
    """
    if (slug := post.wished_slug) is not None:
        for other in await repository.wishing(session, post, slug=slug):
            if other.slug == slug:
                if other.claims:
                    raise SlugTaken
                await _displace(session, other, slug=_placeholder(other), wished_slug=slug)
        post.slug, post.wished_slug = slug, None
    if (group := post.wished_translation_key) is not None:
        for other in await repository.wishing(session, post, group=group):
            if other.translation_key == group:
                if other.claims:
                    raise TranslationExists
                await _displace(session, other, translation_key=new_id(), wished_translation_key=group)
        post.translation_key, post.wished_translation_key = group, None


async def _displace(session: AsyncSession, post: Post, **values: Any) -> None:
    # Past the mapper, so that the version stays: to its author, nothing about the post has changed.
    statement = update_statement(Post).where(Post.id == post.id).values(values)
    await session.execute(statement, execution_options={"synchronize_session": False})


def _placeholder(post: Post) -> str:
    """Return what stands for a slug where a post has none of its own; no slug looks so."""
    return f"~{post.id.hex}"


async def _revise(
    session: AsyncSession, post: Post, content: PostContent, actor: Subject, at: datetime
) -> PostRevision:
    """Make the row of a post's newest revision."""
    wanted = [*content.attachments, *([content.thumbnail] if content.thumbnail else [])]
    known = await _attachable(session, post, wanted, actor)
    for field, ids in (("thumbnail", [content.thumbnail]), ("attachments", content.attachments)):
        if any(i is not None and i not in known for i in ids):
            raise ValidationFailed.on(f"body.{field}", "unknown_upload", "must name completed uploads")

    def reference(upload: uuid.UUID) -> dict[str, Any]:
        return AttachmentReference.model_validate(known[upload]).model_dump(mode="json")

    if len((await offload(markup.to_html, content.body)).encode()) > MAX_HTML_BYTES:
        raise ValidationFailed.on(
            "body.body", "too_long_rendered", f"must render to at most {MAX_HTML_BYTES} bytes"
        )
    return PostRevision(
        post_id=post.id,
        number=post.revision,
        title=content.title,
        excerpt=content.excerpt,
        body=content.body,
        tags=content.tags,
        thumbnail=content.thumbnail and reference(content.thumbnail),
        attachments=[reference(a) for a in content.attachments],
        created_by=actor.id,
        created_at=at,
    )


async def _attachable(
    session: AsyncSession, post: Post, wanted: Sequence[uuid.UUID], actor: Subject
) -> dict[uuid.UUID, Attachment]:
    """Return those of the wanted files that exist and that the actor may attach.

    What a revision of the post names already goes with the post: who may change the post has it.
    """
    known = dict(await uploads.by_ids(session, wanted))
    foreign = [upload for upload, file in known.items() if file.created_by != actor.id]
    if foreign:
        named = {file["id"] for file in await repository.files(session, post.id)}
        for upload in foreign:
            if str(upload) in named:
                continue
            public = await repository.shows(session, upload)
            file = {"type": "upload", "owner": known[upload].created_by, "public": public}
            if not permitted(actor, "upload:attach", file):
                del known[upload]
    return known


async def _next_revision(
    session: AsyncSession, post: Post, content: PostContent, actor: Subject, action: str, **detail: Any
) -> EditorialPost:
    post.revision += 1
    post.updated_at = now()
    revision = await _revise(session, post, content, actor, post.updated_at)
    await _flush(session)
    session.add(revision)
    audit.record(session, actor.id, action, f"post:{post.id}", revision=post.revision, **detail)
    return _editorial(post, revision)


async def _publish(
    transaction: outbox.Transaction, post: Post, revision: PostRevision, actor: Subject, at: datetime
) -> None:
    await _claim(transaction.session, post)
    post.state, post.scheduled_at = PUBLISHED, None
    post.published_revision, post.published_category = post.revision, post.category
    post.first_published_at, post.published_at = post.first_published_at or at, at
    public = await _public(post, revision, post.first_published_at)
    post.plain_text, post.search_text = await offload(_searched, revision, public.html)
    snapshot = read_model.published(public, post.translation_key)
    await _step(transaction, post, actor, "post.published", snapshot, revision=post.revision)


def _searched(revision: PostRevision, rendered: str) -> tuple[str, str]:
    """Return a revision's text as people read it, and as it is searched."""
    plain = "\n".join([*([revision.excerpt] if revision.excerpt else []), *markup.to_blocks(rendered)])
    return plain, searching.searchable(revision.title, revision.tags, plain)


async def _search_again(post: Post, revision: PostRevision) -> None:
    """Make again what is searched of a published post, unless the post has changed meanwhile."""
    rendered = await offload(markup.to_html, revision.body)
    plain, searched = await offload(_searched, revision, rendered)
    unchanged = (Post.id == post.id, Post.version == post.version)
    statement = update_statement(Post).where(*unchanged).values(plain_text=plain, search_text=searched)
    async with writing() as session:
        await session.execute(statement, execution_options={"synchronize_session": False})


async def _withdraw(post_id: uuid.UUID, expected: int, actor: Subject, asked: str) -> EditorialPost:
    state, action = _WITHDRAWALS[asked]
    async with outbox.transaction() as transaction:
        post, revision = await _open(transaction.session, post_id, expected, actor, asked)
        was_public = post.state == PUBLISHED
        post.state, post.scheduled_at = state, None
        post.published_revision = post.published_category = post.search_text = post.plain_text = None
        await _step(transaction, post, actor, action, read_model.withdrawn(post.id) if was_public else None)
        return _editorial(post, revision)


async def _step(
    transaction: outbox.Transaction,
    post: Post,
    actor: Subject,
    action: str,
    snapshot: Snapshot | None = None,
    **detail: Any,
) -> None:
    """Record a change of state, and owe its event and snapshot."""
    post.updated_at = now()
    await _flush(transaction.session)
    audit.record(transaction.session, actor.id, action, f"post:{post.id}", **detail)
    if snapshot:
        data = {"postId": str(post.id), "slug": post.slug, "lang": post.lang, "category": post.category}
        transaction.emit(f"post:{post.id}", post.version, action, data, snapshot)


def _slug_for(title: str, post_id: uuid.UUID) -> str:
    # The id's last digits are random; two posts of one title get different addresses without asking anybody.
    return "-".join(part for part in (markup.slugify(title), post_id.hex[-6:]) if part)


_COLUMNS: Sequence[str] = [n for n in EditorialCard.model_fields if n != "title"]


def _columns(post: Post) -> dict[str, Any]:
    shown = {"slug": post.shown_slug, "translation_key": post.shown_translation_key}
    return {name: getattr(post, name) for name in _COLUMNS} | shown


def _content(revision: PostRevision) -> dict[str, Any]:
    names = ("title", "excerpt", "body", "tags", "thumbnail", "attachments")
    return {name: getattr(revision, name) for name in names}


def _editorial(post: Post, revision: PostRevision) -> EditorialPost:
    return EditorialPost.model_validate({**_columns(post), **_content(revision)})


def _card(post: Post, revision: PostRevision, published_at: datetime) -> dict[str, Any]:
    # The public sees a change when it is published, not when it is written.
    public = revision.number == post.published_revision and post.published_at
    return {
        **_columns(post),
        **_content(revision),
        "excerpt": revision.excerpt or markup.excerpt(revision.body),
        "published_at": published_at,
        "updated_at": max(public or revision.created_at, published_at),
    }


async def _public(post: Post, revision: PostRevision, published_at: datetime) -> PublicPost:
    return await offload(_rendered, post, revision, published_at)


def _rendered(post: Post, revision: PostRevision, published_at: datetime) -> PublicPost:
    return PublicPost.model_validate(
        {
            **_card(post, revision, published_at),
            "html": markup.to_html(revision.body),
            "view_count": 0,
            "translations": [],
        }
    )


def _lines(revision: PostRevision) -> list[str]:
    head = (
        f"title: {revision.title}",
        f"excerpt: {revision.excerpt}",
        f"tags: {', '.join(revision.tags)}",
        "",
    )
    return [*head, *revision.body.split("\n")]
