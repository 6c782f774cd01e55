"""A permission of the policy, as services receive it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.auth.subject import Subject


class Grant(NamedTuple):
    """A permitted subject, and the policy's obligations (fields to leave out, items to keep back)."""

    subject: Subject
    obligations: Mapping[str, Any]
