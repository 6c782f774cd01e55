"""What ours is compared with: the smallest programs that do the same, as a good engineer would write them at first.

`bare` and `from_redis` answer with the bytes of our own list of 20 posts, `gzipped` compresses them for each answer;
`plain` reads the same 20 posts from the same database with FastAPI and SQLAlchemy, as their tutorials show it.
"""

import os
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import redis.asyncio
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.posts.models import Post, PostRevision

_body = Path(os.environ["BENCH_BODY"]).read_bytes() if "BENCH_BODY" in os.environ else b""
_redis = redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS"])
_sessions = async_sessionmaker(create_async_engine(os.environ["BENCH_DATABASE"]), expire_on_commit=False)


async def _bare(_: Request) -> Response:
    return Response(_body, media_type="application/json")


async def _from_redis(_: Request) -> Response:
    return Response(await _redis.get(os.environ["BENCH_KEY"]), media_type="application/json")


bare = Starlette(routes=[Route("/v1/posts", _bare)])
gzipped = GZipMiddleware(bare)
from_redis = Starlette(routes=[Route("/v1/posts", _from_redis)])
plain = FastAPI()


class Card(BaseModel):
    """A post in the plain list, with the fields that our own list shows."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    slug: str
    lang: str
    category: str
    title: str
    excerpt: str
    tags: list[str]
    thumbnail: dict[str, Any] | None
    published_at: datetime
    updated_at: datetime


class Cards(BaseModel):
    """The plain list."""

    items: list[Card]


async def _session() -> AsyncIterator[AsyncSession]:
    async with _sessions() as session:
        yield session


@plain.get("/v1/posts")
async def list_posts(session: Annotated[AsyncSession, Depends(_session)], limit: int = 20) -> Cards:
    """List published posts, newest first."""
    query = (
        select(Post, PostRevision)
        .join(
            PostRevision, (PostRevision.post_id == Post.id) & (PostRevision.number == Post.published_revision)
        )
        .where(Post.state == "published", Post.lang == "ko")
        .order_by(Post.first_published_at.desc(), Post.id.desc())
        .limit(limit)
    )
    rows: Sequence[Any] = (await session.execute(query)).all()
    return Cards(
        items=[
            Card(
                id=post.id,
                slug=post.slug,
                lang=post.lang,
                category=post.category,
                title=revision.title,
                excerpt=revision.excerpt,
                tags=revision.tags,
                thumbnail=revision.thumbnail,
                published_at=post.first_published_at,
                updated_at=revision.created_at,
            )
            for post, revision in rows
        ]
    )
