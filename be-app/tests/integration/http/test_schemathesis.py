"""The running service against its own OpenAPI document: generated requests, valid, invalid and in sequences."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.clock import new_id
from support.contract import NOBODY, ok
from support.long_runs import SECONDS
from support.stack import EDITOR, Stack, draft, published
from support.uploading import announce

# Checks that are off or relaxed stand in the configuration, each with its reason.
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PROGRAM = str(Path(sys.executable).with_name("schemathesis"))

CALLERS = {
    "visitor": (6 if SECONDS else 3, 14),
    "viewer": (3, 20),
    "editor": (4, 30),
    "admin": (8 if SECONDS else 5, 40),
}
"""For each caller: examples for each operation and phase; operations that must have been of use to them."""

FORGERY = {"$ref": "#/components/parameters/CsrfProtection"}

COVERED = ("visitor", "admin") if SECONDS else ("admin",)
"""Callers who also send every boundary of the schema: those who may the least and the most.

A visitor's boundaries, a half of a visitor's and an admin's examples, and a viewer are left to `make nightly`.
"""


def described(client: httpx.Client, stack: Stack) -> dict[str, Any]:
    """Return the document, with what is there now where generated data would not find it."""
    document: dict[str, Any] = ok(client.get("/openapi.json"))
    post, file = published(client, tags=["a"], lang="en"), _file(stack)
    shown = published(client, attachments=[file])
    letter = {"name": "a", "email": "a@b.kr", "subject": "a", "message": "a", "consent": True}
    assert client.post("/v1/inquiries", json=letter).status_code in {200, 201, 202}
    there = {
        "post_id": [post["id"], shown["id"], ok(draft(client), 201)["id"]],
        "id_or_slug": [post["slug"], shown["id"]],
        "attachment_id": [file],
        "upload_id": [ok(announce(client, b"a", "a.zip", "application/zip", EDITOR), 201)["id"]],
        "inquiry_id": [ok(client.get("/v1/editor/inquiries", headers=EDITOR))["items"][0]["id"]],
        "slug": ["news"],
        "If-Match": [f'"{version}"' for version in range(1, 5)],
    }
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        # A header names the caller here, so what the document says of cookies doesn't hold; test_guard.py asks every
        # guarded route without a caller, test_openapi.py every change without the header against forgery.
        operation.pop("security", None)
        operation["parameters"] = [p for p in operation["parameters"] if p != FORGERY]
        for parameter in operation.get("parameters", ()):
            if parameter.get("name") in there:
                parameter["schema"] = {"type": "string", "enum": [*there[parameter["name"]], NOBODY]}
    for name in ("PostCreate", "PostUpdate"):
        document["components"]["schemas"][name]["properties"]["category"] = {"enum": ["news", "nowhere"]}
    return document


def _file(stack: Stack) -> str:
    """Return the id of a file that a post may name."""
    file = str(new_id())
    stack.sql(
        "INSERT INTO attachments (id, name, content_type, size, object_key, created_by, created_at)"
        " VALUES (:id, 'a.pdf', 'application/pdf', 1, :id, 'editor-1', '2026-11-23 00:00:00')",
        id=file.replace("-", ""),
    )
    return file


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "caller", [pytest.param(c, marks=pytest.mark.holds) if c == "viewer" else c for c in CALLERS]
)
def test_no_generated_request_gets_an_answer_that_is_not_documented(
    staff_stack: Stack, tmp_path: Path, caller: str
) -> None:
    stack, log = staff_stack, staff_stack.processes[0].log
    examples, useful = CALLERS[caller]
    with stack.client() as client:
        document = described(client, stack)
    written = tmp_path / "openapi.json"
    written.write_text(json.dumps(document))
    named = {} if caller == "visitor" else EDITOR | {"X-Test-Role": caller}
    command = [
        *(PROGRAM, f"--config-file={CONFIGURATION}", "run", str(written), f"--url={stack.processes[0].url}"),
        *(f"--header={name}:{value}" for name, value in named.items()),
        *("--checks=all", f"--max-examples={examples}", "--continue-on-failure", "--no-color"),
        *(() if caller in COVERED else ("--phases=examples,fuzzing,stateful",)),
        "--generation-deterministic",  # A failure of one change must not depend on another's luck.
    ]
    logged = log.stat().st_size
    # It keeps notes in its working directory.
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert f"Tested: {sum(map(len, document['paths'].values()))}" in done.stdout
    assert "✅ Stateful" in done.stdout
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases
    assert int(cases[1]) > (300 if caller in COVERED else 200)
    lines = [json.loads(line) for line in log.read_bytes()[logged:].splitlines()]
    assert not [line for line in lines if line["level"] == "ERROR"]
    served = {(line["method"], line["route"]) for line in lines if 200 <= line.get("status", 0) < 400}
    assert len(served) >= useful, sorted(served)
