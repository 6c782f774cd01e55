"""Translates texts for people: English stands in the code, Korean in `app/locale`.

A text is translated where it is sent, so that the code that raises an error needs no language. The catalogue is read
with the first text in Korean: a cold start reads none.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from app.core import grammar
from app.core.lazy import lazy_import
from app.core.messages import Message, Plural

# With its catalogue, gettext takes a millisecond.
gettext: Any = lazy_import("gettext")

Language = Literal["ko", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ko", "en")

DOMAIN: Final = "familycorp"
LOCALES: Final = Path(__file__).parents[1] / "locale"

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Text(NamedTuple):
    """A message with the values of its placeholders, each of which may be a text itself."""

    message: Message
    values: Mapping[str, Any] = _NOTHING

    def __str__(self) -> str:
        return self.in_language("en")

    def in_language(self, language: Language) -> str:
        """Return the text in a language."""
        message, values = self.message, self.values
        if isinstance(message, Plural):
            number = values[message.by]
            if language == "en":
                template = message.one if number == 1 else message.other
            else:
                template = _catalogue(language).ngettext(message.one, message.other, number)
        else:
            template = message if language == "en" else _catalogue(language).gettext(message)
        if not values:
            return template
        return template.format_map(
            {name: v.in_language(language) if isinstance(v, Text) else v for name, v in values.items()}
        )


@cache
def _catalogue(language: Language) -> Any:
    return gettext.translation(DOMAIN, LOCALES, [language])


def preferred(accepted: str, default: Language) -> Language:
    """Return the language that an Accept-Language field prefers (RFC 9110 §12.5.4; ranges by RFC 4647 §3.4).

    Of languages with the same weight the first in the field counts. A field that accepts neither language yields
    `default`, or the other one where the field refuses `default` alone (`ko;q=0`).
    """
    weights: dict[str, float] = {}
    for tag, weight in grammar.weighted(accepted):
        name = tag.partition("-")[0]  # `ko-KR` is Korean.
        weights[name] = max(weight, weights.get(name, 0))
    named = sorted((language for language in LANGUAGES if language in weights), key=list(weights).index)
    order: list[Language] = [*named, default, *LANGUAGES]
    best = max(order, key=lambda language: weights.get(language, weights.get("*", 0)))
    if weights.get(best, weights.get("*", 0)) > 0:
        return best
    return next((language for language in order if language not in weights), default)
