"""Runs the commands of docs/how-to/operations.md for a leaked key and for lost data, as that page shows them."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.markdown import commands
from familycorp_ops.rehearse.journey import CSRF, Staff
from familycorp_ops.rehearse.promise import expect

_OPERATIONS: Final = ROOT / "docs" / "how-to" / "operations.md"
_ACCESS: Final = "__Host-access"

Shell = Callable[[str], str]
"""Runs a command line as an operator would; returns what it prints."""


def shown(section: str, env: str, **values: str) -> list[str]:
    """Return a section's commands for an environment, with what stands in capital letters filled in."""
    found = []
    for command in commands(_OPERATIONS, section):
        for name, value in {"familycorp-dev": f"familycorp-{env}", "ENV=dev": f"ENV={env}", **values}.items():
            command = command.replace(name, value)  # noqa: PLW2901 - each replaces one placeholder.
        found.append(command)
    return found


def forged(person: Staff, key: Mapping[str, str]) -> str:
    """Return a token such as the thief of a signing key makes: a member's own, signed again."""
    import jwt  # noqa: PLC0415 - only a rehearsal needs it.

    claims = jwt.decode(_token(person), options={"verify_signature": False})
    claims["exp"] = int(time.time()) + 900
    private: Any = jwt.PyJWK(dict(key)).key
    return jwt.encode(claims, private, algorithm="ES256", headers={"kid": key["kid"], "typ": "at+jwt"})


def kid(person: Staff) -> str:
    """Return the name of the key that signed somebody's token."""
    import jwt  # noqa: PLC0415

    return str(jwt.get_unverified_header(_token(person))["kid"])


def _token(person: Staff) -> str:
    found = next((c.value for c in person.client.cookies.jar if c.name == _ACCESS), None)
    expect(bool(found), f"{person.username} isn't logged in")
    return str(found)


def asked_with(token: str, person: Staff) -> httpx.Response:
    """Ask who one is with a token in place of somebody's own."""
    own = {c.name: c.value or "" for c in person.client.cookies.jar if c.path == "/"}
    line = "; ".join(f"{name}={value}" for name, value in {**own, _ACCESS: token}.items())
    request = person.client.build_request("GET", "/v1/auth/me")
    request.headers["Cookie"] = line
    return person.client.send(request)


def restore_destroyed_inquiry(sql: Callable[..., Any], admin: Staff) -> uuid.UUID:
    """Destroy an inquiry, then bring its row back as a backup of the cluster does; return its id."""
    admin.log_in()
    inquiry = admin.client.get("/v1/editor/inquiries", params={"limit": 1}).json()["items"][0]["id"]
    path = f"/v1/editor/inquiries/{inquiry}"
    tag = admin.client.get(path).headers["ETag"]
    sql("CREATE TABLE familycorp.backup AS SELECT * FROM familycorp.inquiries")
    destroyed = admin.client.delete(path, headers={**CSRF, "If-Match": tag})
    expect(destroyed.status_code == 204, f"the inquiry isn't destroyed: {destroyed.text}")
    sql("INSERT INTO familycorp.inquiries SELECT * FROM familycorp.backup", "DROP TABLE familycorp.backup")
    seen = admin.client.get(path).status_code
    expect(seen == 404, f"a destroyed inquiry that is back from a backup is answered with {seen}")
    return uuid.UUID(inquiry)


def take_files_back(shell: Shell, s3: Any, env: str) -> str:
    """Delete a file, and bring it back as the document says; return its key."""
    bucket = f"familycorp-{env}-uploads"
    file = s3.list_objects_v2(Bucket=bucket, Prefix="files/")["Contents"][0]
    s3.delete_object(Bucket=bucket, Key=file["Key"])
    left = s3.list_objects_v2(Bucket=bucket, Prefix=file["Key"]).get("Contents", [])
    expect(not left, "the file wasn't deleted")
    look, _ = shown("A file", env, KEY=file["Key"])
    markers = json.loads(shell(look))["DeleteMarkers"]
    _, fix = shown("A file", env, KEY=file["Key"], MARKER=markers[0]["VersionId"])
    shell(fix)
    back = s3.head_object(Bucket=bucket, Key=file["Key"])
    expect(back["ContentLength"] == file["Size"], "another file came back")
    return str(file["Key"])


def lose(dynamodb: Any, table: str) -> int:
    """Delete all items of a table; return how many there were."""
    names = [k["AttributeName"] for k in dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]]
    lost = 0
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            dynamodb.delete_item(TableName=table, Key={name: item[name] for name in names})
            lost += 1
    return lost
