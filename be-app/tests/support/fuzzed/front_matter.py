"""A file of `familycorp content import` has faults, each on one of its lines, or is a post.

The file that such a post is written to is read as the same post.
"""

from pathlib import Path
from tempfile import mkdtemp

from app.content.importing import CATEGORIES
from familycorp_ops.content import DEMO, files

WITHIN_S = 1.0
WORDS = (
    *(f"\n{key}: ".encode() for key in files.KEYS),
    *(
        b"---\n",
        b"\n---\n",
        b"- ",
        b"? ",
        b"&a ",
        b"*a",
        b"!!python/object",
        b"<<: ",
        b"|\n  ",
        b">-\n  ",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b"%YAML 1.1\n",
        b"%TAG ! x\n",
        b"...\n",
        b"\r\n",
        b"\xef\xbb\xbf",
        b'"\\x00"',
        b'"\\ud800"',
        b"2026-11-24T00:00:00Z",
        b"~",
    ),
)
_FILE = Path(mkdtemp(prefix="familycorp-fuzz-")) / "a.md"


def seeds() -> list[bytes]:
    found, _ = files.find(DEMO)
    return [path.read_bytes() for path in found] + [(DEMO / CATEGORIES).read_bytes()]


def check(data: bytes) -> None:
    _FILE.write_bytes(data)
    lines = data.count(b"\n") + data.count(b"\r") + data.count(b"\xc2\x85") + data.count(b"\xe2\x80") + 1
    read = files.read_post(_FILE, "a.md")
    for fault in (*read.faults, *files.read_categories(_FILE).faults):
        assert 1 <= fault.line <= lines + 1, fault
        assert fault.rule, fault
        assert fault.message, fault
    assert read.faults or read.post
    if read.post is not None and not read.faults:
        _FILE.write_bytes(files.write_post(read.post))
        again = files.read_post(_FILE, "a.md")
        assert again.post == read.post, (again.faults, again.post, read.post)
