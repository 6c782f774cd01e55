"""The routers of the whole API, in the order of its document."""

from typing import Final

from app.account import router as account
from app.account.routers import OF_AUTH
from app.audit import router as audit
from app.authz.routing import PolicyRouter
from app.categories import router as categories
from app.console import router as console
from app.feeds import router as feeds
from app.inquiries import router as inquiries
from app.members import router as members
from app.posts import drafting, overview
from app.posts import router as posts
from app.previews import router as previews
from app.redirects import router as redirects
from app.system import router as system
from app.uploads import router as uploads

ROUTERS: Final[tuple[PolicyRouter, ...]] = (
    system.public,
    categories.public,
    posts.public,
    uploads.public,
    uploads.pictures,
    feeds.public,
    redirects.public,
    previews.public,
    inquiries.public,
    categories.editorial,
    posts.editorial,
    previews.editorial,
    drafting.editorial,
    overview.editorial,
    console.editorial,
    redirects.editorial,
    inquiries.editorial,
    uploads.staff,
    *OF_AUTH,
    account.me,
    members.staff,
    audit.staff,
)
