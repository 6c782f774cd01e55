"""A unified diff of two texts, in time that grows with their length alone.

`difflib.SequenceMatcher` takes quadratic time, and worse where lines repeat: two bodies of 66 KB took 36 s. Here the
lines that occur once on either side are matched first (patience diff), which cuts ordinary texts into small gaps;
`difflib` compares those while a budget lasts, and a gap that exceeds it is reported as replaced.
"""

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

_BUDGET = 200_000
"""Comparisons of lines that one diff may take in `difflib`, at the worst: about 50 ms."""

Lines = Sequence[str]
Match = tuple[int, int, int]


def unified(before: Lines, after: Lines, before_name: str, after_name: str) -> str:
    """Return the unified diff of two lists of lines, with three lines of context; empty when they are equal."""
    matcher = _Matcher(before, after)
    made = []
    for group in matcher.get_grouped_opcodes():
        (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
        made.append(f"@@ -{_span(i1, i2)} +{_span(j1, j2)} @@")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                made += [f" {line}" for line in before[i1:i2]]
            else:
                made += [f"-{line}" for line in before[i1:i2]]
                made += [f"+{line}" for line in after[j1:j2]]
    return "\n".join([f"--- {before_name}", f"+++ {after_name}", *made]) if made else ""


def _span(start: int, end: int) -> str:
    """Return a range of lines as a hunk's header names it."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


class _Matcher(difflib.SequenceMatcher[str]):
    """A `SequenceMatcher` with matching blocks of our own, for its grouping of them into hunks."""

    def __init__(self, before: Lines, after: Lines) -> None:
        super().__init__(autojunk=False)
        self.a, self.b, self.opcodes = before, after, None

    def get_matching_blocks(self) -> list[difflib.Match]:
        """Return blocks of equal lines in order, adjacent ones joined, and the empty one that ends them."""
        joined: list[difflib.Match] = []
        for i, j, size in _Matches(self.a, self.b).found():
            if joined and (joined[-1].a + joined[-1].size, joined[-1].b + joined[-1].size) == (i, j):
                joined[-1] = joined[-1]._replace(size=joined[-1].size + size)
            elif size:
                joined.append(difflib.Match(i, j, size))
        return [*joined, difflib.Match(len(self.a), len(self.b), 0)]


class _Matches:
    """Finds equal lines of two texts, within a budget."""

    def __init__(self, before: Lines, after: Lines) -> None:
        self._before, self._after, self._budget = before, after, _BUDGET

    def found(self) -> Iterator[Match]:
        """Yield blocks of equal lines: where the first begins in either text, and how many there are."""
        yield from self._between(0, len(self._before), 0, len(self._after), anchored=True)

    def _between(self, i1: int, i2: int, j1: int, j2: int, *, anchored: bool) -> Iterator[Match]:
        before, after = self._before, self._after
        start = 0
        while i1 + start < i2 and j1 + start < j2 and before[i1 + start] == after[j1 + start]:
            start += 1
        yield i1, j1, start
        i1, j1, end = i1 + start, j1 + start, 0
        while i1 < i2 - end and j1 < j2 - end and before[i2 - end - 1] == after[j2 - end - 1]:
            end += 1
        i2, j2 = i2 - end, j2 - end
        if i1 < i2 and j1 < j2:
            yield from self._anchored(i1, i2, j1, j2) if anchored else self._compared(i1, i2, j1, j2)
        yield i2, j2, end

    def _anchored(self, i1: int, i2: int, j1: int, j2: int) -> Iterator[Match]:
        i, j = i1, j1
        for next_i, next_j in [*self._anchors(i1, i2, j1, j2), (i2, j2)]:
            yield from self._between(i, next_i, j, next_j, anchored=False)
            if (next_i, next_j) != (i2, j2):
                yield next_i, next_j, 1
            i, j = next_i + 1, next_j + 1

    def _anchors(self, i1: int, i2: int, j1: int, j2: int) -> list[tuple[int, int]]:
        """Return the longest run, in the order of both texts, of lines that occur once in either."""
        once = [
            {line: at for at, line in enumerate(lines[start:end], start) if counted[line] == 1}
            for lines, start, end in ((self._before, i1, i2), (self._after, j1, j2))
            for counted in [Counter(lines[start:end])]
        ]
        pairs = [(i, once[1][line]) for line, i in once[0].items() if line in once[1]]
        # The longest increasing subsequence, by patience sorting.
        tops: list[int] = []
        piles: list[int] = []
        below: list[int] = []
        for index, (_, j) in enumerate(pairs):
            pile = bisect_left(tops, j)
            below.append(piles[pile - 1] if pile else -1)
            tops[pile : pile + 1], piles[pile : pile + 1] = [j], [index]
        chosen = []
        index = piles[-1] if piles else -1
        while index >= 0:
            chosen.append(pairs[index])
            index = below[index]
        return chosen[::-1]

    def _compared(self, i1: int, i2: int, j1: int, j2: int) -> Iterator[Match]:
        # Each block that `difflib` finds may cost a look at all pairs of lines.
        cost = (i2 - i1) * (j2 - j1) * min(i2 - i1, j2 - j1)
        if cost > self._budget:
            return
        self._budget -= cost
        matcher = difflib.SequenceMatcher(None, self._before[i1:i2], self._after[j1:j2], autojunk=False)
        for found in matcher.get_matching_blocks():
            yield i1 + found.a, j1 + found.b, found.size
