"""XML of documents: elements by local name, without a DTD."""

from collections.abc import Mapping
from pyexpat import ExpatError, ParserCreate

from app.uploads.reasons import Rejection


def read(content: bytes) -> list[tuple[str, Mapping[str, str]]]:
    """Return every element's local name and its attributes, in the document's order.

    Raises `Rejection`: no office program writes a DTD, whose entities can hide what a document says.
    """
    found: list[tuple[str, Mapping[str, str]]] = []

    def refuse(*_: object) -> None:
        raise Rejection("active_content")

    def start(name: str, attributes: Mapping[str, str]) -> None:
        found.append((name.rpartition(" ")[2], attributes))

    parser = ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    try:
        parser.Parse(content, True)
    except (ExpatError, ValueError, LookupError):
        raise Rejection("malformed") from None
    return found
