"""Mangum, where it would answer otherwise than the application did."""

from typing import Any

from mangum import Mangum

_WITHOUT_CONTENT = {204, 303, 304}


class Gateway(Mangum):
    """Serves events of API Gateway.

    Mangum calls a response without a type JSON. In a 304 (RFC 9110, 15.4.5) a browser's cache would take that
    for the type of the feed that it keeps.
    """

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Return the response to an event, as payload format 2.0 wants it."""
        answer = super().__call__(event, context)
        if answer["statusCode"] in _WITHOUT_CONTENT:
            answer["headers"].pop("content-type", None)
        return answer
