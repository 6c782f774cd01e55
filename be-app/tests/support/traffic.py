"""What visitors and staff ask of a process, sent from a process of its own: `python traffic.py < plan > answers`.

The plan and the answers are JSON; `Traffic` is both ends. With a rate, requests come as they come from people, at
random (Poisson) and whether or not earlier ones were answered, and a time to answer counts from when a request was
due: a server that stalls can't hide it (G. Tene's "coordinated omission"). Without one, each of some clients asks
again as soon as it has its answer.
"""

import asyncio
import base64
import hashlib
import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import uvloop

PATIENCE_S = 30
"""API Gateway gives an integration no longer (quota "Maximum integration timeout", HTTP APIs)."""
IDLE_S = 2
"""A connection that nobody used for so long isn't used again: at five seconds uvicorn closes it, maybe just then."""
LOST = 0
"""The status of a request whose connection was cut or that nobody answered in time."""


class Answer(NamedTuple):
    """One answer: when its request was due (seconds since the epoch), of what kind, and how many ms it took."""

    at: float
    kind: str
    status: int
    ms: float
    retry_after: str


class Write(NamedTuple):
    """A post that was to be made: its title, its id once accepted, and whether its publication was accepted."""

    title: str
    id: str
    published: bool


class Traffic:
    """Sends requests to a loopback port for the length of the block, or until its time is over.

    Args:
        port: where the application listens.
        seconds: for how long.
        rate: requests a second; else `clients` ask one after the other.
        clients: how many those are.
        pause_s: how long a client waits after it was refused.
        mix: how many of a hundred requests are of which kind: `read`, `staff`, `write`, `revise`, `upload`,
            `closed`, `login`.
        paths: what visitors read.
        posts: what the staff revises, more of them than are revised at once.
        staff: headers of somebody of the staff.
        closed: headers of callers who may read nothing of the editors'.
        image: a file for uploads.
        files_to: the port of S3 that browsers send files to, where it isn't the application's.
        seed: of everything that is random.
    """

    def __init__(
        self,
        port: int,
        seconds: float,
        *,
        rate: float | None = None,
        clients: int = 8,
        pause_s: float = 0.0,
        mix: Mapping[str, float] | None = None,
        paths: list[str],
        posts: Sequence[Mapping[str, Any]] = (),
        staff: Mapping[str, str] | None = None,
        closed: Sequence[Mapping[str, str]] = (),
        image: bytes = b"",
        files_to: int | None = None,
        seed: int = 1,
    ) -> None:
        self._plan = {
            "port": port,
            "seconds": seconds,
            "rate": rate,
            "clients": clients,
            "pause_s": pause_s,
            "mix": dict(mix or {"read": 100}),
            "paths": paths,
            "posts": [dict(post) for post in posts],
            "staff": dict(staff or {}),
            "closed": [dict(headers) for headers in closed],
            "seed": seed,
            "files_to": files_to,
            "image": base64.b64encode(image).decode(),
        }
        self.answers: list[Answer] = []
        self.writes: list[Write] = []

    def __enter__(self) -> Self:
        command = [sys.executable, __file__]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._child.stdin
        self._child.stdin.write(json.dumps(self._plan).encode())
        self._child.stdin.close()
        self._child.stdin = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error:
            self._child.kill()
        out, _ = self._child.communicate(timeout=self._plan["seconds"] + 2 * PATIENCE_S)  # type: ignore[operator]
        if not error:
            assert self._child.returncode == 0
            told = json.loads(out)
            self.answers = sorted(Answer(*answer) for answer in told["answers"])
            self.writes = [Write(*write) for write in told["writes"]]


Headers = Mapping[str, str]


class _Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class _Client:
    """The least of an HTTP client: it must cost much less than the server that it measures."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]]] = {}

    async def ask(self, method: str, url: str, headers: Headers, body: bytes = b"") -> _Reply:
        """Raise `OSError` or `EOFError` where the connection is cut."""
        parts = urlsplit(url)
        place = (parts.hostname or "", parts.port or 80)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        idle = self._idle.setdefault(place, [])
        while idle and (
            time.monotonic() - idle[-1][0] > IDLE_S or idle[-1][1].at_eof() or idle[-1][2].is_closing()
        ):
            idle.pop()[2].close()
        _, reader, writer = idle.pop() if idle else (0, *await asyncio.open_connection(*place))
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            status, *rest = head.decode("latin-1").split("\r\n")
            told = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in rest if line)}
            code = int(status.split()[1])
            empty = method == "HEAD" or code in {204, 304}
            content = b"" if empty else await reader.readexactly(int(told.get("content-length", 0)))
        except BaseException:
            writer.close()
            raise
        idle.append((time.monotonic(), reader, writer))
        return _Reply(code, told, content)


class _Crowd:
    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._url = f"http://127.0.0.1:{plan['port']}"
        self._random = random.Random(plan["seed"])
        self._client = _Client()
        self._image = base64.b64decode(plan["image"])
        self.answers: list[Answer] = []
        self.writes: list[Write] = []
        self._ids: list[str] = []

    async def _ask(
        self,
        kind: str,
        due: float,
        method: str,
        path: str,
        *,
        headers: Headers | None = None,
        body: Any = None,
    ) -> _Reply:
        """Ask and note the answer; a lost one is an answer, too."""
        content, headers = b"", dict(headers or {})
        if isinstance(body, bytes):
            content = body
        elif body is not None:
            content, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        url = path if path.startswith("http") else self._url + path
        reply = _Reply(LOST, {}, b"")
        with suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                reply = await self._client.ask(method, url, headers, content)
        took = (time.time() - due) * 1000
        self.answers.append(Answer(due, kind, reply.status, took, reply.headers.get("retry-after", "")))
        return reply

    async def read(self, due: float) -> _Reply:
        return await self._ask("read", due, "GET", self._random.choice(self._plan["paths"]))

    async def staff(self, due: float) -> _Reply:
        paths = ["/v1/auth/me", "/v1/editor/posts?limit=20"]
        if self._ids:
            paths.append(f"/v1/editor/posts/{self._random.choice(self._ids)}")
        return await self._ask("staff", due, "GET", self._random.choice(paths), headers=self._plan["staff"])

    async def closed(self, due: float) -> _Reply:
        headers = self._random.choice(self._plan["closed"])
        return await self._ask("closed", due, "GET", "/v1/editor/posts", headers=headers)

    async def login(self, due: float) -> _Reply:
        return await self._ask("login", due, "GET", "/v1/auth/login")

    async def write(self, due: float) -> _Reply:
        """Write a post and publish it; where no answer comes, ask again with the same key, as front ends do."""
        word = uuid.UUID(int=self._random.getrandbits(128)).hex
        body = {"lang": "ko", "category": "news", "title": word, "slug": f"p-{word}", "body": "본문입니다."}
        asked: Any = {"headers": {**self._plan["staff"], "Idempotency-Key": word}, "body": body}
        made = await self._ask("write", due, "POST", "/v1/editor/posts", **asked)
        for wait in (0.5, 1.0, 2.0):
            if made.status not in {LOST, 503}:
                break
            await asyncio.sleep(wait)
            made = await self._ask("write", time.time(), "POST", "/v1/editor/posts", **asked)
        if made.status != 201:
            self.writes.append(Write(word, "", published=False))
            return made
        post = made.json()
        path = f"/v1/editor/posts/{post['id']}/publish"
        public = await self._ask("write", time.time(), "POST", path, headers=self._if_still(post))
        self.writes.append(Write(word, post["id"], public.status == 200))
        self._ids.append(post["id"])
        return public

    async def revise(self, due: float) -> _Reply:
        """Edit a public post, and publish it."""
        post = self._plan["posts"].pop(0)  # So that nobody else revises it meanwhile.
        path = f"/v1/editor/posts/{post['id']}"
        body = {
            "category": "news",
            "title": post["title"],
            "body": f"{self._random.random()}번째 본문입니다.",
        }
        reply = await self._ask("write", due, "PUT", path, headers=self._if_still(post), body=body)
        if reply.status == 200:
            post = reply.json()
            headers = self._if_still(post)
            reply = await self._ask("write", time.time(), "POST", f"{path}/publish", headers=headers)
        self._plan["posts"].append(reply.json() if reply.status == 200 else post)
        return reply

    def _if_still(self, post: dict[str, Any]) -> dict[str, str]:
        return {**self._plan["staff"], "If-Match": f'"{post["version"]}"'}

    async def upload(self, due: float) -> _Reply:
        """Announce an image, send it to S3, and say so."""
        staff, size = self._plan["staff"], len(self._image)
        said = {"name": "a.jpg", "contentType": "image/jpeg", "purpose": "image", "size": size}
        said["sha256"] = hashlib.sha256(self._image).hexdigest()
        announced = await self._ask("upload", due, "POST", "/v1/uploads", headers=staff, body=said)
        if announced.status != 201:
            return announced
        upload = announced.json()
        content = b""
        for name, value in {**upload["form"]["fields"], "file": None}.items():
            more = '; filename="a.jpg"' if value is None else ""
            content += f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
            content += (self._image if value is None else str(value).encode()) + b"\r\n"
        form = {"Content-Type": "multipart/form-data; boundary=b"}
        url = upload["form"]["url"]
        if self._plan["files_to"]:
            url = urlsplit(url)._replace(netloc=f"127.0.0.1:{self._plan['files_to']}").geturl()
        sent = await self._ask("s3", time.time(), "POST", url, headers=form, body=content + b"--b--\r\n")
        if sent.status != 204:
            return sent
        path = f"/v1/uploads/{upload['id']}/complete"
        return await self._ask("completion", time.time(), "POST", path, headers=staff)

    def _next(self) -> Callable[[float], Coroutine[Any, Any, _Reply]]:
        kinds, weights = zip(*self._plan["mix"].items(), strict=True)
        chosen: Callable[[float], Coroutine[Any, Any, _Reply]] = getattr(
            self, self._random.choices(kinds, weights)[0]
        )
        return chosen

    async def _at_random(self, rate: float, until: float) -> None:
        due = time.time()
        async with asyncio.TaskGroup() as tasks:
            while (due := due + self._random.expovariate(rate)) < until:
                await asyncio.sleep(due - time.time())
                tasks.create_task(self._next()(due))

    async def _one_by_one(self, until: float) -> None:
        while (now := time.time()) < until:
            if (await self._next()(now)).status in {LOST, 503}:
                await asyncio.sleep(self._plan["pause_s"])

    async def run(self) -> None:
        until = time.time() + self._plan["seconds"]
        if self._plan["rate"]:
            await self._at_random(self._plan["rate"], until)
        else:
            await asyncio.gather(*(self._one_by_one(until) for _ in range(self._plan["clients"])))


def main() -> None:
    crowd = _Crowd(json.load(sys.stdin))
    uvloop.run(crowd.run())
    json.dump({"answers": crowd.answers, "writes": crowd.writes}, sys.stdout)


if __name__ == "__main__":
    main()
