"""The body of a page: everything outside of code that isn't Markdown becomes Markdown, or is reported."""

import html
import re
from collections.abc import Callable
from gettext import gettext as _
from typing import Protocol

from familycorp_ops.content.notes import Note, shortened
from familycorp_ops.content.pictures import CODE
from familycorp_ops.content.sites import tags
from familycorp_ops.content.sites.tags import Tag
from familycorp_ops.content.uploads import FileRefused

_HTML = (
    r"|(?P<comment><!--.*?(?:-->|\Z))"
    r"|(?P<frame><iframe\b(?P<frame_attributes>[^>]*)>.*?</iframe\s*>)"
    r"|(?P<media><(?P<medium>video|audio)\b(?P<media_attributes>[^>]*)>(?P<media_inner>.*?)</(?P=medium)\s*>)"
    r"|(?P<lost><(?P<lost_name>script|style|form|canvas|object|embed|svg|math|input|button|select)\b[^>]*>)"
    r"|(?P<picture><img\b(?P<picture_attributes>[^>]*)>)"
    r"|(?P<anchor><a\b(?P<anchor_attributes>[^<>]*+)>)(?P<anchored>(?:[^<]++|<(?!/?a\b))*+)</a\s*>"
)
_LINKS = (
    r"|(?P<link>(?P<image>!\[(?P<alt>(?:\\.|[^\[\]\\])*)\]|\])\(\s*(?P<target><[^<>\n]+>"
    r"|(?:\{\{(?![<%])[^{}\n]*\}\}|[^\s()<>{]|\{(?!\{))+(?:\([^\s()]*\)[^\s()]*)*)(?P<title>\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\))"
    r"|(?P<definition>^ {0,3}\[[^\]\n]+\]:[ \t]*(?P<defined><[^<>\n]+>|\S+))"
)
_HUGO = (
    r"|(?P<tag>\{\{(?P<open>[<%])(?P<escape>/\*)?-?\s*(?P<close>/)?\s*(?P<name>[\w./-]+)(?P<arguments>.*?)"
    r"/?\s*(?:\*/)?[%>]\}\})"
)
_LIQUID = (
    r"|(?P<tag>\{%-?\s*(?P<name>[\w.-]+)(?P<arguments>(?:[^%]|%(?!\}))*?)-?%\})"
    r"|(?P<output>\{\{(?P<expression>[^{}]*)\}\})"
)
_KRAMDOWN = r"|(?P<attributes>\{:[^}\n]*\})"
_FLAGS = re.DOTALL | re.MULTILINE | re.IGNORECASE
_PATTERNS = {
    "hugo": re.compile(CODE + _HUGO + _HTML + _LINKS, _FLAGS),
    "jekyll": re.compile(CODE + _LIQUID + _KRAMDOWN + _HTML + _LINKS, _FLAGS),
    "hexo": re.compile(CODE + _LIQUID + _HTML + _LINKS, _FLAGS),
    "eleventy": re.compile(CODE + _LIQUID + _HTML + _LINKS, _FLAGS),
    "plain": re.compile(CODE + _HTML + _LINKS, _FLAGS),
}
_ESCAPED = re.compile(r"\{\{([<%])/\*((?:(?!\{\{[<%]/\*).)*?)\*/([%>])\}\}", re.DOTALL)
_QUOTED_FILTERED = re.compile(
    r"""["']([^"']*)["']\s*\|\s*(?:relative_url|absolute_url|url|prepend:\s*site\.(?:baseurl|url))(?:\s*\|.*)?"""
)
_OUTPUT = re.compile(r"\{\{([^{}]*)\}\}")
_ATTACHED = "](attached:)"
_BRACKET = re.compile(r"\\.|\[|\](?:\(attached:\))?", re.DOTALL)
_ATTRIBUTE = re.compile(r"""(?<![\w-])([\w-]++)\s*+=\s*+("[^"]*"|'[^']*'|[^\s"'>]+)""")
_MORE = re.compile(r"<!--\s*(?:more|read ?more|excerpt)\s*-->", re.IGNORECASE)


class Page(tags.Place, Protocol):
    """The page of a body."""

    def address(self, target: str) -> str | None:
        """Return where a link leads now: the target itself, another address, or None where it leads nowhere."""

    def picture(self, target: str, line: int) -> str:
        """Return what a picture's address becomes; raise `FileRefused`."""

    def attaches(self, target: str, line: int) -> bool:
        """Whether a link leads to a file, which the post has as an attachment now; raise `FileRefused`."""


class Body:
    """A translation of one body.

    Args:
        kind: the generator.
        page: the page that the body is of.
        mapped: what the mapping file has shortcodes become.
        notes: what it adds to.
        unknown: receives the name of each tag that it can't translate.
    """

    def __init__(
        self, kind: str, page: Page, mapped: dict[str, str], notes: list[Note], unknown: Callable[[str], None]
    ) -> None:
        self._kind, self._page, self._mapped = kind, page, mapped
        self._notes, self._unknown = notes, unknown
        self._pattern = _PATTERNS[kind]
        self._handlers = tags.SETS.get(kind, {})

    def translated(self, text: str, line: int) -> str:
        """Return a text as Markdown; its first line is line `line` of the file."""
        parts, at = [], 0
        while found := self._pattern.search(text, at):
            parts.append(text[at : found.start()])
            here = line + text.count("\n", 0, found.start())
            if found["fence"] or found["span"]:
                replaced, at = self._code(found[0]), found.end()
            elif self._kind != "plain" and found["tag"]:
                replaced, at = self._tag(found, text, here)
            else:
                replaced, at = self._other(found, here), found.end()
            parts.append(replaced)
        return _without_attached("".join([*parts, text[at:]]))

    def _code(self, code: str) -> str:
        # Hugo's documentation writes `{{</* … */>}}` for what must not be executed.
        if self._kind != "hugo":
            return code
        return _ESCAPED.sub(lambda tag: f"{{{{{tag[1]} {tag[2].strip()} {tag[3]}}}}}", code)

    def _other(self, found: re.Match[str], line: int) -> str:
        groups = found.groupdict()
        for group, handler in (
            ("output", self._output),
            ("attributes", self._attributes),
            ("comment", self._comment),
            ("frame", self._frame),
            ("media", self._media),
            ("lost", self._lost),
            ("picture", self._html_picture),
            ("anchor", self._html_link),
        ):
            if groups.get(group):
                return handler(found, line)
        return self._link(found, line)

    def _attributes(self, found: re.Match[str], line: int) -> str:
        why = _("Attributes for the generator have no counterpart.")
        return self._noted(Note(line, "no_counterpart", "{: }", found[0], "", why))

    def _comment(self, found: re.Match[str], _line: int) -> str:
        return "" if _MORE.fullmatch(found[0]) else found[0]

    def _frame(self, found: re.Match[str], line: int) -> str:
        source = _attributes(found["frame_attributes"]).get("src", "")
        return self._embedded(found, "iframe", tags.embedded(source), line)

    def _media(self, found: re.Match[str], line: int) -> str:
        inner = re.search(r"<source\b([^>]*)>", found["media_inner"])
        attributes = _attributes(found["media_attributes"])
        source = attributes.get("src") or (_attributes(inner[1]).get("src", "") if inner else "")
        return self._embedded(
            found, found["medium"].lower(), tags.link(source.rpartition("/")[2], source), line
        )

    def _lost(self, found: re.Match[str], line: int) -> str:
        name = found["lost_name"]
        why = _("The HTML element <{name}> isn't shown by this service.").format(name=name)
        return self._noted(Note(line, "left_out", f"<{name}>", found[0], found[0], why))

    def _embedded(self, found: re.Match[str], name: str, link: str | None, line: int) -> str:
        if link is None:
            why = _("The HTML element <{name}> isn't shown by this service.").format(name=name)
            return self._noted(Note(line, "left_out", f"<{name}>", found[0], "", why))
        why = _("What was embedded is a link now.")
        return self._noted(Note(line, "changed", f"<{name}>", found[0], link, why))

    def _html_picture(self, found: re.Match[str], line: int) -> str:
        attributes = _attributes(found["picture_attributes"])
        source = attributes.get("src", "")
        to = self._picture(source, line) if source else ""
        if not to:
            return html.escape(attributes.get("alt", ""))
        return found[0] if to == source else found[0].replace(source, html.escape(to), 1)

    def _html_link(self, found: re.Match[str], line: int) -> str:
        inner = self.translated(found["anchored"], line)
        written = _attributes(found["anchor_attributes"]).get("href", "")
        target = self._filled(written)
        if target and self._attaches(target, line):
            return inner
        to = self._led(target, line) if target else target
        if to == written:
            return f"{found['anchor']}{inner}</a>"
        return f'<a href="{html.escape(to)}">{inner}</a>'

    def _picture(self, source: str, line: int) -> str:
        try:
            return self._page.picture(self._filled(source), line)
        except FileRefused as refused:
            return self._noted(Note(line, "left_out", _("picture"), source, "", str(refused)))

    def _filled(self, target: str) -> str:
        """Return an address with the values of its template expressions, as far as they are known."""
        if self._kind in {"plain", "hugo"}:
            return target
        return _OUTPUT.sub(lambda found: found[0] if (v := self._value(found[1])) is None else v, target)

    def _link(self, found: re.Match[str], line: int) -> str:
        whole = found["target"] or found["defined"]
        written = target = whole.strip("<>")
        if found["image"] and found["image"] != "]":
            to = self._picture(target, line)
            return found[0].replace(whole, tags.target(to), 1) if to else found["alt"]
        target = self._filled(target)
        if found["target"] and self._attaches(target, line):
            return _ATTACHED
        to = self._led(target, line)
        return found[0] if to == written else found[0].replace(whole, tags.target(to), 1)

    def _led(self, target: str, line: int) -> str:
        """Return where a link leads now."""
        to = self._page.address(target)
        if to is None:
            why = _("The link leads to no imported page.")
            self._noted(Note(line, "left_out", _("link"), target, target, why))
        elif to != target:
            why = _("The link leads to the imported page.")
            self._noted(Note(line, "changed", _("link"), target, to, why))
        return target if to is None else to

    def _attaches(self, target: str, line: int) -> bool:
        """Whether a link leads to a file; one around a picture, which leads to a larger one, is dropped alike."""
        try:
            is_file = self._page.attaches(target, line)
        except FileRefused as refused:
            self._noted(Note(line, "left_out", _("link"), target, "", str(refused)))
            return True
        if is_file:
            why = _("The file is an attachment of the post now.")
            self._noted(Note(line, "changed", _("link"), target, "", why))
        return is_file

    def _value(self, expression: str) -> str | None:
        """Return the value of a template's expression, if it is plain."""
        expression = expression.strip().removeprefix("-").removesuffix("-").strip()
        if filtered := _QUOTED_FILTERED.fullmatch(expression):
            return filtered[1]
        return self._page.variable(expression.partition("|")[0].strip())

    def _output(self, found: re.Match[str], line: int) -> str:
        value = self._value(found["expression"])
        if value is None:
            self._unknown(found[0])
            why = _("The template's expression has no counterpart.")
            return self._noted(Note(line, "left_out", "{{ }}", found[0], "", why))
        why = _("The template's expression was replaced by its value.")
        return self._noted(Note(line, "changed", "{{ }}", found[0], value, why))

    def _tag(self, found: re.Match[str], text: str, line: int) -> tuple[str, int]:
        """Return what a tag becomes, and where the text goes on behind it."""
        name, end = found["name"], found.end()
        if self._kind == "hugo" and found["escape"]:
            return self._code(found[0]), end
        tag = Tag.read(name, found["arguments"])
        closing = self._closing(name, text, end)
        inner = ""
        if closing:
            inner, begins, end = text[end : closing.start()], end, closing.end()
            if name.lower() not in tags.VERBATIM:
                inner = self.translated(inner, line + text.count("\n", found.start(), begins))
        whole = text[found.start() : end]
        markdown = self._markdown(tag, inner, line)
        if markdown is not None:
            return self._noted(
                Note(line, "changed", name, whole, markdown, _("The tag was translated."))
            ), end
        self._unknown(name)
        why = (
            _("The tag has no counterpart; the text inside was kept.")
            if inner.strip()
            else _("The tag has no counterpart.")
        )
        return self._noted(Note(line, "left_out", name, found[0], inner, why)), end

    def _closing(self, name: str, text: str, end: int) -> re.Match[str] | None:
        escaped = re.escape(name)
        if self._kind == "hugo":
            pattern = rf"\{{\{{[<%]-?\s*/\s*{escaped}\s*-?[%>]\}}\}}"
        else:
            pattern = rf"\{{%-?\s*end_?{escaped}\s*-?%\}}"
        return re.compile(pattern, re.IGNORECASE).search(text, end)

    def _markdown(self, tag: Tag, inner: str, line: int) -> str | None:
        if tag.name in self._mapped:
            values = {
                **tag.named,
                **dict(zip(map(str, range(20)), tag.arguments, strict=False)),
                "inner": inner,
            }
            return re.sub(r"\{([\w-]+)\}", lambda m: values.get(m[1], ""), self._mapped[tag.name])
        handler = self._handlers.get(tag.name.lower())
        if handler is None:
            return None
        markdown = handler(tag, inner, self._page)
        if markdown and "](" in markdown and not inner:
            # The picture or link that a handler made has to lead where it is now.
            return Body("plain", self._page, {}, self._notes, self._unknown).translated(markdown, line)
        return markdown

    def _noted(self, note: Note) -> str:
        self._notes.append(note._replace(before=shortened(note.before), after=shortened(note.after)))
        return note.after


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): html.unescape(value.strip("\"'")) for name, value in _ATTRIBUTE.findall(text)}


def _without_attached(text: str) -> str:
    """Return a text without the links to attachments, of which their own texts stay."""
    opened, gone = list[int](), set[int]()
    for found in _BRACKET.finditer(text):
        if found[0] == "[":
            opened.append(found.start())
        elif found[0][0] == "]":
            begin = opened.pop() if opened else None
            if found[0] == _ATTACHED:
                gone.update(range(*found.span()))
                gone.update(() if begin is None else (begin,))
    return "".join(character for at, character in enumerate(text) if at not in gone) if gone else text
