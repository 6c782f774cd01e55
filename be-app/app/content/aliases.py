"""Earlier addresses of imported posts, which lead to their present ones."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import select

from app.auth.subject import Subject
from app.content.schemas import FilePost
from app.core.database.engine import reading
from app.posts.publication import addresses
from app.redirects import service as redirects
from app.redirects.models import Redirect
from app.redirects.schemas import ImportedRedirect, RedirectCreate


async def missing(posts: Sequence[FilePost]) -> set[str]:
    """Return the posts' aliases that don't lead to their posts yet."""
    targets = {path: _address(post) for post in posts for path in post.aliases}
    if not targets:
        return set()
    async with reading() as session:
        query = select(Redirect.path, Redirect.target).where(Redirect.path.in_(targets))
        led = {found.path: found.target for found in await session.execute(query)}
    return {path for path, target in targets.items() if led.get(path) != target}


async def lead(post: FilePost, actor: Subject) -> list[ImportedRedirect]:
    """Have a post's aliases lead to it; return the outcome of each."""
    wanted = [RedirectCreate(path=path, target=_address(post)) for path in post.aliases]
    return await redirects.imported(wanted, actor)


async def of_addresses(paths: Collection[str]) -> dict[str, list[str]]:
    """Return, in their order, the paths that lead to each of some addresses."""
    found = defaultdict[str, list[str]](list)
    async with reading() as session:
        query = select(Redirect.target, Redirect.path).where(Redirect.target.in_(paths)).order_by(Redirect.id)
        for target, path in await session.execute(query):
            found[target].append(path)
    return found


def _address(post: FilePost) -> str:
    return addresses.path(post.lang, post.slug)
