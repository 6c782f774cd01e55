"""Actions of a PDF without a click (ISO 32000-2, 12.6.3), followed once all objects are known."""

from app.uploads.inspection import xml_elements
from app.uploads.inspection.pdf.actions import Actions, is_script
from app.uploads.inspection.pdf.document import MOST_HOPS, Document
from app.uploads.inspection.pdf.syntax import Value
from app.uploads.reasons import Rejection

_HARMLESS = {b"/GoTo", b"/Named"}
"""Actions allowed without a click: to show a place of this document, or to run a menu's command."""

_SCRIPTED = {"script", "submit", "execute"}
"""Elements of XFA templates (XFA 3.3) that run or send something."""


def check(document: Document, actions: Actions) -> None:
    """Add the fault of a trigger, an address or a form that runs something to `actions`."""
    if (
        any(_runs(document, key, value) for key, value in actions.triggers)
        or any(is_script(found) for address in actions.addresses for found in document.resolve(address))
        or any(_is_scripted(document, form) for form in actions.forms)
    ):
        actions.faults.add("active_content")


def _runs(document: Document, key: bytes, value: Value) -> bool:
    """Return whether a trigger does more than show a place or run a menu's command."""
    for found in document.resolve(value):
        if isinstance(found, dict):
            actions = (
                [found]
                if key == b"/OpenAction"
                else [action for of in found.values() for action in document.resolve(of)]
            )
            if not all(_is_allowed(document, action) for action in actions):
                return True
    return False


def _is_allowed(document: Document, action: Value) -> bool:
    if not isinstance(action, dict) or b"/S" not in action:
        return True
    return b"/Next" not in action and all(
        isinstance(kind, bytes) and kind in _HARMLESS for kind in document.resolve(action[b"/S"])
    )


def _is_scripted(document: Document, form: Value) -> bool:
    """Return whether a form's template (12.7.8) holds scripts, or can't be read in one way only."""
    try:
        content = _form(document, form)
        return bool(content) and any(name in _SCRIPTED for name, _ in xml_elements.read(content))
    except Rejection:
        return True


def _form(document: Document, value: Value, depth: int = 0) -> bytes:
    """Return a form's XML: of a stream, or of a list of names and streams."""
    if isinstance(value, list):
        packets = [packet for packet in value if not isinstance(packet, bytes)]
        if not all(packet[:1] in {b"(", b"<"} for packet in value if isinstance(packet, bytes)):
            raise Rejection("active_content")
        return b"".join(_form(document, packet, depth + 1) for packet in packets)
    if not isinstance(value, int) or not (places := document.places.get(value)):
        return b""
    if len(places) > 1 or depth > MOST_HOPS:
        raise Rejection("active_content")
    if places[0].stream is None:
        parsed = document.parser.value(document.data, places[0].position)
        if parsed.stop == b"stream":
            content = document.decode(parsed.value, parsed.end)
            if content is None:
                raise Rejection("active_content")
            return content
    return _form(document, document.again(places[0]), depth + 1)
