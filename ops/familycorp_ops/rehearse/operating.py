"""What an operator does from a laptop: commands whose `--env` calls the operator functions, as people run them."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from familycorp_ops.rehearse.journey import Staff
from familycorp_ops.rehearse.promise import BrokenPromiseError, expect

READ, WRITE = "operator-read", "operator-write"
_POST: Final = """---
title: 노트북에서 온 글
slug: from-a-laptop
lang: ko
category: news
publishedAt: 2026-01-05T00:00:00Z
---

본문입니다.
"""
_SESSION_ENDED: Final = 401

Familycorp = Callable[..., str]
"""Runs `familycorp` with somebody's credentials; raises `BrokenPromiseError`, with what it says, where it fails."""


class Laptop:
    """A person's command line.

    Args:
        familycorp: runs a command.
        env: the environment that the person works on.
        credentials: variables of the person's session.
    """

    def __init__(self, familycorp: Familycorp, env: str, credentials: Mapping[str, str]) -> None:
        self._familycorp, self._env, self._credentials = familycorp, env, credentials

    def run(self, *arguments: str | Path) -> Any:
        """Run a command; return its document."""
        given = (*map(str, arguments), "--env", self._env, "--json")
        return json.loads(self._familycorp("laptop", *given, **self._credentials))

    def expect_refused(self, function: str, *arguments: str) -> None:
        """Run a command; raise `BrokenPromiseError` unless IAM refuses the call of its function."""
        wanted = f"may not call familycorp-{self._env}-{function}"
        try:
            self._familycorp("laptop", *arguments, "--env", self._env, **self._credentials)
        except BrokenPromiseError as ended:
            expect(wanted in str(ended), str(ended))
        else:
            raise BrokenPromiseError(
                f"{' '.join(arguments)} is done, though these credentials don't allow it"
            )


def make_first_admin(operator: Laptop, person: Staff, command: Sequence[str]) -> str:
    """Run the command that creation printed, after the person's first login; return who is admin."""
    operator.run(*command)
    seen = _last_status(lambda: person.client.get("/v1/members"))
    expect(seen == _SESSION_ENDED, f"a session of the role before is answered with {seen}")
    person.log_in()
    seen = person.client.get("/v1/members").status_code
    expect(seen == 200, f"the admin's list of members is answered with {seen}")
    admins = [m["email"] for m in operator.run("members", "list") if m["role"] == "admin"]
    expect(len(admins) == 1, f"these are admins: {', '.join(admins)}")
    return str(admins[0])


def change_member(operator: Laptop, person: Staff, arn: str) -> str:
    """Grant a role, end the sessions, and disable; return which changes the audit trail has, by whom.

    Args:
        operator: who does it.
        person: a viewer who is logged in.
        arn: what AWS calls the operator.
    """
    email = f"{person.username}@familycorp.example"
    listed = {m["email"]: m for m in operator.run("members", "list")}
    expect(email in listed, f"these are members: {', '.join(listed)}")
    member = listed[email]["id"]
    operator.run("members", "grant-role", email, "editor")
    seen = _last_status(lambda: _draft(person))
    expect(seen == _SESSION_ENDED, f"a session of the role before is answered with {seen}")
    person.log_in()
    draft = _draft(person)
    expect(draft.status_code == 201, f"the new editor's draft is answered with {draft.status_code}")
    operator.run("members", "end-sessions", member)
    seen = _last_status(lambda: _draft(person))
    expect(seen == _SESSION_ENDED, f"a session that was ended is answered with {seen}")
    person.log_in()
    operator.run("members", "disable", email)
    seen = _last_status(lambda: _draft(person))
    expect(seen == _SESSION_ENDED, f"somebody who was disabled is answered with {seen}")
    entries = operator.run("audit", "--target", f"member:{member}")["items"]
    done = [entry["action"] for entry in entries if entry["actor"] == arn]
    wanted = ["member.disabled", "member.sessions_ended", "member.role_changed"]
    expect(done == wanted, f"the trail has {[(e['action'], e['actor']) for e in entries]}")
    return f"{', '.join(reversed(done))} by {arn.rpartition(':')[2]}"


def _last_status(request: Callable[[], httpx.Response]) -> int:
    """Return the status of a request with a session that was ended, once each process has forgotten the session.

    A process remembers a session for a second (`app.auth.access`).
    """
    deadline = time.monotonic() + 10
    while (seen := request().status_code) != _SESSION_ENDED and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


def _draft(person: Staff) -> httpx.Response:
    text = {"lang": "ko", "category": "news", "slug": f"draft-{person.username}", "title": "초안"}
    return person.post("/v1/editor/posts", {**text, "body": "본문입니다."})


def move_content(operator: Laptop, visitor: httpx.Client, directory: Path) -> str:
    """Export the content, import it with a further post, and export again; return what was seen.

    Args:
        operator: who does it.
        visitor: anybody's browser.
        directory: where the folder goes.
    """
    site = directory / "site"
    exported = operator.run("content", "export", site)["posts"]
    (site / "ko" / "from-a-laptop.md").write_text(_POST, "utf-8")
    for options, created in ((("--dry-run",), 1), ((), 1), ((), 0)):
        said = operator.run("content", "import", site, *options)
        counts = {result: said[result] for result in ("created", "changed", "unchanged", "failed")}
        wanted = {"created": created, "changed": 0, "unchanged": exported + 1 - created, "failed": 0}
        expect(counts == wanted, f"the import of {exported + 1} posts says {counts}")
        served = visitor.get("/v1/posts/from-a-laptop").status_code
        expect(served == (404 if options else 200), f"after {options or 'it'} visitors get {served}")
    again = operator.run("content", "export", directory / "site-again")["posts"]
    expect(again == exported + 1, f"{again} posts are exported")
    return f"{exported} posts out, {again} in"


def take_inquiries(operator: Laptop, visitor: httpx.Client, directory: Path) -> str:
    """Send an inquiry, and export all; return how many there are."""
    inquiry = {
        "name": "김하나",
        "email": "hana@example.com",
        "subject": "견적",
        "message": "부탁드립니다.",
        "consent": True,
    }
    sent = visitor.post("/v1/inquiries", json=inquiry)
    expect(sent.status_code == 201, f"the inquiry is answered with {sent.status_code} {sent.text[:300]}")
    file = directory / "inquiries.jsonl"
    count = operator.run("inquiries", "export", file)["inquiries"]
    found = [json.loads(line)["id"] for line in file.read_text("utf-8").splitlines()]
    expect(sent.json()["id"] in found, "the export lacks the inquiry")
    mode = file.stat().st_mode & 0o777
    expect(mode == 0o600, f"others may read the file: {mode:o}")
    return f"{count} inquiry"
