"""Why files are rejected. It imports nothing, so that the program that inspects files starts quickly."""

REASONS = {
    "never_arrived": "No file arrived in time.",
    "size_mismatch": "The file's length is not the announced one.",
    "checksum_mismatch": "The file's SHA-256 is not the announced one.",
    "type_mismatch": "The file's content is not of the type that its name says.",
    "malformed": "The file is damaged or not built as its type demands.",
    "too_complex": "Checking the file would take too long.",
    "polyglot": "The file could pass for another type as well.",
    "too_many_pixels": "The image has too many pixels, or too many in all frames together.",
    "encrypted": "The file is encrypted, so that nobody can check it.",
    "active_content": "The file holds scripts or macros, or loads something from elsewhere when it is opened.",
    "archive_bomb": "The archive unpacks to more than it says or to too much, or its entries overlap.",
    "nested_archive": "The archive holds another archive.",
    "unsafe_path": "A name or a link in the archive leads out of it.",
    "malware": "The malware scanner found something.",
    "not_scanned": "The malware scanner could not check the file.",
}
"""Every reason for which a file is rejected."""


class Rejection(Exception):
    """Why a file is rejected: a stable reason, one of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
