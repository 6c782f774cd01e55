"""Messages of the fields' rules, for people: Pydantic's own words name regular expressions and types of Python.

Loaded with the first request that breaks a rule.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from app.core.http.schema import PATTERNS
from app.core.messages import Message, Plural, marked
from app.core.translation import Text

_NUMBER = marked("Enter a whole number, in digits only.")
_INSTANT = marked("Enter a date and time with its UTC offset, for example 2027-01-04T09:00:00+09:00.")
_ID = marked("This is not a valid id.")
_OBJECT = marked("This must be a JSON object.")

MESSAGES: Final[Mapping[str, Message]] = {
    "bool_parsing": marked("This must be true or false."),
    "bool_type": marked("This must be true or false."),
    "datetime_from_date_parsing": _INSTANT,
    "datetime_object_invalid": _INSTANT,
    "datetime_parsing": _INSTANT,
    "datetime_type": _INSTANT,
    "dict_type": _OBJECT,
    "extra_forbidden": marked("This field is unknown. Remove it."),
    "finite_number": _NUMBER,
    "greater_than_equal": marked("Enter at least {ge}."),
    "int_from_float": _NUMBER,
    "int_parsing": _NUMBER,
    "int_parsing_size": marked("The number has too many digits."),
    "int_type": _NUMBER,
    "less_than_equal": marked("Enter at most {le}."),
    "list_type": marked("This must be a list."),
    "literal_error": marked("Choose one of these: {choices}."),
    "missing": marked("This field is required."),
    "model_attributes_type": _OBJECT,
    "model_type": _OBJECT,
    "repeated": marked("Send this parameter only once."),
    "string_too_long": Plural(
        "Enter at most {max_length} character.", "Enter at most {max_length} characters.", "max_length"
    ),
    "string_too_short": Plural(
        "Enter at least {min_length} character.", "Enter at least {min_length} characters.", "min_length"
    ),
    "string_type": marked("This must be text."),
    "string_unicode": marked("The text is not valid Unicode."),
    "timezone_aware": _INSTANT,
    "too_long": Plural("List at most {max_length} item.", "List at most {max_length} items.", "max_length"),
    "too_short": Plural(
        "List at least {min_length} item.", "List at least {min_length} items.", "min_length"
    ),
    "uuid_parsing": _ID,
    "uuid_type": _ID,
}
"""The message of each rule that one message suits; placeholders are the rule's own values."""

_EMPTY = marked("Fill in this field.")
_AGREEMENT = marked("You must agree to this.")
_INVALID = marked("This value is not valid.")


def text(error: Mapping[str, Any]) -> Text:
    """Return what an error of Pydantic's says about a field, in words for people."""
    rule, values = error["type"], error.get("ctx", {})
    message = values.get("message") or MESSAGES.get(rule)
    match rule:
        case "string_pattern_mismatch":
            message = PATTERNS.get(values["pattern"])
        case "string_too_short" if values["min_length"] == 1:
            message = _EMPTY
        case "literal_error" if values["expected"] == "True":
            message = _AGREEMENT
        case "literal_error":
            values = {"choices": ", ".join(re.findall("'([^']*)'", values["expected"]))}
    return Text(message or _INVALID, values)
