"""Emphasis in Korean text: CommonMark's flanking rule, amended for scripts that put no space after a word.

CommonMark §6.2 takes `**` between a punctuation mark and a letter for the start of emphasis, never for its end. So
`**“최고”**라는` and `**패밀리(Family)**를` would keep their asterisks: a Korean particle follows without a space.
The amendment is that of the "CommonMark CJK-friendly Amendments" (https://github.com/tats-u/markdown-cjk-friendly,
`specification.md`): next to punctuation, a CJK character counts as white space does. Text without CJK characters
renders as CommonMark has it, and `_` never changes.
"""

import unicodedata
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType


@lru_cache(1024)
def _is_cjk(char: str) -> bool:
    """Return whether a character is wide without being an emoji (UAX #11), or Hangul (UAX #24)."""
    code = ord(char)
    if 0x1160 <= code <= 0x11FF or 0xD7B0 <= code <= 0xD7FF:  # Conjoining jamo have no width of their own.
        return True
    if unicodedata.east_asian_width(char) not in "WFH":
        return False
    # Wide characters in the blocks of symbols are emoji, but for the enclosed ideographs.
    return not (0x2300 <= code <= 0x2BFF or 0x1F000 <= code <= 0x1F1FF or 0x1F300 <= code <= 0x1FAFF)


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0e" or "\U000e0100" <= char <= "\U000e01ef"


def _is_punctuation(char: str) -> bool:
    return isMdAsciiPunct(ord(char)) or isPunctChar(char)


class _State(StateInline):
    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803 - the library's names
        """Return whether the run of markers at `start` can open or close emphasis, and how long it is."""
        marker, end = self.src[start], start
        while end < self.posMax and self.src[end] == marker:
            end += 1
        # The beginning and the end of a line count as white space.
        before = self.src[start - 1] if start > 0 else " "
        after = self.src[end] if end < self.posMax else " "
        if _is_selector(before) and start > 1 and _is_cjk(self.src[start - 2]):
            before = self.src[start - 2]  # The variation selector belongs to the character that it follows.
        space_before, space_after = isWhiteSpace(ord(before)), isWhiteSpace(ord(after))
        mark_before, mark_after = _is_punctuation(before), _is_punctuation(after)
        cjk_before, cjk_after = _is_cjk(before), _is_cjk(after)
        left = not space_after and (not mark_after or cjk_after or space_before or mark_before or cjk_before)
        right = not space_before and (not mark_before or cjk_before or space_after or mark_after or cjk_after)
        return Scanned(
            left and (canSplitWord or not right or mark_before),
            right and (canSplitWord or not left or mark_after),
            end - start,
        )


class _Parser(ParserInline):
    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        """Add the tokens of a line of text to `tokens`, and return them."""
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class CjkMarkdown(MarkdownIt):
    """A Markdown parser that reads emphasis by the amended rule."""

    def configure(self, *args: Any, **options: Any) -> MarkdownIt:
        """Load a preset into the amended parser of lines."""
        self.inline = _Parser()
        return super().configure(*args, **options)
