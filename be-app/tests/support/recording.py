"""Notes what the application asks of AWS, in IAM's terms: which function asks, for which action, on what.

`actions.json` is what the whole suite performs; `make actions` rewrites it. A stack that is closed fails when one
of its processes did more, and `test_terraform_iam.py` compares the file with the policies of the plan.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import botocore.session

KNOWN = Path(__file__).with_name("actions.json")

Action = tuple[str, str, str]
"""Function, IAM action, resource: `sessions`, `posts/index/by-slug`, `uploads/files/*`, `uploads?files/`, …"""

_S3 = {
    "HeadObject": "GetObject",
    "CopyObject": "PutObject",
    "UploadPart": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
}
"""Operations that go by the name of another permission (Service Authorization Reference, Amazon S3)."""

_function: ContextVar[str] = ContextVar("function", default="")


def acts_as(path: str) -> None:
    """Say whose work a request is, as the API's routes do; `/test/run-due` stands for the scheduler's event."""
    name = {"/v1/auth": "auth", "/test/run-due": "drain"}
    _function.set(next((f for p, f in name.items() if path == p or path.startswith(f"{p}/")), "backend"))


def start(function: str = "") -> None:
    """Note from now on what this process asks of AWS, into the file that `TEST_ACTIONS` names."""
    if "TEST_ACTIONS" not in os.environ:
        return
    file, seen = Path(os.environ["TEST_ACTIONS"]), set[Action]()
    made = botocore.session.Session.create_client

    def note(service: str, operation: str, parameters: dict[str, Any]) -> None:
        name = (
            function or _function.get() or "backend"
        )  # What no request began is what a container does at its start.
        new = {(name, *permission) for permission in _permissions(service, operation, parameters)} - seen
        seen.update(new)
        with file.open("a") as lines:
            lines.writelines(f"{json.dumps(action)}\n" for action in new)

    def create_client(self: Any, *arguments: Any, **options: Any) -> Any:
        client = made(self, *arguments, **options)
        service = client.meta.service_model.service_name
        # Asked for each call, and for each address that is signed for somebody else to call.
        client.meta.events.register(
            "provide-client-params", lambda params, model, **_: note(service, model.name, params)
        )
        client.meta.events.register("before-sign.s3.PutObject", lambda request, **_: note_form(request))
        return client

    def note_form(request: Any) -> None:
        if fields := request.context.get("s3-presign-post-fields"):
            note("s3", "PutObject", {"Key": fields["key"]})

    botocore.session.Session.create_client = create_client


def _permissions(service: str, operation: str, given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    match service:
        case "dynamodb" if operation == "BatchGetItem":
            for table in given["RequestItems"]:
                yield "dynamodb:BatchGetItem", _table({"TableName": table})
        case "dynamodb":
            yield f"dynamodb:{operation}", _table(given)
        case "s3" if "Key" in given:
            bucket = _bucket(given)
            version = "Version" if "VersionId" in given else ""
            yield f"s3:{_S3.get(operation, operation)}{version}", _below(f"{bucket}/", given["Key"]) + "*"
            if operation == "CopyObject":
                yield "s3:GetObject", _below("uploads/", given["CopySource"]["Key"]) + "*"
        case "s3" if operation == "CreateBucket":
            return  # So botocore works out the address that a form is sent to; `note_form` notes the form.
        case "s3":
            yield f"s3:{_S3.get(operation, operation)}", _below(f"{_bucket(given)}?", given["Prefix"])
        case "secretsmanager":
            secret = "signing-key" if "signing-key" in given["SecretId"] else "oidc-client"
            yield f"secretsmanager:{operation}", secret
        case "kms":
            yield f"kms:{operation}", given["KeyId"].rpartition("-")[2]
        case _:
            yield f"{service}:{operation}", re.split(r"[:-]", str(given.get("TopicArn", "*")))[-1]


def _table(given: dict[str, Any]) -> str:
    table = given["TableName"].rpartition("-")[2]
    if "IndexName" in given:
        return f"{table}/index/{given['IndexName']}"
    # Public keys are items of their own: a function that may write them can issue tokens.
    key = given.get("Key") or given.get("Item") or {}
    return f"{table}#keys" if key.get("owner") == {"S": "keys"} else table


def _bucket(given: dict[str, Any]) -> str:
    named = given.get("Bucket", "")
    return next((kind for kind in ("exchange", "media") if kind in named), "uploads")


def _below(what: str, key: str) -> str:
    return what + key.partition("/")[0] + "/"


def noted(file: Path) -> set[Action]:
    """Return what processes wrote into a file."""
    if not file.exists():
        return set()
    return {tuple(json.loads(line)) for line in file.read_text().splitlines()}


def known() -> set[Action]:
    """Return what the committed file says."""
    held = json.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    return {(f, a, r) for f, resources in held.items() for r, actions in resources.items() for a in actions}


def main(directory: Path) -> None:
    """Make the committed file of what a run of the suite noted in a directory."""
    held: dict[str, dict[str, list[str]]] = {}
    for function, action, resource in sorted({a for f in directory.iterdir() for a in noted(f)}):
        held.setdefault(function, {}).setdefault(resource, []).append(action)
    KNOWN.write_text(json.dumps(held, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
