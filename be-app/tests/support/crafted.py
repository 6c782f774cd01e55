"""Files that no office program writes: documents and archives that say different things to different readers."""

import io
import re
import struct
import zipfile
import zlib
from typing import Any

from support.uploading import archive

SCRIPT = b"<< /Type /Action /S /JavaScript /JS (app.alert(1)) >>"
PAGES = b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>"
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 10 10] >>"


def catalogue(more: bytes = b"") -> bytes:
    """Return a catalogue with further entries."""
    return b"<< /Type /Catalog /Pages 2 0 R " + more + b" >>"


def stream(content: bytes, more: bytes = b"") -> bytes:
    """Return a stream object."""
    return b"<< " + more + b" /Length %d >>\nstream\n" % len(content) + content + b"\nendstream"


def written(*more: bytes, root: bytes = b"", page: bytes = PAGE, trailer: bytes = b"") -> bytes:
    """Write a PDF of two pages; `more` are its objects from number 5 on, `root` further entries of its catalogue."""
    objects = (catalogue(root), PAGES, page, PAGE, *more)
    out, at = io.BytesIO(), []
    out.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    for number, content in enumerate(objects, 1):
        at.append(out.tell())
        out.write(b"%d 0 obj\n" % number + content + b"\nendobj\n")
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(at) + 1))
    out.writelines(b"%010d 00000 n \n" % position for position in at)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R " % (len(at) + 1) + trailer)
    out.write(b" >>\nstartxref\n%d\n%%%%EOF\n" % table)
    return out.getvalue()


def updated(before: bytes, number: int, content: bytes, trailer: bytes = b"") -> bytes:
    """Append an incremental update of one object."""
    start = before.rindex(b"startxref\n") + 10
    previous = int(before[start : before.index(b"\n", start)])
    at = len(before)
    after = before + b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"xref\n%d 1\n%010d 00000 n \n" % (number, at)
    told = b"trailer\n<< /Size 9 /Root 1 0 R /Prev %d " % previous + trailer
    return after + table + told + b" >>\nstartxref\n%d\n%%%%EOF\n" % len(after)


def object_stream(inner: bytes, kind: bytes = b"/Type /ObjStm", filters: str = "Fl") -> bytes:
    """Return an object stream that holds one object, number 7, encoded by filters named in short."""
    content = b"7 0 " + inner
    names: list[bytes] = []
    for name in filters.split():
        match name:
            case "Fl":
                content, long = zlib.compress(content), b"/FlateDecode"
            case "AHx":
                content, long = content.hex().encode() + b">", b"/ASCIIHexDecode"
            case "RL":
                pieces = [content[i : i + 128] for i in range(0, len(content), 128)]
                content = b"".join(bytes([len(p) - 1]) + p for p in pieces) + b"\x80"
                long = b"/RunLengthDecode"
            case "LZW":
                content, long = _lzw(content), b"/LZWDecode"
            case other:
                raise AssertionError(other)
        names.insert(0, long)
    told = kind + b" /N 1 /First 4 /Filter [" + b" ".join(names) + b"]"
    return stream(content, told)


def predicted(inner: bytes) -> bytes:
    """Return an object stream whose rows are differences (PNG's predictor Up)."""
    content = (b"7 0 " + inner).ljust(-(-(len(inner) + 4) // 8) * 8)
    above, rows = bytes(8), b""
    for at in range(0, len(content), 8):
        row = content[at : at + 8]
        rows += b"\x02" + bytes((a - b) & 255 for a, b in zip(row, above, strict=True))
        above = row
    told = b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 8 >>"
    return stream(zlib.compress(rows), told)


def _lzw(content: bytes) -> bytes:
    """Encode without ever growing the table: it is cleared in time."""
    bits = ""
    for at, byte in enumerate(content):
        bits += "100000000" if at % 200 == 0 else ""
        bits += f"{byte:09b}"
    bits += "100000001"
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def xref_stream_pdf(inner: bytes) -> bytes:
    """Write a PDF whose catalogue lies in an object stream and whose table of references is a stream."""
    out, at = io.BytesIO(), {}
    out.write(b"%PDF-1.7\n")
    held = zlib.compress(b"1 0 " + inner)
    objects = {
        2: PAGES,
        3: PAGE,
        4: PAGE,
        5: stream(held, b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode"),
    }
    for number, content in objects.items():
        at[number] = out.tell()
        out.write(b"%d 0 obj\n" % number + content + b"\nendobj\n")
    table = out.tell()
    rows = struct.pack(">BIB", 0, 0, 255) + struct.pack(">BIB", 2, 5, 0)
    rows += b"".join(struct.pack(">BIB", 1, at[n], 0) for n in (2, 3, 4, 5)) + struct.pack(
        ">BIB", 1, table, 0
    )
    told = b"/Type /XRef /Size 7 /W [1 4 1] /Root 1 0 R"
    out.write(b"6 0 obj\n" + stream(rows, told) + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % table)
    return out.getvalue()


def pointing(into: bytes, text: bytes) -> bytes:
    """Let the table of references lead to text amidst a PDF: object 5 is where `text` stands."""
    content = written(into)
    first = content.index(b"5 0 obj\n")
    hidden = content.index(text)
    return content.replace(b"%010d 00000 n" % first, b"%010d 00000 n" % hidden)


def shifted(content: bytes) -> bytes:
    """Put spaces before a PDF, and count them in its table of references."""
    made = re.sub(rb"([0-9]{10}) 00000 n", lambda found: b"%010d 00000 n" % (int(found[1]) + 9), content)
    made = re.sub(rb"startxref\n([0-9]+)", lambda found: b"startxref\n%d" % (int(found[1]) + 9), made)
    return b" " * 9 + made


# -- archives -------------------------------------------------------------------------------------------------


def patched(content: bytes, local: dict[int, bytes], central: dict[int, bytes]) -> bytes:
    """Change bytes of an archive's first local header and of its first directory entry, by their offsets there."""
    made = bytearray(content)
    for start, changes in ((0, local), (content.index(b"PK\x01\x02"), central)):
        for offset, value in changes.items():
            made[start + offset : start + offset + len(value)] = value
    return bytes(made)


def claiming(size: int, really: int) -> bytes:
    """Make an archive whose headers both say an entry's size, which really is another."""
    told = struct.pack("<I", size)
    return patched(archive({"a.txt": bytes(really)}), {22: told}, {24: told})


def with_extra(name: str, field: bytes) -> bytes:
    """Make an archive of one entry with an extra field, in both headers."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        info = zipfile.ZipInfo(name)
        info.extra = field
        made.writestr(info, b"hello")
    return out.getvalue()


def unicode_path(name: str, path: bytes) -> bytes:
    """Make an archive whose entry has another name in Info-ZIP's field for Unicode paths."""
    told = struct.pack("<BI", 1, zlib.crc32(name.encode())) + path
    return with_extra(name, struct.pack("<HH", 0x7075, len(told)) + told)


def linked(mode: int = 0o120777, system: int = 3) -> bytes:
    """Make an archive with a symbolic link."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        info = zipfile.ZipInfo("a")
        info.create_system, info.external_attr = system, mode << 16
        made.writestr(info, b"/etc/passwd")
    return out.getvalue()


def renamed_locally(name: bytes) -> bytes:
    """Make an archive whose entry has another name in its own header, of the same length."""
    return patched(archive({"a" * len(name): b"hello"}), {30: name}, {})


def commented(comment: bytes, **files: bytes) -> bytes:
    """Make an archive with a comment."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("a.txt", b"hello")
        made.comment = comment
    return out.getvalue()


def named(*names: str, encoding: str) -> bytes:
    """Make an archive whose names are in an encoding that nothing names, as Windows does."""
    encoded = [name.encode(encoding) for name in names]
    instead = {f"{at}".rjust(len(name), "x"): name for at, name in enumerate(encoded)}
    made = archive(dict.fromkeys(instead, b"a"))
    for placeholder, name in instead.items():
        made = made.replace(placeholder.encode(), name)
    return made


def old_tar() -> bytes:
    """Make a tar of Unix V7's form, which has no signature."""
    head = b"a".ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"00000000001\0" + b"00000000000\0"
    checksum = b"%06o\0 " % (sum(head) + 8 * ord(" "))
    return (head + checksum).ljust(512, b"\0") + b"a".ljust(512, b"\0") + bytes(1024)


def streamed(files: dict[str, bytes]) -> bytes:
    """Make an archive as a writer does that can't go back: sizes follow each entry."""

    class Forward(io.RawIOBase):
        written = b""

        def writable(self) -> bool:
            return True

        def write(self, piece: Any) -> int:
            self.written += bytes(piece)
            return len(piece)

    out = Forward()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return out.written


def hidden_entry() -> bytes:
    """Make an archive with an entry that its directory doesn't name."""
    made = archive({"a.txt": b"hello", "b.exe": b"MZ"}, zipfile.ZIP_STORED)
    start = made.index(b"PK\x01\x02")
    second = made.index(b"PK\x01\x02", start + 4)
    directory = made[start:second]
    return (
        made[:start]
        + directory
        + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), start, 0)
    )


_MAIN = (
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/>'
)
MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"


def package(more: str = "", parts: dict[str, bytes] | None = None, **instead: Any) -> bytes:
    """Make a Word document with further declarations of types and further parts.

    `declared` precedes the types, `encoding` is that of their XML.
    """
    types = f'{instead.get("declared", "")}<Types xmlns="urn:types">{_MAIN}{more}</Types>'
    made = {
        "[Content_Types].xml": types.encode(instead.get("encoding", "utf-8")),
        "word/document.xml": b"<w/>",
    }
    return archive(made | (parts or {}))


def relationships(kind: str, target: str, mode: str = ' TargetMode="External"') -> bytes:
    """Write a part's relationship to something."""
    types = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{types}{kind}" Target="{target}"{mode}/></Relationships>'
    ).encode()


def related(kind: str, target: str, mode: str = ' TargetMode="External"', encoding: str = "utf-8") -> bytes:
    """Make a Word document whose settings have a relationship to something."""
    content = relationships(kind, target, mode).decode().encode(encoding)
    return package(parts={"word/_rels/settings.xml.rels": content})
