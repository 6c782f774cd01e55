"""A difference of any two texts, in little time, is one that makes the one of the other.

An input's halves, about its first zero byte, are the texts.
"""

from app.posts.text.diff import unified

WITHIN_S = 1.0
LONGEST = 65_536
WORDS = (b"\x00", b"\n", b"a\n", b"\n\n", b"+", b"-", b"@@ -1 +1 @@\n", b" ", b"a\nb\n" * 50)


def seeds() -> list[bytes]:
    same, turned = b"a\n" * 500, b"b\na\n" * 250
    numbered = [b"%d" % i for i in range(500)]
    return [
        b"a\nb\nc\x00a\nc\nd",
        same + b"\x00" + same.replace(b"\n", b"\n\n"),
        turned + b"\x00" + turned[::-1],
        b"\n".join(numbered) + b"\x00" + b"\n".join(reversed(numbered)),
    ]


def check(data: bytes) -> None:
    before, _, after = data.decode("latin-1").partition("\0")
    old, new = before.split("\n"), after.split("\n")
    made = unified(old, new, "before", "after")
    assert (made == "") is (old == new)
    assert _applied(made, old) == new


def _applied(made: str, old: list[str]) -> list[str]:
    new: list[str] = []
    at = 0
    for line in made.split("\n")[2:]:
        if line.startswith("@@ "):
            start, _, length = line.split(" ")[1][1:].partition(",")
            hunk = int(start) - (length != "0")
            new += old[at:hunk]
            at = hunk
        elif line.startswith("+"):
            new.append(line[1:])
        else:
            assert old[at] == line[1:]
            new += [line[1:]] if line.startswith(" ") else []
            at += 1
    return new + old[at:]
