"""Earlier addresses of imported posts, which lead to their present ones."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import select

from app.auth.subject import Subject
from app.content import stored
from app.content.schemas import FilePost
from app.core.database.engine import reading
from app.core.translation import Language
from app.posts.publication import addresses
from app.redirects import service as redirects
from app.redirects.models import Redirect
from app.redirects.schemas import ImportedRedirect, RedirectCreate


async def targets_of(paths: Sequence[str]) -> dict[str, str]:
    """Return the targets of those of some paths that lead somewhere."""
    found = dict[str, str]()
    async with reading() as session:
        for start in range(0, len(paths), stored.BATCH):
            query = select(Redirect).where(Redirect.path.in_(paths[start : start + stored.BATCH]))
            found |= {redirect.path: redirect.target for redirect in await session.scalars(query)}
    return found


async def missing(posts: Sequence[FilePost]) -> set[str]:
    """Return the posts' aliases that don't lead to their posts yet."""
    targets = {path: _address(post) for post in posts for path in post.aliases}
    led = await targets_of(list(targets))
    return {path for path, target in targets.items() if led.get(path) != target}


async def lead(post: FilePost, actor: Subject, language: Language) -> list[ImportedRedirect]:
    """Have a post's aliases lead to it; return the outcome of each."""
    wanted = [RedirectCreate(path=path, target=_address(post)) for path in post.aliases]
    return await redirects.imported(wanted, actor, language)


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
