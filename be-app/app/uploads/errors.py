"""Errors of files."""

from collections.abc import Sequence

from app.core.http.problems import Problem, Unavailable, Violation
from app.core.messages import marked
from app.core.translation import Text
from app.uploads.reasons import REASONS

STATES = {
    "pending": marked("pending"),
    "scanning": marked("being checked"),
    "clean": marked("complete"),
    "rejected": marked("rejected"),
    "deleted": marked("deleted"),
}
"""Names of the states of an upload."""


class StorageUnavailable(Unavailable):
    """S3 doesn't respond."""

    code, title = "storage_unavailable", marked("File storage is temporarily unavailable")


class QuotaExceeded(Problem):
    """The member's files would take more than they may."""

    status, code, title = 409, "quota_exceeded", marked("Your upload quota is used up")
    advice = marked("Delete files that you no longer need.")


class UploadIncomplete(Problem):
    """The file, or a part of it, hasn't arrived."""

    status, code, title = 409, "upload_incomplete", marked("The file has not arrived yet")
    advice = marked("Send the whole file, then complete the upload.")


class UploadInvalidState(Problem):
    """The upload's state doesn't allow the step."""

    status, code, title = 409, "upload_invalid_state", marked("The state of the upload does not allow this")


class UploadInUse(Problem):
    """A post shows the file."""

    status, code, title = 409, "upload_in_use", marked("A post uses this file")
    advice = marked("Remove it from every post first.")

    @classmethod
    def by(cls, titles: Sequence[str]) -> "UploadInUse":
        """Return the problem naming the posts of which the caller may know."""
        if not titles:
            return cls()
        return cls(marked("Remove it first from these posts: {posts}."), posts=", ".join(titles))


class UploadGone(Problem):
    """The file was deleted too long ago."""

    status, code, title = 410, "upload_gone", marked("The file can no longer be restored")
    advice = marked("Upload it again.")


class UploadRejected(Problem):
    """The file differs from its declaration, or isn't safe; it was deleted."""

    status, code, title = 422, "upload_rejected", marked("The file was rejected")


class Vanished(Exception):
    """The object is gone or replaced: another process decided about it, or the client sent it again."""


def rejected(reason: str) -> UploadRejected:
    """Return the problem of a rejected file."""
    return UploadRejected(REASONS[reason], violations=[Violation("file", reason, Text(REASONS[reason]))])
