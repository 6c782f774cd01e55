"""Ghost's two editors' formats, Lexical and Mobiledoc, as HTML."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from markdown_it import MarkdownIt

Node = Mapping[str, Any]
Texts = Mapping[str, str]
Unknown = Callable[[str], None]

_FORMATS = ((16, "code"), (1, "strong"), (2, "em"), (4, "s"))
_ALONE = {"linebreak": "<br>", "horizontalrule": "<hr>", "hr": "<hr>"}
_BLOCKS = {
    "paragraph": "p",
    "quote": "blockquote",
    "extended-quote": "blockquote",
    "aside": "blockquote",
    "listitem": "li",
}
_NOTHING = {"paywall", "signup", "header", "email", "email-cta", "hr-card"}


def lexical(node: Node, unknown: Unknown) -> str:
    """Return a document of Lexical, or a node of one, as HTML.

    Args:
        node: the node.
        unknown: receives the names of nodes that have no counterpart.
    """
    if "root" in node:
        node = node["root"]
    kind = str(node.get("type", "root"))
    inside = "".join(lexical(child, unknown) for child in node.get("children", ()))
    if kind in {"text", "extended-text"}:
        return _text(node)
    if kind in _ALONE:
        return _ALONE[kind]
    if kind in {"link", "autolink"}:
        return f'<a href="{escape(str(node.get("url", "")))}">{inside}</a>'
    tag = _tag(kind, node)
    if tag:
        return f"<{tag}>{inside}</{tag}>"
    return inside or ("" if kind == "root" else card(kind, node, unknown))


def _tag(kind: str, node: Node) -> str:
    if kind in {"heading", "extended-heading"}:
        return str(node.get("tag", "h2"))
    if kind == "list":
        return "ol" if node.get("listType") == "number" else "ul"
    return _BLOCKS.get(kind, "")


def _text(node: Node) -> str:
    text = escape(str(node.get("text", "")), quote=False)
    marks = int(node.get("format") or 0)
    for bit, tag in _FORMATS:
        if marks & bit:
            text = f"<{tag}>{text}</{tag}>"
    return text


def card(kind: str, said: Node, unknown: Unknown) -> str:
    """Return a card, which both editors have, as HTML."""
    text = {key: value for key, value in said.items() if isinstance(value, str)}
    maker = _CARDS.get(kind)
    if maker is None and kind not in _NOTHING:
        unknown(kind)
    return maker(text, said) if maker else ""


def _picture(text: Texts, _said: Node) -> str:
    return _image(text.get("src", ""), text.get("alt", ""), text.get("caption", ""))


def _gallery(_text: Texts, said: Node) -> str:
    return "".join(_image(str(i.get("src", "")), str(i.get("alt") or ""), "") for i in said.get("images", ()))


def _code(text: Texts, _said: Node) -> str:
    language = escape(text.get("language", ""))
    return f'<pre><code class="language-{language}">{escape(text.get("code", ""))}</code></pre>'


def _link(text: Texts, said: Node) -> str:
    metadata = said.get("metadata")
    title = str(metadata.get("title") or "") if isinstance(metadata, Mapping) else ""
    address = text.get("url") or text.get("src") or text.get("buttonUrl") or ""
    named = (text.get(name) for name in ("buttonText", "title", "fileName", "fileTitle"))
    shown = next((name for name in named if name), title or address)
    return f'<p><a href="{escape(address)}">{escape(shown)}</a></p>' if address else ""


def _toggle(text: Texts, _said: Node) -> str:
    return f"<p><strong>{text.get('heading', '')}</strong></p>{text.get('content', '')}"


def _image(source: str, alt: str, caption: str) -> str:
    if not source:
        return ""
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><img src="{escape(source)}" alt="{escape(alt)}">{below}</figure>'


_CARDS: Mapping[str, Callable[[Texts, Node], str]] = {
    "image": _picture, "gallery": _gallery, "code": _code, "codeblock": _code, "toggle": _toggle,
    "html": lambda text, _said: text.get("html", ""),
    "callout": lambda text, _said: f"<blockquote>{text.get('calloutText', '')}</blockquote>",
    "markdown": lambda text, _said: _markdown().render(text.get("markdown", "")),
    **dict.fromkeys(("bookmark", "embed", "video", "audio", "file", "button"), _link),
}  # fmt: skip


def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark")


def mobiledoc(document: Node, unknown: Unknown) -> str:
    """Return a document of Mobiledoc (0.3)."""
    parts = []
    for section in document.get("sections", ()):
        if section[0] == 1:
            parts.append(f"<{section[1]}>{_markers(document, section[2])}</{section[1]}>")
        elif section[0] == 2:
            parts.append(_image(section[1], "", ""))
        elif section[0] == 3:
            items = "".join(f"<li>{_markers(document, item)}</li>" for item in section[2])
            parts.append(f"<{section[1]}>{items}</{section[1]}>")
        elif section[0] == 10:
            kind, said = document["cards"][section[1]][:2]
            parts.append("<hr>" if kind == "hr" else card(kind, said, unknown))
    return "".join(parts)


def _markers(document: Node, markers: list[Any]) -> str:
    text, opened = "", list[str]()
    for kind, opening, closes, value in markers:
        for index in opening:
            tag, *attributes = document["markups"][index]
            pairs = iter(attributes[0]) if attributes else iter(())
            said = "".join(f' {name}="{escape(str(held))}"' for name, held in zip(pairs, pairs, strict=False))
            text += f"<{tag}{said}>"
            opened.append(tag)
        text += (
            escape(value, quote=False)
            if kind == 0
            else "<br>"
            if document["atoms"][value][0] == "soft-return"
            else ""
        )
        for __ in range(closes):
            text += f"</{opened.pop()}>"
    return text
