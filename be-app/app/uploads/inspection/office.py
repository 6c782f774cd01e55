"""Office Open XML (ECMA-376) and Hancom's open format (KS X 6101): archives whose parts say what they are."""

import re
from urllib.parse import unquote

from app.uploads.inspection import archives, xml_elements
from app.uploads.inspection.archives import Archive, Entry
from app.uploads.reasons import Rejection

_OFFICE = "application/vnd.openxmlformats-officedocument."
_MAIN = {
    "wordprocessingml.document": "word/",
    "spreadsheetml.sheet": "xl/",
    "presentationml.presentation": "ppt/",
}
_TYPES = "[Content_Types].xml"
_MACROS = ("macroenabled", "vbaproject", "vbadata", "macrosheet")
_RUNNING = (*_MACROS, "afchunk")
"""Relationships to what runs, or to another file that Word takes in when it opens the document: HTML or RTF."""

_CLICKED = {"hyperlink", "externalLinkPath", "xlExternalLinkPath", "xlPathMissing"}
"""Relationships that may lead out of a document: nothing follows them unless somebody clicks or agrees."""

_SHOWN = {"image", "video", "audio", "media"}
"""Those that are fetched and shown: fine from the web, but Windows would log in to a stranger's file server."""

_SHARE = re.compile(r"\s*(?:file:)?(?:[/\\]{4}|[/\\]{2}(?![/\\]|localhost[/\\]))", re.IGNORECASE)
"""The begin of an address that names another machine's files."""

_FETCHED = re.compile(r"\s*(?:https?:|data:|cid:|file:|[a-z]:[/\\]|[^:]*\Z)", re.IGNORECASE)
"""Addresses of the web and of local files; other schemes may start a program."""

_COMPRESSED_PICTURES = (".emz", ".wmz")
_MOST_XML = 8_000_000


def check_document(data: object, content_type: str) -> None:
    """Check an Office document; raise `Rejection`."""
    archive = Archive(data)
    kind = content_type.removeprefix(_OFFICE)
    wanted = f"{_OFFICE}{kind}.main+xml"
    if not any(entry.name.startswith(_MAIN[kind].encode()) for entry in archive.entries):
        raise Rejection("type_mismatch")
    if wanted not in _content_types(archive):
        raise Rejection("type_mismatch")
    _check_package(archive)


def check_hancom(data: object) -> None:
    """Check a document in Hancom's open format; raise `Rejection`."""
    archive = Archive(data)
    mimetype = archive.find("mimetype")
    if mimetype is None or archive.read(mimetype, 100).strip() != b"application/hwp+zip":
        raise Rejection("type_mismatch")
    if (manifest := archive.find("META-INF/manifest.xml")) is not None and any(
        name == "encryption-data" for name, _ in xml_elements.read(archive.read(manifest, _MOST_XML))
    ):
        raise Rejection("encrypted")
    check_members(archive, passed_over=_COMPRESSED_PICTURES)


def check_members(archive: Archive, *, passed_over: tuple[str, ...] = (), macros: bool = True) -> None:
    """Unpack an archive, and the documents in it; raise `Rejection`."""
    for inner in archives.check(archive, passed_over=passed_over, macros=macros):
        if inner.find(_TYPES):
            _check_package(inner)
        elif inner.find("mimetype"):
            check_members(inner, passed_over=_COMPRESSED_PICTURES)
        else:
            raise Rejection("nested_archive")


def _check_package(archive: Archive) -> None:
    """Refuse macros, and what a document loads from elsewhere when it is opened."""
    if any(mark in kind for kind in _content_types(archive) for mark in _MACROS):
        raise Rejection("active_content")
    for entry in archive.entries:
        # A part's name may be percent-encoded (ECMA-376 part 2, 6.2.2).
        name = unquote(entry.name.lower())
        if "vbaproject" in name:
            raise Rejection("active_content")
        if name.endswith(".rels") or ".rels/" in name:  # Also in pieces (9.2.3).
            _check_relationships(archive, entry)
    check_members(archive, passed_over=_COMPRESSED_PICTURES, macros=False)


def _content_types(archive: Archive) -> set[str]:
    """Return the types of a package's parts (ECMA-376 part 2, 7.2.3); they are the same in any case."""
    types = archive.find(_TYPES)
    if types is None:
        raise Rejection("type_mismatch")
    content = xml_elements.read(archive.read(types, _MOST_XML))
    return {attributes.get("ContentType", "").strip().lower() for _, attributes in content}


def _check_relationships(archive: Archive, entry: Entry) -> None:
    for _, attributes in xml_elements.read(archive.read(entry, _MOST_XML)):
        target, mode = attributes.get("Target", ""), attributes.get("TargetMode", "")
        kind = attributes.get("Type", "").strip().rpartition("/")[2]
        outside = mode.strip().lower() == "external" or ":" in target or _SHARE.match(target)
        address = unquote(target)
        fetched = kind in _SHOWN and _FETCHED.match(address) and not _SHARE.match(address)
        if (outside and kind not in _CLICKED and not fetched) or any(
            mark in kind.lower() for mark in _RUNNING
        ):
            raise Rejection("active_content")
