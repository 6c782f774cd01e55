"""Tables of posts."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.orm import Mapped, mapped_column, query_expression

from app.categories.models import Category
from app.core import zones
from app.core.database.engine import TABLE_OPTIONS, Base, Key, LongText

SearchText = Text().with_variant(MEDIUMTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")

DRAFT, SCHEDULED, PUBLISHED, ARCHIVED = "draft", "scheduled", "published", "archived"


class Post(Base):
    """A post: its address, its state, and which of its revisions is current and which is public.

    `slug` is unique: the one under which visitors find the post, or a placeholder until the post claims one. The slug
    that the post is to get when it is next scheduled or published stands in `wished_slug`; others may wish for the
    same. A place in a group of translations is unique as well; a post that was neither scheduled nor published holds
    it only until another claims it, and then wishes for it in `wished_translation_key`.
    """

    __tablename__ = "posts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(Key(120), unique=True)
    lang: Mapped[str] = mapped_column(Key(2))
    category: Mapped[str] = mapped_column(ForeignKey(Category.slug))
    translation_key: Mapped[uuid.UUID]
    state: Mapped[str] = mapped_column(Key(12))
    version: Mapped[int] = mapped_column()
    revision: Mapped[int]
    published_revision: Mapped[int | None]
    published_category: Mapped[str | None] = mapped_column(ForeignKey(Category.slug))
    first_published_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    scheduled_at: Mapped[datetime | None]
    # What is published then: a revision and its category, which later edits don't move. Null for the newest revision,
    # in rows of earlier releases. Zones are those in which editors gave the times.
    scheduled_revision: Mapped[int | None]
    scheduled_category: Mapped[str | None] = mapped_column(Key(60))
    scheduled_zone: Mapped[str | None] = mapped_column(Key(64))
    unpublish_at: Mapped[datetime | None]
    unpublish_zone: Mapped[str | None] = mapped_column(Key(64))
    created_by: Mapped[str] = mapped_column(Key(64))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    # What visitors may find: the folded text of the public revision, its title in the first line, null while there is
    # none. It lives
    # in this row so that publishing needs no further statement; it is never loaded with a post.
    search_text: Mapped[str | None] = mapped_column(SearchText, deferred=True)
    # The same as visitors read it, for snippets: the excerpt, if there is one, and each block of the body in a line.
    plain_text: Mapped[str | None] = mapped_column(LongText, deferred=True)
    wished_slug: Mapped[str | None] = mapped_column(Key(120), index=True)
    wished_translation_key: Mapped[uuid.UUID | None] = mapped_column(index=True)
    # Pictures that the public revision shows, as `uploads.pictures.media` names them; null while there is none.
    media: Mapped[dict[str, Any] | None]
    # Whether another post has or had the wished slug. Only `repository.current` reads it.
    wish_is_taken: Mapped[bool] = query_expression()

    # Whether the reader of a query may edit the post by its author's leave; None where it isn't shared with them.
    shared_for_editing: Mapped[bool | None] = query_expression(expire_on_flush=False)

    # Every UPDATE names the version that was read and raises it; a stale one changes nothing and is noticed.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        CheckConstraint(f"state IN ('{DRAFT}', '{SCHEDULED}', '{PUBLISHED}', '{ARCHIVED}')", name="state"),
        UniqueConstraint("translation_key", "lang"),
        Index("ix_posts_state_first_published_at_id", "state", "first_published_at", "id"),
        Index("ix_posts_state_scheduled_at", "state", "scheduled_at"),
        Index("ix_posts_state_unpublish_at", "state", "unpublish_at"),
        TABLE_OPTIONS,
    )

    @property
    def private(self) -> bool:
        """Whether only its author sees the post: it never was public, in any state."""
        return self.first_published_at is None

    @property
    def claims(self) -> bool:
        """Whether slug and group of translations are the post's for good."""
        return self.state == SCHEDULED or self.first_published_at is not None

    @property
    def scheduled_at_zoned(self) -> str | None:
        """When the post is published, with the offset and the name of the zone."""
        return zones.shown(self.scheduled_at, self.scheduled_zone)

    @property
    def unpublish_at_zoned(self) -> str | None:
        """When the post is taken back, with the offset and the name of the zone."""
        return zones.shown(self.unpublish_at, self.unpublish_zone)

    def plan(self, at: datetime | None, revision: int | None = None, category: str | None = None) -> None:
        """Plan a publication; with `at` None, cancel it."""
        self.scheduled_at, self.scheduled_revision, self.scheduled_category = at, revision, category
        self.scheduled_zone = zones.name_of(at) if at else None

    def plan_end(self, at: datetime | None) -> None:
        """Plan when the post is taken back; None for never."""
        self.unpublish_at, self.unpublish_zone = at, zones.name_of(at) if at else None

    @property
    def shown_slug(self) -> str:
        """The slug that the post has or wishes for."""
        return self.wished_slug or self.slug

    @property
    def shown_translation_key(self) -> uuid.UUID:
        """The group of translations that the post is in or wishes to be in."""
        return self.wished_translation_key or self.translation_key


class FormerSlug(Base):
    """A slug under which a post was public before; its address leads to the post for good."""

    __tablename__ = "former_slugs"

    slug: Mapped[str] = mapped_column(Key(120), primary_key=True)
    post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("posts.id"), index=True)


class PostRevision(Base):
    """Content of a post at one time. Revisions are only ever added."""

    __tablename__ = "post_revisions"

    post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("posts.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    title: Mapped[str] = mapped_column(String(200))
    excerpt: Mapped[str] = mapped_column(String(500))
    body: Mapped[str] = mapped_column(LongText)
    tags: Mapped[list[Any]]
    thumbnail: Mapped[dict[str, Any] | None]
    attachments: Mapped[list[Any]]
    description: Mapped[str] = mapped_column(String(300), server_default="")
    canonical_url: Mapped[str | None] = mapped_column(String(500))
    noindex: Mapped[bool] = mapped_column(server_default=false())
    # References to the images that the body shows, and editors' warnings about them; null before there were any.
    pictures: Mapped[list[Any] | None]
    warnings: Mapped[list[Any] | None]
    # The version of the post that has this revision first: what an editor who read a version began with. Null in rows
    # of earlier releases.
    post_version: Mapped[int | None]
    created_by: Mapped[str] = mapped_column(Key(64))
    created_at: Mapped[datetime]


class PostShare(Base):
    """A colleague whom the author of a post lets read it before it is public, or also edit it."""

    __tablename__ = "post_shares"

    post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("posts.id"), primary_key=True)
    member_id: Mapped[str] = mapped_column(Key(64), primary_key=True, index=True)
    can_edit: Mapped[bool]
    created_at: Mapped[datetime]


class WorkingCopy(Base):
    """Unsaved text of a post: one for each post and editor.

    Saving drops it, and so does the scheduler at `expires_at`.
    """

    __tablename__ = "working_copies"

    post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("posts.id"), primary_key=True)
    editor: Mapped[str] = mapped_column(Key(64), primary_key=True)
    # The version of the post that the editor began with.
    base_version: Mapped[int]
    content: Mapped[dict[str, Any]]
    version: Mapped[int] = mapped_column()
    updated_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
