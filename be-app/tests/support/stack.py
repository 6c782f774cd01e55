"""The application on real stores, as processes on loopback, and a client of it."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import botocore.session
import httpx
import sqlalchemy

from app.core.aws import dynamodb
from app.core.clock import now, timestamp
from app.core.read_path.read_model import SHARDS
from app.core.settings import Settings
from familycorp_ops.local.provision import provision
from familycorp_ops.servers.dynamodb_local import DynamoDBLocal
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.process import (
    LOOPBACK,
    Process,
    Server,
    clean_environment,
    free_port,
    http_ok,
)
from familycorp_ops.servers.valkey import Valkey
from familycorp_ops.testing import forking
from familycorp_ops.testing.commands import empty_database
from support import recording

BE_APP = Path(__file__).parents[2]
TESTS = BE_APP / "tests"
EDITOR = {"X-Test-Subject": "editor-1", "X-CSRF-Protection": "1"}


class Provider(Protocol):
    """A login provider."""

    client_id: str
    client_secret: str | None

    @property
    def url(self) -> str: ...

    def allow(self, api_url: str) -> None: ...


def json_lines(log: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, each of which must be JSON; a last one without its end is still being written."""
    return [json.loads(line) for line in log.read_bytes().split(b"\n")[:-1]]


class Program(Process):
    """Python with arguments, forked from a process that has the libraries."""

    def _execute(self, *how: Any) -> subprocess.Popen[bytes]:
        return forking.start(*how)


class Application(Server):
    """The application, instrumented: one process or, if it respawns, one at a time (see `respawning`)."""

    def __init__(
        self,
        environment: dict[str, str],
        directory: Path,
        *,
        port: int | None = None,
        respawns: bool = False,
        deployed: bool = False,
    ) -> None:
        self._settings = environment
        self._module = "app.functions.http:app" if deployed else "support.instrumented:app"
        self._respawns = respawns
        self._start = super()._execute if deployed else forking.start
        log = directory / f"app-{uuid.uuid4().hex[:6]}.log"
        super().__init__("application", port=port, directory=directory, log=log)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        if self._respawns:
            return [sys.executable, "-m", "support.respawning", str(self.port)]
        module = [self._module, "--app-dir", str(TESTS)]
        options = ["--port", str(self.port), "--no-access-log", "--no-proxy-headers"]
        return [sys.executable, "-m", "uvicorn", *module, *options]

    def environment(self) -> dict[str, str]:
        return clean_environment(**CREDENTIALS, **self._settings, PYTHONPATH=str(TESTS))

    def _execute(self, *how: Any) -> subprocess.Popen[bytes]:
        return self._start(*how)

    def is_ready(self) -> bool:
        return http_ok(self.port, "/health")

    def imported(self) -> set[str]:
        """Return the modules that it imported; start it with `PYTHONPROFILEIMPORTTIME="1"` to have them logged."""
        return set(re.findall(r"^import time:.*\| +([\w.]+)$", self.log.read_text(), re.MULTILINE))


class Stack:
    """An environment of its own: a database, tables and a cache, and application processes on them."""

    def __init__(
        self,
        directory: Path,
        ministack: MiniStack | DynamoDBLocal,
        valkey: Valkey,
        database_url: str | None = None,
        *,
        provider: Provider | None = None,
        **settings: str,
    ) -> None:
        self.directory = directory
        self.ministack, self.valkey = ministack, valkey
        self.cache_url = valkey.new_database()
        self._own_file = f"sqlite+aiosqlite:///{directory}/content.db"
        self.database_url = database_url or self._own_file
        self.processes: list[Application] = []
        self.provider = provider
        self._port = free_port()
        self._more = settings
        # The environment's name makes the tables' names, so each stack takes a region of its own instead:
        # the emulator keeps regions apart as AWS does. Names of buckets are global.
        self.region = f"test-{uuid.uuid4().hex[:8]}-1"
        self.actions = Path(os.environ.get("TEST_ACTIONS_DIRECTORY", directory)) / f"actions-{self.region}"

    @cached_property
    def environment(self) -> dict[str, str]:
        """The settings of every process of this stack."""
        values = {
            "ENV": "test",
            "DATABASE_URL": self.database_url,
            "DATABASE_POOL_SIZE": "10",
            "AWS_REGION": self.region,
            "UPLOADS_BUCKET_NAME": f"uploads-{self.region}",
            "MEDIA_BUCKET_NAME": f"media-{self.region}",
            "AWS_ENDPOINT_URL": self.ministack.url,
            "CACHE_URL": self.cache_url,
            "CORS_ORIGINS": "https://www.familycorp.example",
            "API_URL": self.api_url,
            **self._of_provider(),
            **self._more,
        }
        return {f"FAMILYCORP_{name}": value for name, value in values.items()}

    @property
    def api_url(self) -> str:
        """Origin of the first process: where people log in, and what issues tokens for all of them."""
        return f"http://{LOOPBACK}:{self._port}"

    def _of_provider(self) -> dict[str, str]:
        if self.provider is None:
            return {}
        values = {
            "OIDC_ISSUER": self.provider.url,
            "OIDC_CLIENT_ID": self.provider.client_id,
            # NanoIDP refuses an unknown scope, and sends groups without one.
            "OIDC_SCOPES": "openid,email,profile" + (",groups" if self.provider.client_secret else ""),
            "ROLE_GROUPS": "admins=admin,editors=editor,viewers=viewer",
        }
        return values | ({"OIDC_CLIENT_SECRET_ID": "client-secret"} if self.provider.client_secret else {})

    @property
    def settings(self) -> Settings:
        return Settings.model_validate(
            {k.removeprefix("FAMILYCORP_").lower(): v for k, v in self.environment.items()}
        )

    def prepare(self) -> Self:
        """Create tables and migrate."""
        provision(self.settings)
        if self.provider is not None:
            self.provider.allow(self.api_url)
            if self.provider.client_secret:
                self.aws("secretsmanager").create_secret(
                    Name="client-secret", SecretString=self.provider.client_secret
                )
        if self.database_url == self._own_file:
            Path(self.directory, "content.db").write_bytes(empty_database())
        else:
            self.run("-m", "familycorp_ops", "db", "upgrade")
        return self

    def program(self, *arguments: str, **environment: str) -> Process:
        """Return Python with arguments and this stack's settings, to be started."""
        return Program(
            "python",
            [sys.executable, *arguments],
            environment=clean_environment(
                **CREDENTIALS, **self.environment | environment, TEST_ACTIONS=str(self.actions)
            ),
            cwd=BE_APP,
            log=self.directory / "run.log",
        )

    def run(self, *arguments: str, **environment: str) -> None:
        """Run Python with this stack's settings until it ends; raise when it fails."""
        process = self.program(*arguments, **environment)
        process.spawn()
        if process.wait(300):
            raise AssertionError(process.tail(40))

    def run_as(self, function: str, script: str, *arguments: str, **environment: str) -> None:
        """Run a script that does what a function does, noting what it asks of AWS."""
        noting = f"from support import recording; recording.start({function!r})\n"
        self.run("-c", noting + script, *arguments, PYTHONPATH=str(TESTS), **environment)

    def run_due(self) -> None:
        """Run the scheduler."""
        self.run_as(
            "drain", "import asyncio; from app.functions.drain import run_due; asyncio.run(run_due())"
        )

    def start(self, *, respawns: bool = False, deployed: bool = False, **environment: str) -> Application:
        """Start one more process of the application, instrumented or exactly as it is deployed."""
        port = None if self.processes else self._port
        chosen = self.environment | {"TEST_ACTIONS": str(self.actions)} | environment
        application = Application(chosen, self.directory, port=port, respawns=respawns, deployed=deployed)
        application.start()
        self.processes.append(application)
        return application

    @contextmanager
    def client(self, application: Application | None = None, **options: Any) -> Iterator[httpx.Client]:
        """Open a client of a process, by default the first."""
        chosen = application or self.processes[0]
        with httpx.Client(base_url=chosen.url, trust_env=False, timeout=120, **options) as client:
            yield client

    @cached_property
    def database(self) -> sqlalchemy.Engine:
        """The relational database, for tests that read or change it beside the application."""
        url = self.database_url.replace("+aiosqlite", "").replace("+aiomysql", "+pymysql")
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)

    def sql(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement on the database and return its rows."""
        with self.database.begin() as connection:
            result = connection.execute(sqlalchemy.text(statement), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    @cached_property
    def dynamodb(self) -> Any:
        """A client of the emulator, for the same purpose."""
        return self.aws("dynamodb")

    def aws(self, service: str) -> Any:
        """Return a client of a service of the emulator."""
        session = botocore.session.get_session()
        return session.create_client(service, region_name=self.region, endpoint_url=self.ministack.url)

    def held(self, owner: str, item: str) -> dict[str, Any] | None:
        """Return an item of the table of sessions."""
        found = self.dynamodb.get_item(
            TableName=self.settings.sessions_table,
            Key=dynamodb.encode({"owner": owner, "item": item}),
            ConsistentRead=True,
        )
        return dynamodb.decode(found["Item"]) if "Item" in found else None

    def rewrite(self, owner: str, item: str, **values: int) -> None:
        """Change numbers in an item of the table of sessions, as time would."""
        self.dynamodb.update_item(
            TableName=self.settings.sessions_table,
            Key=dynamodb.encode({"owner": owner, "item": item}),
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in values),
            ExpressionAttributeValues=dynamodb.encode({f":{name}": value for name, value in values.items()}),
        )

    def logs(self) -> str:
        """Return what all processes logged."""
        return "".join(process.log.read_text() for process in self.processes)

    def items(self, aggregate: str) -> list[dict[str, Any]]:
        """Return an aggregate's items in the table of events, in their order."""
        found = self.dynamodb.query(
            TableName=self.settings.events_table,
            KeyConditionExpression="#a = :a",
            ExpressionAttributeNames={"#a": "aggregate"},
            ExpressionAttributeValues=dynamodb.encode({":a": aggregate}),
        )
        return [dynamodb.decode(item) for item in found["Items"]]

    def undone(self) -> list[dict[str, Any]]:
        """Return the markers of work that is left; those of destructions, a week or years ahead, are none."""
        ahead = timestamp(now() + timedelta(days=6))
        return [item for item in self.items("due") if item["sequence"] < ahead]

    def events(self, aggregate: str) -> list[str]:
        """Return an aggregate's events, each as `version kind`; they must have been published in that order."""
        items = self.items(aggregate)
        assert items == sorted(items, key=lambda item: item["at"]), items
        pairs = (item["sequence"].split("#") for item in items)
        return [f"{int(version)} {kind}" for version, kind in pairs]

    def snapshot(self, key: str) -> dict[str, Any] | None:
        """Return an item of the table of snapshots."""
        found = self.dynamodb.get_item(
            TableName=self.settings.posts_table, Key={"postId": {"S": key}}, ConsistentRead=True
        )
        return dynamodb.decode(found["Item"]) if "Item" in found else None

    def counted(self, key: str, counter: str) -> int:
        """Return a counter of a published item."""
        shards = [self.snapshot(f"{key}#{n}") or {} for n in range(SHARDS)]
        return sum(shard.get(counter, 0) for shard in shards)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        if "TEST_ACTIONS_DIRECTORY" not in os.environ:
            new = recording.noted(self.actions) - recording.known()
            assert not new, f"not among the actions that policies are compared with (`make actions`): {new}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def command(stack: Stack, *arguments: str) -> tuple[int | None, str]:
    """Run `familycorp` on a stack's environment; return exit status and what it said."""
    process = stack.program("-m", "familycorp_ops", *arguments)
    process.log = stack.directory / f"command-{uuid.uuid4().hex}.log"
    process.spawn()
    return process.wait(300), process.log.read_text()


def draft(client: httpx.Client, **content: Any) -> httpx.Response:
    """Write a draft with sensible content; return the answer."""
    unique = uuid.uuid4().hex[:8]
    body = {
        "lang": "ko",
        "category": "news",
        "slug": f"post-{unique}",
        "title": f"소식 {unique}",
        "body": "본문입니다.",
        **content,
    }
    return client.post("/v1/editor/posts", json=body, headers=EDITOR)


def act(
    client: httpx.Client, post: dict[str, Any], step: str, body: Any = None, **headers: str
) -> httpx.Response:
    """Take an editorial step on the version of `post`."""
    headers = {**EDITOR, "If-Match": f'"{post["version"]}"', **headers}
    return client.post(f"/v1/editor/posts/{post['id']}/{step}", json=body, headers=headers)


def published(client: httpx.Client, **content: Any) -> dict[str, Any]:
    """Write and publish a post; return it as the editor sees it."""
    post = draft(client, **content)
    assert post.status_code == 201, post.text
    answer = act(client, post.json(), "publish")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def make_unrenderable(stack: Stack, post: dict[str, Any]) -> None:
    """Give a post a text such as an earlier release may have accepted, and this one can't render."""
    statement = "UPDATE post_revisions SET body = :body WHERE post_id = :post"
    stack.sql(statement, body="&" * 100_000, post=uuid.UUID(post["id"]).hex)


def make_category(client: httpx.Client, slug: str) -> None:
    """Create a category, unless there is one."""
    answer = client.post(
        "/v1/editor/categories", json={"slug": slug, "name": {"ko": slug, "en": slug}}, headers=EDITOR
    )
    assert answer.status_code in {201, 409}, answer.text
