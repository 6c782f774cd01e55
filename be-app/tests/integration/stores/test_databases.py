"""SQLite, MariaDB and MySQL mean the same; migrations go up and down; nothing pins a pooled connection."""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.contract import korean, ok, unique
from support.stack import EDITOR, Stack, act, draft, published

VERSIONS = Path(__file__).parents[3] / "migrations" / "versions"
DATABASES = ("sqlite", "mariadb", "mysql")
SERVERS = ("mariadb", "mysql")

UP_AND_DOWN = """
import sys
import sqlalchemy
from alembic import command
from app.functions.migrations import config

engine = sqlalchemy.create_engine(sys.argv[1], poolclass=sqlalchemy.NullPool)
command.upgrade(config(), "head")
command.check(config())
tables = set(sqlalchemy.inspect(engine).get_table_names())
assert {"posts", "post_revisions", "categories", "inquiries", "outbox", "audit_entries"} < tables, tables
command.downgrade(config(), "base")
left = sqlalchemy.inspect(engine).get_table_names()
assert left == ["alembic_version"], left
command.upgrade(config(), "head")
assert tables == set(sqlalchemy.inspect(engine).get_table_names())
"""
LOOK = """
import sqlalchemy, sys
from alembic import command
from app.functions.migrations import config, handler

assert handler({"look": True}, None) == {"revision": None, "lacking": REVISIONS, "known": True}
engine = sqlalchemy.create_engine(sys.argv[1], poolclass=sqlalchemy.NullPool)
assert "posts" not in sqlalchemy.inspect(engine).get_table_names()
command.upgrade(config(), "0002")
assert handler({"look": True}, None) == {"revision": "0002", "lacking": REVISIONS[2:], "known": True}
assert handler({}, None) == {"revision": REVISIONS[-1]}
assert handler({"look": True}, None) == {"revision": REVISIONS[-1], "lacking": [], "known": True}
with engine.begin() as connection:
    connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))
assert handler({"look": True}, None) == {"revision": "9999", "lacking": [], "known": False}
"""
LOCK = """
import asyncio
from app.core.database import engine

class Waits(Exception): ...

def refuse():
    raise Waits

async def work():
    async with engine.exclusively("import", waits=refuse):
        try:
            async with engine.exclusively("import", waits=refuse):
                raise AssertionError
        except Waits:
            pass
    async with engine.exclusively("import", waits=refuse):
        pass

asyncio.run(work())
"""
AT_CONNECT = re.compile(
    r"SET (AUTOCOMMIT = 0|NAMES utf8mb4)|SELECT (VERSION\(\)|DATABASE\(\)|@@\w+)|ROLLBACK"
)
"""What the driver, and SQLAlchemy on a process's first connection, send before anything else."""
PINS = re.compile(
    r"\s*(SET|PREPARE|EXECUTE|DEALLOCATE|LOCK|USE|FLUSH|CREATE\s+TEMPORARY)\b|.*(GET_LOCK|@\w|:=)",
    re.IGNORECASE | re.DOTALL,
)
"""What binds an RDS Proxy's client to one connection, other than in the values of a statement."""
STRINGS = re.compile(r"'(?:[^'\\]|\\.|'')*'")


@pytest.fixture(params=DATABASES)
def stack(request: pytest.FixtureRequest, stacks: Callable[[str], Stack]) -> Stack:
    return stacks(request.param)


@pytest.fixture(params=SERVERS)
def on_server(request: pytest.FixtureRequest, stacks: Callable[[str], Stack]) -> Stack:
    return stacks(request.param)


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


# -- the schema ----------------------------------------------------------------------------------------------


def fresh(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> tuple[str, str]:
    """Return the address of a new, empty database, for the application and for a synchronous driver."""
    url = f"sqlite+aiosqlite:///{tmp_path}/migrated.db"
    if database in SERVERS:
        url = request.getfixturevalue(database).create_database("migrated")
    return url, url.replace("+aiosqlite", "").replace("+aiomysql", "+pymysql")


def test_a_lock_is_one_processs_at_a_time(stack: Stack) -> None:
    stack.run("-c", LOCK)


@pytest.mark.parametrize("database", DATABASES)
def test_migrations_go_up_and_down_and_are_what_the_models_say(
    request: pytest.FixtureRequest, stacks: Callable[[str], Stack], database: str, tmp_path: Path
) -> None:
    stack, (url, synchronous) = stacks(database), fresh(request, database, tmp_path)
    if database in SERVERS:
        # Whatever a database's own character set is, ours is explicit.
        stack.sql("ALTER DATABASE migrated CHARACTER SET latin1 COLLATE latin1_swedish_ci")
    stack.run("-c", UP_AND_DOWN, synchronous, FAMILYCORP_DATABASE_URL=url)
    if database in SERVERS:
        columns = stack.sql(
            "SELECT CONCAT(table_name, '.', column_name), collation_name FROM information_schema.columns "
            "WHERE table_schema = 'migrated' AND table_name <> 'alembic_version' AND collation_name <> ''"
        )
        collations = {str(column): collation for column, collation in columns}
        assert set(collations.values()) == {"utf8mb4_unicode_520_ci", "utf8mb4_bin"}
        for column in ("posts.slug", "posts.search_text", "idempotency_keys.key", "outbox.aggregate"):
            assert collations[column] == "utf8mb4_bin"
        for column in ("post_revisions.title", "post_revisions.body", "inquiries.message"):
            assert collations[column] == "utf8mb4_unicode_520_ci"
        engines = stack.sql(
            "SELECT DISTINCT engine FROM information_schema.tables "
            "WHERE table_schema = 'migrated' AND table_name <> 'alembic_version'"
        )
        assert engines == [("InnoDB",)]


@pytest.mark.parametrize("database", DATABASES)
def test_the_migration_function_looks_without_changing_anything(
    request: pytest.FixtureRequest, stacks: Callable[[str], Stack], database: str, tmp_path: Path
) -> None:
    url, synchronous = fresh(request, database, tmp_path)
    revisions = sorted(file.name.partition("_")[0] for file in VERSIONS.glob("0*.py"))
    script = LOOK.replace("REVISIONS", repr(revisions))
    stacks(database).run("-c", script, synchronous, FAMILYCORP_DATABASE_URL=url)


# -- values --------------------------------------------------------------------------------------------------


def test_every_character_and_microsecond_survives(client: httpx.Client) -> None:
    title, tag = f"𠮷野家 👨‍👩‍👧‍👦 {unique()} 각 é ﷽", "🏳️‍🌈"
    body = "𐍈 마침내 🎉\n\n| 표 | 값 |\n|---|---|\n| 🥇 | ½ |"
    post = published(client, title=title, body=body, tags=[tag], lang="en")
    seen = ok(client.get(f"/v1/editor/posts/{post['id']}", headers=EDITOR))
    assert (seen["title"], seen["body"], seen["tags"]) == (title, body, [tag])
    assert ok(client.get(f"/v1/posts/{post['slug']}"))["title"] == title
    assert ok(client.get(f"/v1/editor/posts/{post['id']}/revisions/1", headers=EDITOR))["title"] == title
    for word in ("𠮷野家", "🎉", "👨‍👩‍👧‍👦", "﷽", "½"):
        query = {"q": f"{word} {title.split()[2]}", "lang": "en"}
        found = ok(client.get("/v1/search", params=query))["items"]
        assert [card["id"] for card in found] == [post["id"]], word

    at = "2099-12-31T23:59:59.123457Z"
    planned = ok(act(client, ok(draft(client), 201), "schedule", {"publishAt": at}))
    assert planned["scheduledAt"] == at
    read = ok(client.get(f"/v1/editor/posts/{planned['id']}", headers=EDITOR))
    assert read == planned
    ok(act(client, planned, "unpublish"))


def test_a_text_longer_than_mysqls_text_survives(client: httpx.Client) -> None:
    body = korean() * 10_000  # 240 KB
    post = published(client, body=body)
    assert ok(client.get(f"/v1/editor/posts/{post['id']}", headers=EDITOR))["body"] == body
    assert ok(client.get(f"/v1/posts/{post['id']}"))["html"] == f"<p>{body}</p>\n"


def test_keys_differ_by_case(client: httpx.Client) -> None:
    key = unique("key-")
    body = {"lang": "ko", "category": "news", "title": unique("제목 "), "body": "?"}
    made = {
        ok(client.post("/v1/editor/posts", json=body, headers={**EDITOR, "Idempotency-Key": k}), 201)["id"]
        for k in (key, key.upper(), key)
    }
    assert len(made) == 2


def test_every_part_of_every_word_is_found(client: httpx.Client) -> None:
    mark = str(uuid.uuid4().int)[:12]  # Nothing that is searched for is part of it.
    text = "An annual IR is what AI investors await: Asia, www.a-i.com. 패밀리가 매출실적을 a사와 공시합니다."
    post = published(client, title=mark, body=text)
    published(client, title=mark, body="無關")
    folded = [word.lower().strip(":,.") for word in text.split()]
    words = {word[i : i + n] for word in folded for n in (1, 2, 3, 6) for i in range(0, len(word), 2)}
    words |= {*folded, "a", "i", "ai", "ir", "an", "is", "실적", "AI", "ASIA"}
    for word in sorted(words):
        found = ok(client.get("/v1/search", params={"q": f"{word} {mark}"}))["items"]
        assert [card["id"] for card in found] == [post["id"]], word
    for word in ("실적표", "aia", "www.com", "%", "_"):
        assert ok(client.get("/v1/search", params={"q": f"{word} {mark}"}))["items"] == [], word


# -- what travels to a server --------------------------------------------------------------------------------


@contextmanager
def general_log(stack: Stack) -> Iterator[Callable[[str], list[tuple[str, str]]]]:
    """Have the server log what it is sent.

    The function gives all that came on the one connection that sent this: commands with their arguments.
    """

    def received(statement: str) -> list[tuple[str, str]]:
        stack.sql("SET GLOBAL general_log = 0")
        rows = stack.sql(
            "SELECT thread_id, command_type, CONVERT(argument USING utf8mb4) FROM mysql.general_log "
            "ORDER BY event_time"
        )
        (wanted,) = {thread for thread, _, argument in rows if argument.startswith(statement)}
        return [(command, argument) for thread, command, argument in rows if thread == wanted]

    stack.sql("SET GLOBAL log_output = 'TABLE'")
    stack.sql("TRUNCATE mysql.general_log")
    stack.sql("SET GLOBAL general_log = 1")
    try:
        yield received
    finally:
        stack.sql("SET GLOBAL general_log = 0")


def test_nothing_pins_a_connection(on_server: Stack) -> None:
    application = on_server.start()
    with general_log(on_server) as received, on_server.client(application) as client:
        post = published(client)
        ok(client.get(f"/v1/editor/posts/{post['id']}", headers=EDITOR))
        ok(client.get("/v1/search", params={"q": post["title"]}))
        ok(act(client, post, "unpublish"))
        ok(client.get("/v1/editor/categories", headers=EDITOR))
        form = {"name": "a", "email": "a@example.com", "subject": "@b:=c", "message": "c", "consent": True}
        ok(client.post("/v1/inquiries", json=form, headers={"Idempotency-Key": unique("key-")}), 201)
        assert act(client, post, "publish").status_code == 412
        sent = received("INSERT INTO posts")
    application.kill()
    assert {command for command, _ in sent} <= {"Connect", "Query", "Ping"}
    statements = [argument for command, argument in sent if command == "Query"]
    while AT_CONNECT.fullmatch(statements[0]):
        statements.pop(0)
    assert len(statements) > 20
    for statement in statements:
        assert not PINS.match(STRINGS.sub("''", statement)), statement


def test_a_read_is_one_statement_and_the_end_of_its_transaction(on_server: Stack) -> None:
    application = on_server.start()
    with on_server.client(application) as client:
        post = ok(draft(client), 201)  # From here on there is a connection.
        with general_log(on_server) as received:
            ok(client.get(f"/v1/editor/posts/{post['id']}", headers=EDITOR))
            sent = received("SELECT (EXISTS")  # Whether the post's wish is another's slug.
    application.kill()
    assert [argument.split()[0] for command, argument in sent if command == "Query"] == ["SELECT", "ROLLBACK"]


def test_mysqls_search_uses_its_index(stacks: Callable[[str], Stack]) -> None:
    stack = stacks("mysql")
    with stack.client() as client:
        mark = korean()
        post = published(client, title=mark, body="annual AI report")
        for _ in range(30):  # Among a few posts the server might as well read all that are public.
            published(client)
        with general_log(stack) as received:
            found = ok(client.get("/v1/search", params={"q": f"{mark} ai"}))["items"]
            assert [card["id"] for card in found] == [post["id"]]
            (query,) = [argument for _, argument in received("SELECT posts.id") if "AGAINST" in argument]
    with stack.database.connect() as connection:
        plan = connection.exec_driver_sql("EXPLAIN FORMAT=TRADITIONAL " + query.replace("%", "%%")).mappings()
        used = {row["table"]: (row["type"], row["key"]) for row in plan}
    assert used["posts"] == ("fulltext", "post_search")
