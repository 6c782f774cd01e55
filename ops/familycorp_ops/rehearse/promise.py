"""What a rehearsal promises, and what it says when a promise is broken."""


class BrokenPromiseError(Exception):
    """Something that was promised doesn't hold; the message says what was seen instead."""


def expect(holds: bool, broken: str) -> None:
    """Raise `BrokenPromiseError` with `broken` unless it `holds`."""
    if not holds:
        raise BrokenPromiseError(broken)
