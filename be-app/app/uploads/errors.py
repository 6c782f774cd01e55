"""Errors of files."""

from app.core.errors import FieldError, Problem, Unavailable


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


class Rejection(Exception):
    """Why a file is rejected: a stable reason, and what it means for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REASONS = {
    "never_arrived": "No file arrived in time.",
    "size_mismatch": "The file's length is not the announced one.",
    "checksum_mismatch": "The file's SHA-256 is not the announced one.",
    "type_mismatch": "The file's content is not of the announced type.",
    "malformed": "The file is damaged or not built as its type demands.",
    "too_complex": "Checking the file would take too long.",
    "polyglot": "The file could pass for another type as well.",
    "too_many_pixels": "The image has too many pixels, or too many in all frames together.",
    "encrypted": "The file is encrypted, so that nobody can check it.",
    "active_content": "The file holds scripts or macros.",
    "archive_bomb": "The archive unpacks to too much, or its entries overlap.",
    "nested_archive": "The archive holds another archive.",
    "unsafe_path": "A name in the archive leads out of it.",
    "malware": "The malware scanner found something.",
    "not_scanned": "The malware scanner could not check the file.",
}
"""Every reason for which a file is rejected."""


def rejected(reason: str) -> UploadRejected:
    """Return the problem of a rejected file."""
    return UploadRejected(
        REASONS[reason], errors=[FieldError(field="file", rule=reason, message=REASONS[reason])]
    )
