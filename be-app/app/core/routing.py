"""Routes that refuse what they don't understand."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.core.errors import FieldError, ValidationFailed


class StrictRoute(APIRoute):
    """A route whose query parameters are all known and given once.

    Models refuse unknown parameters by themselves; this adds routes that take none. A parameter given twice
    would mean something else to each reader of the URL, the cache among them.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, preceded by the check."""
        handle = super().get_route_handler()
        takes_none = not self.dependant.query_params

        async def checked(request: Request) -> Response:
            given = request.query_params.multi_items()
            if given:
                _check([name for name, _ in given], takes_none=takes_none)
            return await handle(request)

        return checked


def _check(names: list[str], *, takes_none: bool) -> None:
    broken = [
        FieldError(field=f"query.{name}", rule="extra_forbidden", message="This takes no such parameter")
        if takes_none
        else FieldError(field=f"query.{name}", rule="repeated", message="This may be given once")
        for name, times in Counter(names).items()
        if takes_none or times > 1
    ]
    if broken:
        raise ValidationFailed(errors=broken)
