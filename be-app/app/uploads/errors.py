"""Errors of files."""

from app.core.http.problems import FieldError, Problem, Unavailable
from app.uploads.reasons import REASONS


class StorageUnavailable(Unavailable):
    """S3 doesn't answer."""

    code = "storage_unavailable"


class QuotaExceeded(Problem):
    """The member's files would take more than they may."""

    status, code, title = 409, "quota_exceeded", "There is no room for this file"


class UploadIncomplete(Problem):
    """The file, or a part of it, hasn't arrived."""

    status, code, title = 409, "upload_incomplete", "The file has not arrived yet"


class UploadStateForbids(Problem):
    """The upload's state doesn't allow the step."""

    status, code, title = 409, "upload_state_forbids", "The upload's state doesn't allow this"


class UploadInUse(Problem):
    """A post shows the file."""

    status, code, title = 409, "upload_in_use", "A post uses this file"


class UploadGone(Problem):
    """The file was deleted too long ago."""

    status, code, title = 410, "upload_gone", "The file can't be brought back any more"


class UploadRejected(Problem):
    """What arrived isn't what was announced, or isn't safe; it was deleted."""

    status, code, title = 422, "upload_rejected", "The file was rejected"


class Vanished(Exception):
    """An object isn't there any more, or is another: somebody decided about it meanwhile, or sent it again."""


def rejected(reason: str) -> UploadRejected:
    """Return the problem of a rejected file."""
    return UploadRejected(
        REASONS[reason], errors=[FieldError(field="file", rule=reason, message=REASONS[reason])]
    )
