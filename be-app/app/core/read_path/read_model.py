"""The table `…-posts`: what visitors are served from, so that the public site needs no database.

An item is a published representation with a version. A newer version replaces an older one, never the
reverse; a withdrawn item leaves a tombstone (its key and version), so it can't be resurrected.

Counters stand in items of their own, beside it: a write costs as much as its item is large, and an item takes about a
thousand small ones a second ("Using write sharding", Amazon DynamoDB developer guide), so there are `SHARDS` of them.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from app.core.aws import dynamodb
from app.core.process import process
from app.core.settings import settings

KEY = "postId"
POSTS, PROFILES = "posts", "profiles"
SHARDS = 8
LISTS, ENTRY = "lists", "@"
"""Attribute that names an item's further lists (see `lists`), one a line; and what parts the item's key from the list
in the key of an entry."""


_ADDED = 256


@process.keeps
def _added() -> dict[tuple[str, int], None]:
    """Return the changes of this process, the latest last, that only added something.

    Drains may run side by side, and the second finds such a change made.
    """
    return {}


class Snapshot(NamedTuple):
    """A change of one item: the attributes it gets, and those it loses.

    `table` says which: a published representation in `…-posts`, or what every request must know of a member, in
    `…-sessions`.
    """

    key: str
    attributes: dict[str, str | int]
    absent: tuple[str, ...] = ()
    table: str = POSTS


def _address(snapshot: Snapshot) -> dict[str, Any]:
    if snapshot.table == PROFILES:
        key = {"owner": snapshot.key, "item": "profile"}
        return {"TableName": settings().sessions_table, "Key": dynamodb.encode(key)}
    return {"TableName": settings().posts_table, "Key": dynamodb.encode({KEY: snapshot.key})}


class Page(NamedTuple):
    """Part of a list in an index: the cards, ready-made JSON, and where the next part starts."""

    cards: list[str]
    next: str | None


async def replace(snapshot: Snapshot, version: int, *, again: bool = False) -> bool:
    """Apply a change, unless the item has this version or a newer one already; `again`: unless it has a newer one.

    Attributes that the change doesn't name stay as they are. Entries of further lists are
    written first, and those of lists that the item leaves are removed last, so that a crash leaves none lacking.

    Return whether the change only added something: the item had none of the attributes before. False where it isn't
    known, because another process made the change.
    """
    lists = _lists(snapshot.attributes)
    await asyncio.gather(*(_update(_entry(snapshot, name), version) for name in lists))
    old = await _update(snapshot, version, again=again)
    if old is None:
        return (snapshot.key, version) in _added()
    left = _lists(old) - lists
    await asyncio.gather(*(_update(_no_entry(snapshot, name), version) for name in left))
    if snapshot.absent or not old.keys() <= {"version"}:
        return False
    added = _added()
    if len(added) >= _ADDED:
        added.pop(next(iter(added)))
    added[snapshot.key, version] = None
    return True


def _lists(attributes: Mapping[str, Any]) -> set[str]:
    return set(filter(None, attributes.get(LISTS, "").split("\n")))


def _entry(snapshot: Snapshot, name: str) -> Snapshot:
    listed_at = snapshot.attributes["listedAt"]
    return Snapshot(f"{snapshot.key}{ENTRY}{name}", {"categoryLang": name, "listedAt": listed_at})


def _no_entry(snapshot: Snapshot, name: str) -> Snapshot:
    return Snapshot(f"{snapshot.key}{ENTRY}{name}", {}, ("categoryLang", "listedAt"))


async def _update(snapshot: Snapshot, version: int, *, again: bool = False) -> dict[str, Any] | None:
    """Apply a change to one item; return the old values, or None where the item has the version already."""
    values = {**snapshot.attributes, "version": version}
    names = {f"#{n}": n for n in (*values, *snapshot.absent)}
    update = "SET " + ", ".join(f"#{n} = :{n}" for n in values)
    if snapshot.absent:
        update += " REMOVE " + ", ".join(f"#{n}" for n in snapshot.absent)
    try:
        found = await dynamodb.call(
            "update_item",
            **_address(snapshot),
            ReturnValues="UPDATED_OLD",
            UpdateExpression=update,
            ConditionExpression=f"attribute_not_exists(#version) OR #version {'<=' if again else '<'} :version",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=dynamodb.encode({f":{n}": v for n, v in values.items()}),
        )
    except dynamodb.ConditionFailed:
        return None
    return dynamodb.decode(found.get("Attributes", {}))


async def get(key: str) -> dict[str, Any] | None:
    """Return an item, or None; read consistently, so that a publisher sees its own write."""
    found = await dynamodb.call(
        "get_item", TableName=settings().posts_table, Key=dynamodb.encode({KEY: key}), ConsistentRead=True
    )
    return dynamodb.decode(found["Item"]) if "Item" in found else None


async def query_index(index: str, name: str, value: str) -> list[dict[str, Any]]:
    """Return the items of `index` whose hash key `name` is `value` (one page, 1 MB at most)."""
    found = await dynamodb.call(
        "query",
        TableName=settings().posts_table,
        IndexName=index,
        KeyConditionExpression="#k = :k",
        ExpressionAttributeNames={"#k": name},
        ExpressionAttributeValues=dynamodb.encode({":k": value}),
    )
    return [dynamodb.decode(item) for item in found["Items"]]


async def query_keys(index: str, name: str, value: str) -> AsyncIterator[str]:
    """Yield the keys of all items of `index` whose hash key `name` is `value`."""
    found = dynamodb.query(
        TableName=settings().posts_table,
        IndexName=index,
        KeyConditionExpression="#k = :k",
        ExpressionAttributeNames={"#k": name},
        ExpressionAttributeValues=dynamodb.encode({":k": value}),
        ProjectionExpression=KEY,
    )
    async for item in found:
        yield dynamodb.decode(item)[KEY]


async def query_newest(index: str, name: str, value: str, *, before: str | None, limit: int) -> Page:
    """Return up to `limit` cards of one list, newest first, older than the sort key `before`: one Query."""
    items, more = await query_newest_items(index, name, value, "card, listedAt", before=before, limit=limit)
    return Page([item["card"] for item in items], items[-1]["listedAt"] if more and items else None)


async def query_newest_items(
    index: str, name: str, value: str, attributes: str, *, before: str | None, limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """Return these attributes of up to `limit` items as `query_newest` does, and whether there are older ones."""
    condition, values = "#k = :k", {":k": value}
    names = {"#k": name}
    if before is not None:
        condition += " AND listedAt < :before"
        values[":before"] = before
    found = await dynamodb.call(
        "query",
        TableName=settings().posts_table,
        IndexName=index,
        KeyConditionExpression=condition,
        ExpressionAttributeNames=names,
        ExpressionAttributeValues=dynamodb.encode(values),
        ProjectionExpression=attributes,  # botocore parses what it gets in Python.
        ScanIndexForward=False,
        Limit=limit + 1,
    )
    items = [dynamodb.decode(item) for item in found["Items"]]
    return items[:limit], len(items) > limit or "LastEvaluatedKey" in found


async def is_public(key: str) -> bool:
    """Return whether an item is published, as it was a moment ago at the latest."""
    found = await dynamodb.call(
        "get_item",
        TableName=settings().posts_table,
        Key=dynamodb.encode({KEY: key}),
        ProjectionExpression="slug",
    )
    return "slug" in found.get("Item", {})


async def increment(key: str, counter: str) -> None:
    """Add one to a counter of an item, atomically. The caller has checked that the item exists."""
    shard = random.randrange(SHARDS)  # noqa: S311 - it only has to be even.
    await dynamodb.call(
        "update_item",
        TableName=settings().posts_table,
        Key=dynamodb.encode({KEY: f"{key}#{shard}"}),
        UpdateExpression="ADD #c :one",
        ExpressionAttributeNames={"#c": counter},
        ExpressionAttributeValues=dynamodb.encode({":one": 1}),
    )


async def with_counters(key: str) -> tuple[dict[str, Any] | None, Counter[str]]:
    """Return an item, or None, and its counters: one request, read consistently.

    Raises `StoreUnavailable` where DynamoDB leaves a part unread, which it does when it throttles.
    """
    keys = [dynamodb.encode({KEY: name}) for name in (key, *(f"{key}#{n}" for n in range(SHARDS)))]
    found = await dynamodb.get_all(settings().posts_table, keys)
    item, counters = None, Counter[str]()
    for read in map(dynamodb.decode, found):
        name = read.pop(KEY)
        if name == key:
            item = {KEY: name, **read}
        else:
            counters.update(read)
    return item, counters
