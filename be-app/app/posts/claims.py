"""Slugs and groups of translations: which post has one, and which wish for it.

A post claims both when it is first scheduled or published; before that, another post may take them over.
"""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.subject import Subject
from app.authz.guard import permitted
from app.core.clock import new_id
from app.core.http.problems import ValidationFailed
from app.core.messages import marked
from app.posts import markup, repository
from app.posts.errors import SlugTaken, TranslationExists
from app.posts.models import Post
from app.posts.permission import READ, policy_object
from app.posts.schemas import PostUpdate


def slug_for(title: str, post_id: uuid.UUID) -> str:
    """Return the slug of a new post, made from its title."""
    # The id's last digits are random; two posts of one title get different URLs without a query.
    return "-".join(part for part in (markup.slugify(title), post_id.hex[-6:]) if part)


async def wish_for_slug(session: AsyncSession, post: Post, slug: str, actor: Subject) -> None:
    """Give a post a slug, or have it wish for the one that another holds.

    Only a post that the actor may read is a reason to refuse: whether there is another is no business of theirs.
    """
    others = await repository.wishing(session, post, slug=slug)
    if any(permitted(actor, READ, policy_object(other)) for other in others):
        raise SlugTaken
    if any(other.slug == slug for other in others):
        post.slug, post.wished_slug = _placeholder(post), slug
    else:
        post.slug, post.wished_slug = slug, None
    if post.claims:
        await claim(session, post)


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
    if post.translation_key != alone and await repository.wishing(session, post, group=alone):
        alone = new_id()
    post.translation_key, post.wished_translation_key = alone, None


async def _join(session: AsyncSession, post: Post, translated: uuid.UUID, actor: Subject) -> None:
    found = await repository.current(session, translated)
    if found is None or found[0].id == post.id or not permitted(actor, READ, policy_object(found[0])):
        raise ValidationFailed.on(
            "body.translationOf", "unknown_post", marked("This is not the id of another post.")
        )
    group = found[0].shown_translation_key
    if group == post.shown_translation_key:
        return
    others = await repository.wishing(session, post, group=group)
    if any(permitted(actor, READ, policy_object(other)) for other in others):
        raise TranslationExists
    if any(other.translation_key == group for other in others):
        post.translation_key, post.wished_translation_key = post.id, group
    else:
        post.translation_key, post.wished_translation_key = group, None
    if post.claims:
        await claim(session, post)


async def claim(session: AsyncSession, post: Post) -> None:
    """Make a post's slug and group of translations its own; a post that merely held them wishes for them now.

    Raises `SlugTaken` or `TranslationExists` where another's are for good.
    """
    if (slug := post.wished_slug) is not None:
        for other in await repository.wishing(session, post, slug=slug):
            if other.slug == slug:
                if other.claims:
                    raise SlugTaken
                await repository.displace(session, other, slug=_placeholder(other), wished_slug=slug)
        post.slug, post.wished_slug = slug, None
    if (group := post.wished_translation_key) is not None:
        for other in await repository.wishing(session, post, group=group):
            if other.translation_key == group:
                if other.claims:
                    raise TranslationExists
                await repository.displace(
                    session, other, translation_key=new_id(), wished_translation_key=group
                )
        post.translation_key, post.wished_translation_key = group, None


def _placeholder(post: Post) -> str:
    """Return what stands for a slug where a post has none of its own; no slug looks so."""
    return f"~{post.id.hex}"
