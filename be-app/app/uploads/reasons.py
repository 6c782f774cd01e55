"""Why files are rejected."""

from app.core.messages import marked

REASONS = {
    "never_arrived": marked("No file arrived in time."),
    "size_mismatch": marked("The size of the file differs from the size that the upload was created with."),
    "checksum_mismatch": marked(
        "The SHA-256 of the file differs from the one that the upload was created with."
    ),
    "type_mismatch": marked("The content of the file does not match its file name extension."),
    "malformed": marked("The file is damaged or does not follow the format of its type."),
    "too_complex": marked("The file is too complex to be checked."),
    "polyglot": marked("The file can be read as more than one type."),
    "too_many_pixels": marked("The image has too many pixels in all of its frames."),
    "encrypted": marked("The file is encrypted. Remove the password, then upload it again."),
    "active_content": marked(
        "The file contains scripts or macros, or loads external content when it is opened."
    ),
    "archive_bomb": marked("The archive expands to more data than is allowed, or its entries overlap."),
    "nested_archive": marked("The archive contains another archive."),
    "unsafe_path": marked("A name or a link in the archive points outside of it."),
    "malware": marked("The malware scanner found malware in the file."),
    "not_scanned": marked("The malware scanner could not check the file."),
}
"""Every reason for which a file is rejected."""


class Rejection(Exception):
    """Why a file is rejected: a stable reason, one of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
