"""What the policy permitted, as services receive it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.auth.subject import Subject


class Grant(NamedTuple):
    """Somebody who may do it, and what is demanded in return (fields to leave out, items to keep back)."""

    subject: Subject
    obligations: Mapping[str, Any]
