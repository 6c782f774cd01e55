"""A bound on what rendering Markdown may cost: markdown-it takes 10 to 20 µs for each step of its parsers.

100,000 characters of ordinary text, dense with markup, take 25,000 steps and half a second; as many of `![` took
200,000 steps and four seconds. Links may repeat the address of one reference, which makes gigabytes of 100 KB. Tags
that an author writes may nest and stay open, for which an HTML parser takes quadratic time and memory.
"""

import re
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline

from app.core.http.problems import ValidationFailed
from app.core.messages import marked

MAX_STEPS: Final = 60_000
"""Steps of both parsers, and blocks."""

MAX_ATTRIBUTES: Final = 500_000
"""Characters of all links' and images' addresses and titles."""

MAX_RAW_TAGS: Final = 5_000
"""Tags that the author wrote as HTML."""

MAX_REOPENED: Final = 500_000
"""Elements that an HTML parser may make of formatting left open, which it opens again in every block."""

_TAG: Final = re.compile(r"<[a-zA-Z]")
# HTML Standard §13.2.4.3, "the list of active formatting elements".
_FORMATTING: Final = re.compile(
    r"<(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/>]", re.IGNORECASE | re.ASCII
)


class TooComplex(ValidationFailed):
    """A text would take too long to render."""

    @classmethod
    def of_body(cls) -> ValidationFailed:
        """Return the problem of a post's body."""
        return cls.on(
            "body.body", "too_complex", marked("The text has too much markup. Shorten or divide it.")
        )


def bound(markdown: MarkdownIt) -> MarkdownIt:
    """Make a parser raise `TooComplex` before a text exceeds the bounds; return it."""
    interrupting: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    markdown.block.ruler.before("table", "bound", _block_step, interrupting)
    markdown.inline.ruler.before("text", "bound", _inline_step)
    markdown.core.ruler.after("block", "bound_blocks", _blocks)
    markdown.core.ruler.push("bound_output", _output)
    return markdown


def _spend(env: Any, steps: int) -> None:
    env["steps"] = spent = env.get("steps", 0) + steps
    if spent > MAX_STEPS:
        raise TooComplex.of_body()


def _block_step(state: StateBlock, _start: int, _end: int, _silent: bool) -> bool:
    _spend(state.env, 1)
    return False


def _inline_step(state: StateInline, _silent: bool) -> bool:
    _spend(state.env, 1)
    return False


def _blocks(state: StateCore) -> None:
    _spend(state.env, len(state.tokens))


def _output(state: StateCore) -> None:
    tokens = [token for block in state.tokens for token in (block, *(block.children or ()))]
    if sum(len(str(value)) for token in tokens for value in token.attrs.values()) > MAX_ATTRIBUTES:
        raise TooComplex.of_body()
    raw = [token.content for token in tokens if token.type in {"html_block", "html_inline"}]
    written = sum(len(_TAG.findall(html)) for html in raw)
    left_open = sum(len(_FORMATTING.findall(html)) for html in raw)
    if written > MAX_RAW_TAGS or left_open * (written + len(tokens)) > MAX_REOPENED:
        raise TooComplex.of_body()
