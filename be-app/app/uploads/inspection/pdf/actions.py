"""Active content of a PDF (ISO 32000-2, 12.6): scripts, actions without a click, forms, addresses."""

import re

from app.uploads.inspection.pdf.syntax import Value
from app.uploads.reasons import Rejection

MOST_TRIGGERS = 20_000

_ACTIONS_REFUSED = {b"/JavaScript", b"/Launch", b"/ImportData", b"/GoToE", b"/RichMediaExecute"}
"""Actions (12.6.4) that run something or open an uninspected file, anywhere in the document."""

_KEYS_REFUSED = {b"/JS", b"/JavaScript", b"/OnInstantiate", b"/RichMediaContent"}
"""Keys of scripts: actions, the catalogue's tree of them, 3D views and Flash."""

_TRIGGERS = (b"/OpenAction", b"/AA")
_ADDRESSES = (b"/URI", b"/Base", b"/F")
"""Keys of addresses that a reader opens (12.6.4.8, 7.11): of links, of what precedes them, of files and forms."""

_WATCHED = _KEYS_REFUSED | {b"/S", b"/Subtype", b"/XFA", *_TRIGGERS, *_ADDRESSES}
_MISLEADING = _KEYS_REFUSED | _ACTIONS_REFUSED | {b"/XFA", *_TRIGGERS}


class Actions:
    """Problems of the values that a parser makes, and values to follow when all objects are known.

    Attributes:
        faults: reasons to refuse the file.
        seen: those of the keys that every document has which this one has.
        triggers: of what happens without a click, each with its key.
        forms: XFA forms.
        addresses: references to addresses.
        complete: whether all objects were read; what is read again was noted before.
    """

    def __init__(self) -> None:
        self.faults: set[str] = set()
        self.seen: set[bytes] = set()
        self.triggers: list[tuple[bytes, Value]] = []
        self.forms: list[Value] = []
        self.addresses: list[Value] = []
        self.complete = False

    def object_of(self, items: list[Value]) -> Value:
        """Return the value of an object whose region holds items, and note its problem."""
        value = items[0] if items else b"null"
        if isinstance(value, bytes) and value in _ACTIONS_REFUSED:
            self.faults.add("active_content")  # Another object may refer to this name.
        return value

    def dictionary(self, items: list[Value]) -> dict[bytes, Value]:
        """Make a dictionary of its keys and values, and note its problems."""
        keys = items[::2]
        try:
            made = dict(zip(keys, items[1::2], strict=True))
            aligned = not made or (min(made) >= b"/" and max(made) < b"0")
        except (TypeError, ValueError):
            aligned = False
        if not aligned:
            return self._misaligned(items)
        if len(made) != len(keys):
            self.faults.add("malformed")
            if not _MISLEADING.isdisjoint(keys) or any(value in _ACTIONS_REFUSED for value in _names(items)):
                self.faults.add("active_content")
        if not self.complete and not _WATCHED.isdisjoint(made):
            self._look(made)
        self.seen |= made.keys() & {b"/Pages", b"/Kids"}
        return made

    def _misaligned(self, items: list[Value]) -> dict[bytes, Value]:
        """Make a dictionary of what isn't pairs of names and values; readers pass over the rest each in its way."""
        if not _MISLEADING.isdisjoint(_names(items)):
            self.faults.add("active_content")
        made = dict[bytes, Value]()
        position = 0
        while position < len(items) - 1:
            key = items[position]
            position += 1
            if isinstance(key, bytes) and key[:1] == b"/":
                if key in made:
                    self.faults.add("malformed")
                made[key] = items[position]
                position += 1
        if not self.complete:
            self._look(made)
        return made

    def _look(self, made: dict[bytes, Value]) -> None:
        kind = made.get(b"/S")
        if (
            not _KEYS_REFUSED.isdisjoint(made)
            or (isinstance(kind, bytes) and kind in _ACTIONS_REFUSED)
            or made.get(b"/Subtype") == b"/RichMedia"
        ):
            self.faults.add("active_content")
        for key in _ADDRESSES:
            address = made.get(key)
            if isinstance(address, int):
                self.addresses.append(address)
            elif is_script(address):
                self.faults.add("active_content")
        self.triggers += [(key, made[key]) for key in _TRIGGERS if key in made]
        if b"/XFA" in made:
            self.forms.append(made[b"/XFA"])
        if len(self.triggers) + len(self.forms) + len(self.addresses) > MOST_TRIGGERS:
            raise Rejection("too_complex")


def _names(items: list[Value]) -> list[bytes]:
    return [item for item in items if isinstance(item, bytes) and item[:1] == b"/"]


def is_script(address: Value) -> bool:
    """Return whether an address runs something in a browser; it may be written in hexadecimal or with escapes."""
    if not isinstance(address, bytes):
        return False
    if address[:1] == b"<":
        digits = re.sub(rb"[^0-9A-Fa-f]", b"", address)
        text = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
    else:
        text = re.sub(rb"\\([0-7]{1,3})", lambda found: bytes([int(found[1], 8) & 255]), address[1:-1])
        text = re.sub(rb"\\[nrtbf]", b"", text)  # White space, which browsers pass over.
    return re.sub(rb"[^a-z:]", b"", text.lower()).startswith((b"javascript:", b"vbscript:"))
