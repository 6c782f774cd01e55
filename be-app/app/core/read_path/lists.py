"""Further lists of published items, beside those that an index makes of an item's own attributes.

An item names its lists (`read_model.LISTS`), and each has an entry for it in the index `byCategory`: a small item
with the list and the sort key. Writing leaves no entry lacking, but a crash or an earlier release may leave a stale
one, so an entry only says which item to read.
"""

from collections.abc import Callable, Sequence
from typing import Any

from app.core.aws import dynamodb
from app.core.http.problems import StoreUnavailable
from app.core.read_path.read_model import ENTRY, KEY, Page, query_newest_items
from app.core.settings import settings

_MOST_KEYS = 100
"""Items that one BatchGetItem reads."""


async def query_newest(name: str, shows: Callable[[str], bool], *, before: str | None, limit: int) -> Page:
    """Return up to `limit` cards of a list, newest first, older than the sort key `before`.

    A Query and a BatchGetItem; more of both where entries are stale.

    Args:
        name: the list's name.
        shows: whether a card is of an item that is in the list.
        before: where the page starts.
        limit: the most cards.
    """
    found, more = list[tuple[str, str]](), True
    while more and len(found) <= limit:
        wanted = min(limit + 1 - len(found), _MOST_KEYS)
        entries, more = await query_newest_items(
            "byCategory", "categoryLang", name, f"{KEY}, listedAt", before=before, limit=wanted
        )
        cards = await _cards([_item(entry) for entry in entries])
        for entry in entries:
            before = entry["listedAt"]
            card = cards.get(_item(entry))
            if card is not None and shows(card):
                found.append((card, entry["listedAt"]))
    page = found[:limit]
    return Page([card for card, _ in page], page[-1][1] if len(found) > limit else None)


def _item(entry: dict[str, Any]) -> str:
    key: str = entry[KEY]
    return key.partition(ENTRY)[0]


async def _cards(keys: Sequence[str]) -> dict[str, str]:
    """Return the cards of those items that are published."""
    table, cards = settings().posts_table, dict[str, str]()
    wanted: Any = {
        table: {"Keys": [dynamodb.encode({KEY: key}) for key in keys], "ProjectionExpression": f"{KEY}, card"}
    }
    for _ in range(_MOST_KEYS) if keys else ():
        found = await dynamodb.call("batch_get_item", RequestItems=wanted)
        cards |= {
            item[KEY]: item["card"]
            for item in map(dynamodb.decode, found["Responses"][table])
            if "card" in item
        }
        # DynamoDB leaves a part unread beyond 16 MB, which it counts with the pages, and where it throttles.
        wanted = found.get("UnprocessedKeys")
        if not wanted:
            return cards
        if not found["Responses"][table]:
            break
    if keys:
        raise StoreUnavailable
    return cards
