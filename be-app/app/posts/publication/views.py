"""Posts as the API shows them: what editors and visitors get of a post's row and a revision's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.auth.subject import Subject
from app.authz.guard import allowed
from app.core.offload import offload
from app.posts.files import pictures
from app.posts.models import Post, PostRevision
from app.posts.permission import policy_object
from app.posts.publication import metadata
from app.posts.schemas import DescribedPost, EditorialPost, EditorialSummary, PublicPost
from app.posts.text import markup
from app.uploads.pictures.renditions import Pictures

_COLUMNS: Sequence[str] = [n for n in EditorialSummary.model_fields if n not in {"title", "allowed"}]
_CONTENT = (
    *("title", "excerpt", "body", "tags", "thumbnail", "attachments"),
    *("description", "canonical_url", "noindex"),
)


def _columns(post: Post) -> dict[str, Any]:
    shown = {"slug": post.shown_slug, "translation_key": post.shown_translation_key}
    return {name: getattr(post, name) for name in _COLUMNS} | shown


def _content(revision: PostRevision) -> dict[str, Any]:
    return {name: getattr(revision, name) for name in _CONTENT} | {"warnings": revision.warnings or []}


def editorial(post: Post, revision: PostRevision, actor: Subject) -> EditorialPost:
    """Return a post as an editor sees it."""
    (actions,) = allowed(actor, [_policy_object(post)])
    return EditorialPost.model_validate({**_columns(post), **_content(revision), "allowed": actions})


def editorial_cards(posts: Sequence[tuple[Post, str]], actor: Subject) -> list[EditorialSummary]:
    """Return posts with their titles as the items of a list, as an editor sees them."""
    actions = allowed(actor, [_policy_object(post) for post, _ in posts])
    return [
        EditorialSummary.model_validate({**_columns(post), "title": title, "allowed": mine})
        for (post, title), mine in zip(posts, actions, strict=True)
    ]


def _policy_object(post: Post) -> dict[str, Any]:
    """Return a post as the policy knows it without its id: one evaluation serves all of an author's."""
    return {name: value for name, value in policy_object(post).items() if name != "id"}


def card(
    post: Post, revision: PostRevision, published_at: datetime, known: Pictures, *, public: bool = True
) -> dict[str, Any]:
    """Return a post as visitors see it in a list; `public` says whether its pictures are."""
    # The public sees a change when it is published, not when it is written.
    changed = revision.number == post.published_revision and post.published_at
    return {
        **_columns(post),
        **_content(revision),
        "excerpt": revision.excerpt or markup.excerpt(revision.body),
        "published_at": published_at,
        "thumbnail": revision.thumbnail and pictures.current(revision.thumbnail, known),
        "attachments": [pictures.current(file, known) for file in revision.attachments],
        "picture": pictures.thumbnail(revision, known, post.lang, public=public),
        "updated_at": max(changed or revision.created_at, published_at),
    }


async def public(
    post: Post, revision: PostRevision, published_at: datetime, known: Pictures, *, preview: bool = False
) -> PublicPost:
    """Return a post as visitors see it, with its text rendered; a preview's pictures aren't public."""
    return await offload(_rendered, post, revision, published_at, known, preview=preview)


def _rendered(
    post: Post, revision: PostRevision, published_at: datetime, known: Pictures, *, preview: bool
) -> PublicPost:
    filled = pictures.fill(markup.to_html(revision.body), known, post.lang, public=not preview)
    shown = card(post, revision, published_at, known, public=not preview)
    return PublicPost.model_validate(
        {
            **shown,
            "metadata": metadata.of(DescribedPost.model_validate(shown)),
            "html": filled.html,
            "pictures": filled.pictures,
            "view_count": 0,
            "translations": [],
        }
    )
