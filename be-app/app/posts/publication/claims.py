"""Slugs and groups of translations: which post has one, and which wish for it.

A post claims both when it is first scheduled or published; before that, it wishes for a slug, and others may, too. A
slug under which a post was public stays its own for good.
"""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.subject import Subject
from app.authz.guard import permitted
from app.core.clock import new_id, now
from app.core.http.problems import ValidationFailed
from app.core.messages import marked
from app.core.write_path import outbox
from app.posts import repository
from app.posts.errors import SlugTaken, TranslationExists
from app.posts.fields import as_id
from app.posts.models import SCHEDULED, FormerSlug, Post
from app.posts.permission import READ, policy_object
from app.posts.publication import read_model
from app.posts.schemas import PostUpdate
from app.posts.text import markup


def slug_for(title: str) -> str:
    """Return the slug that a title makes; where it makes none, today's date."""
    made = markup.slugify(title)
    return made if made and not as_id(made) else now().date().isoformat()


def placeholder(post_id: uuid.UUID) -> str:
    """Return what stands for a slug until a post claims one; no slug looks so."""
    return f"~{post_id.hex}"


async def wish_for_slug(transaction: outbox.Transaction, post: Post, slug: str) -> None:
    """Have a post wish for a slug; one that is scheduled claims it at once, so that its time finds no obstacle."""
    post.wished_slug = slug if slug != post.slug else None
    if post.state == SCHEDULED:
        taken = await repository.slug_is_taken(transaction.session, post.id, slug)
        await _claim_slug(transaction, post, taken=taken)


async def relate(session: AsyncSession, post: Post, request: PostUpdate, actor: Subject) -> None:
    """Put a post into the group of the post that it translates; alone, it is a group of its own.

    Where a post that the actor may not read has the place, this one wishes for it.
    """
    if request.translation_of is None:
        await _stand_alone(session, post)
    else:
        await _join(session, post, request.translation_of, actor)


async def _stand_alone(session: AsyncSession, post: Post) -> None:
    alone = post.id
    # Another post may have claimed the group that bears this one's id.
    if post.translation_key != alone and await repository.wishing(session, post, alone):
        alone = new_id()
    post.translation_key, post.wished_translation_key = alone, None


async def _join(session: AsyncSession, post: Post, translated: uuid.UUID, actor: Subject) -> None:
    found = await repository.current(session, translated, actor.id)
    if found is None or found[0].id == post.id or not permitted(actor, READ, policy_object(found[0])):
        raise ValidationFailed.on(
            "body.translationOf", "unknown_post", marked("This is not the id of another post.")
        )
    group = found[0].shown_translation_key
    if group == post.shown_translation_key:
        return
    others = await repository.wishing(session, post, group, actor.id)
    if any(permitted(actor, READ, policy_object(other)) for other in others):
        raise TranslationExists
    if any(other.translation_key == group for other in others):
        post.translation_key, post.wished_translation_key = post.id, group
    else:
        post.translation_key, post.wished_translation_key = group, None
    if post.claims:
        await _claim_group(session, post)


async def claim(transaction: outbox.Transaction, post: Post) -> None:
    """Make the slug and the group of translations that a post wishes for its own.

    The slug under which the post was public until now leads to it from now on. The post must come from
    `repository.current`.

    Raises `SlugTaken` or `TranslationExists` where another's are for good.
    """
    await _claim_slug(transaction, post, taken=post.wish_is_taken)
    await _claim_group(transaction.session, post)


async def _claim_slug(transaction: outbox.Transaction, post: Post, *, taken: bool) -> None:
    if post.wished_slug is None:
        return
    if taken:
        raise SlugTaken
    former = post.slug if post.first_published_at else None
    post.slug, post.wished_slug = post.wished_slug, None
    if former is None:
        return
    if await transaction.session.get(FormerSlug, former) is None:
        transaction.session.add(FormerSlug(slug=former, post_id=post.id))
    # The change raises the version. This row precedes that of the publication, so that the old slug is found always.
    transaction.emit(
        f"post:{post.id}",
        post.version + 1,
        "post.moved",
        {"postId": str(post.id), "slug": post.slug, "formerSlug": former, "lang": post.lang},
        read_model.former(post.id, former),
    )


async def _claim_group(session: AsyncSession, post: Post) -> None:
    if (group := post.wished_translation_key) is None:
        return
    for other in await repository.wishing(session, post, group):
        if other.translation_key == group:
            if other.claims:
                raise TranslationExists
            # To its author, nothing about the other post has changed.
            await repository.displace(session, other, translation_key=new_id(), wished_translation_key=group)
    post.translation_key, post.wished_translation_key = group, None
