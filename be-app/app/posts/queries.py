"""Reading posts: as editors see them, in any state, and visitors' search."""

import uuid
from collections.abc import Sequence

import orjson

from app.auth.subject import Subject
from app.authz.grant import Grant
from app.core.clock import now
from app.core.database.engine import reading
from app.core.http import pagination
from app.core.http.pagination import Page
from app.core.offload import offload
from app.posts import repository, revisions
from app.posts.editing import listing
from app.posts.files import pictures
from app.posts.models import PostRevision
from app.posts.permission import READ, allowed
from app.posts.publication import read_model, views
from app.posts.schemas import (
    EditorialPost,
    EditorialQuery,
    EditorialSummary,
    PublicPost,
    Revision,
    RevisionDiff,
    Revisions,
    RevisionSummary,
    SearchHit,
    SearchQuery,
)
from app.posts.text import diff as diffs
from app.posts.text import markup, searching
from app.uploads import downloads as links
from app.uploads.pictures.renditions import Pictures
from app.uploads.schemas import DownloadCounts, Downloads


async def read(post_id: uuid.UUID, actor: Subject) -> EditorialPost:
    """Return a post in any state, with its current revision."""
    async with reading() as session:
        return views.editorial(*await allowed(session, post_id, actor, READ), actor)


async def listed(query: EditorialQuery, granted: Grant) -> Page[EditorialSummary]:
    """Return a page of posts in any state, without others' drafts where the caller may not see them."""
    after = pagination.decode_timed(query.cursor)
    async with reading() as session:
        translated = None
        if query.translation_of is not None:
            translated, _ = await allowed(session, query.translation_of, granted.subject, READ)
        found = await listing.page(
            session, query, granted, translated=translated, after=after, limit=query.limit + 1
        )
    page, more = found[: query.limit], len(found) > query.limit
    last = pagination.timed_key(*listing.sort_key(page[-1][0], query)) if more else None
    return Page[EditorialSummary](
        items=views.editorial_cards(page, granted.subject), next_cursor=pagination.encode(last)
    )


async def preview(post_id: uuid.UUID, actor: Subject) -> PublicPost:
    """Return a post's current revision as visitors would read it."""
    async with reading() as session:
        post, revision = await allowed(session, post_id, actor, "post:preview")
        known = await pictures.named_by(session, revision)
    return await views.public(post, revision, post.first_published_at or now(), known, preview=True)


async def rendered(body: str, lang: str, actor: Subject) -> str:
    """Return a text that may be unsaved as HTML, with the pictures that the actor may show in a post."""
    html = await offload(markup.to_html, body)
    shown = pictures.ids(await offload(pictures.images, html))[: pictures.MOST]
    known: Pictures = {}
    if shown:
        async with reading() as session:
            known = await revisions.showable(session, shown, actor)
    return (await offload(pictures.fill, html, known, lang, public=False)).html


async def history(post_id: uuid.UUID, actor: Subject) -> Revisions:
    """Return a post's revisions, newest first."""
    async with reading() as session:
        await allowed(session, post_id, actor, READ)
        found = await repository.history(session, post_id)
    return Revisions(items=[RevisionSummary.model_validate(row) for row in found])


async def revision(post_id: uuid.UUID, number: int, actor: Subject) -> Revision:
    """Return one revision."""
    async with reading() as session:
        await allowed(session, post_id, actor, READ)
        return Revision.model_validate(await revisions.read(session, post_id, number))


async def diff(post_id: uuid.UUID, number: int, against: int, actor: Subject) -> RevisionDiff:
    """Compare two revisions of a post line by line."""
    async with reading() as session:
        await allowed(session, post_id, actor, READ)
        before, after = (
            await revisions.read(session, post_id, against),
            await revisions.read(session, post_id, number),
        )
    unified = await offload(
        diffs.unified, _lines(before), _lines(after), f"revision {against}", f"revision {number}"
    )
    return RevisionDiff(before=against, after=number, unified=unified)


def _lines(revision: PostRevision) -> list[str]:
    head = (
        f"title: {revision.title}",
        f"excerpt: {revision.excerpt}",
        f"tags: {', '.join(revision.tags)}",
        *([f"description: {revision.description}"] if revision.description else []),
        *([f"canonicalUrl: {revision.canonical_url}"] if revision.canonical_url else []),
        *(["noindex: true"] if revision.noindex else []),
        "",
    )
    return [*head, *revision.body.split("\n")]


async def download(post_id: uuid.UUID, attachment_id: uuid.UUID, variant: str, actor: Subject) -> str:
    """Return the link to a file that any revision of a post names."""
    async with reading() as session:
        await allowed(session, post_id, actor, READ)
        file = links.named(await repository.files(session, post_id), attachment_id)
        return links.link(await pictures.replaced(session, file), variant)


async def downloads(post_id: uuid.UUID, actor: Subject) -> DownloadCounts:
    """Return how often a post's files were downloaded by visitors."""
    async with reading() as session:
        await allowed(session, post_id, actor, READ)
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
        known = await pictures.named_by(session, *(hit.revision for hit in page))
    hits = await offload(_hits, page, words, known)
    last = f"{page[-1].rank}#{read_model.sort_key(hits[-1])}" if more else None
    return read_model.cards(
        [orjson.dumps(h.model_dump(mode="json", by_alias=True)).decode() for h in hits], last
    )


def _hits(page: Sequence[repository.Hit], words: Sequence[str], known: Pictures) -> list[SearchHit]:
    return [_hit(hit, words, known, searching.SCANNED // len(page)) for hit in page]


def _hit(hit: repository.Hit, words: Sequence[str], known: Pictures, scanned: int) -> SearchHit:
    post, revision = hit.post, hit.revision
    assert post.first_published_at  # noqa: S101 - only public posts are found
    card = views.card(post, revision, post.first_published_at, known)
    text = card["excerpt"] if hit.plain_text is None else hit.plain_text
    shown = {
        "category": post.published_category,
        "slug": post.slug,
        "translation_key": post.translation_key,
    }
    more = shown | {"snippet": searching.snippet(text, words, scanned)}
    return SearchHit.model_validate(card | more)
