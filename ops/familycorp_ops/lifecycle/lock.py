"""One run at a time creates or destroys an environment: an object in the bucket of its state is the lock."""

import json
import os
import socket
import sys
import uuid
from datetime import UTC, datetime
from gettext import gettext as _
from types import TracebackType
from typing import Any, Final, Self

from botocore.exceptions import ClientError

from familycorp_ops.deploy.environment import Environment, absent
from familycorp_ops.lifecycle.problem import LifecycleError

KEY: Final = "environment.lock"
_TAKEN: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412"}


class Lock:
    """The lock of an environment, held for the length of the block.

    S3 makes an object only where there is none (`If-None-Match`), so that of two runs one gets it. A run that was
    killed leaves it: a run on the same machine sees that the process is gone, and takes it; elsewhere a person
    says so.

    Args:
        it: the environment, whose bucket of Terraform's state exists.
        command: what the run does, for others to read.
        force: take the lock, even if another run holds it.
    """

    def __init__(self, it: Environment, command: str, *, force: bool) -> None:
        self._s3, self._force = it.client("s3"), force
        self._bucket = it.bucket
        self._id = str(uuid.uuid4())
        self._body = {
            "id": self._id,
            "command": command,
            "by": it.caller["Arn"],
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def __enter__(self) -> Self:
        if not self._put(IfNoneMatch="*"):
            self._take_over()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        held = self._held()
        if held and held[0]["id"] == self._id:
            self._s3.delete_object(Bucket=self._bucket, Key=KEY)

    def _put(self, **condition: str) -> bool:
        try:
            self._s3.put_object(
                Bucket=self._bucket, Key=KEY, Body=json.dumps(self._body).encode(), **condition
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN:
                return False
            raise
        return True

    def _held(self) -> tuple[dict[str, Any], str] | None:
        """Return what the lock says, and its ETag; None where nobody holds it."""
        found = absent(self._s3.get_object, Bucket=self._bucket, Key=KEY)
        return None if found is None else (json.loads(found["Body"].read()), found["ETag"])

    def _take_over(self) -> None:
        held = self._held()
        if held is None:  # It was given up just now.
            if not self._put(IfNoneMatch="*"):
                raise LifecycleError(_("Another run has just begun."))
            return
        holder, etag = held
        gone = holder["host"] == self._body["host"] and not _alive(holder["pid"])
        if not (gone or self._force):
            raise LifecycleError(
                _(
                    "`{command}` runs since {since}, started by {by} on {host} (process {pid}). "
                    "Wait until it ends. If it is gone, say --force-unlock."
                ).format(**holder)
            )
        said = _("Taking the lock of `{command}`, which {by} started at {since} on {host} (process {pid}).")
        sys.stderr.write(said.format(**holder) + "\n")
        if not self._put(IfMatch=etag):
            raise LifecycleError(_("Another run has just begun."))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
