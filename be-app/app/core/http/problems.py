"""Errors that own their status, stable code and OpenAPI entry: RFC 9457 problem documents."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any, ClassVar, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app.core.observability.context import request_id


class FieldError(BaseModel):
    """One rule that one field of the request broke."""

    field: str = Field(description="Where: `body.title`, `query.limit`, `header.If-Match`, …")
    rule: str = Field(description="Stable name of the broken rule.")
    message: str = Field(description="What the rule demands, for people.")


class ProblemDocument(BaseModel):
    """The body of every error, served as `application/problem+json` (RFC 9457)."""

    type: str = Field(description="URN that identifies the kind of problem.")
    title: str = Field(description="What this kind of problem is, for people.")
    status: int = Field(description="The HTTP status, repeated.")
    code: str = Field(description="Stable name of the problem, for programs.")
    detail: str | None = Field(None, description="What happened this time, and the mend where there is one.")
    requestId: str = Field(description="The request's correlation id, as in `X-Request-ID`.")  # noqa: N815
    errors: list[FieldError] | None = Field(None, description="The broken rules, where fields broke them.")


class Problem(Exception):
    """An error with a status and a stable code. Subclasses set the class attributes; a detail is optional."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Render the problem document."""
        return problem_response(
            self.status, self.code, self.title, detail=self.detail, errors=self.errors, headers=self.headers
        )


class MalformedBody(Problem):
    """The body can't be read at all."""

    status, code, title = 400, "body_malformed", "The body can't be read"


class Unauthenticated(Problem):
    """Nobody is logged in."""

    status, code, title = 401, "unauthenticated", "Log in first"


class TooManyRequests(Problem):
    """The caller asked too often; `Retry-After` says when the next try counts."""

    status, code, title = 429, "rate_limited", "Too many requests; try again later"


class NotFound(Problem):
    """There is no such thing, or none that this caller may see."""

    status, code, title = 404, "not_found", "There is no such resource"


class MethodNotAllowed(Problem):
    """The path doesn't take this method."""

    status, code, title = 405, "method_not_allowed", "This path does not take this method"


class BodyTooLarge(Problem):
    """The body exceeds the limit of the whole API."""

    status, code, title = 413, "body_too_large", "The body is too large"


class AddressTooLong(Problem):
    """Path and query exceed what the API reads."""

    status, code, title = 414, "address_too_long", "The address is too long"


class UnsupportedMediaType(Problem):
    """The body is of another type than the API reads."""

    status, code, title = 415, "unsupported_media_type", "The body must be JSON"


class PreconditionFailed(Problem):
    """Somebody else changed the resource since the caller read it."""

    status, code, title = 412, "precondition_failed", "The resource has changed meanwhile"


class ValidationFailed(Problem):
    """One or more fields break a rule."""

    status, code, title = 422, "validation_failed", "The request breaks a rule"

    @classmethod
    def on(cls, field: str, rule: str, message: str) -> "ValidationFailed":
        """Return the problem of a single field."""
        return cls(errors=[FieldError(field=field, rule=rule, message=message)])


class IdempotencyKeyReused(Problem):
    """An `Idempotency-Key` came again with another request."""

    status, code, title = 422, "idempotency_key_reused", "The idempotency key belongs to another request"


class PreconditionRequired(Problem):
    """A write that can race came without `If-Match`."""

    status, code, title = 428, "precondition_required", "If-Match is required"


class HeadersTooLarge(Problem):
    """The header fields exceed what the API reads."""

    status, code, title = 431, "headers_too_large", "The request's headers are too large"


class Unavailable(Problem):
    """A store that this request needs doesn't answer; nothing was accepted."""

    status, code, title = 503, "unavailable", "A service that this needs doesn't answer; try again"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "5"})


class DatabaseUnavailable(Unavailable):
    """The relational database doesn't answer."""

    code = "database_unavailable"


class StoreUnavailable(Unavailable):
    """DynamoDB doesn't answer."""

    code = "store_unavailable"


class Overloaded(Unavailable):
    """This process has more to do than it can do in time; nothing was begun."""

    code, title = "overloaded", "Too much is asked of this service at the moment; try again"


OF_BODIES = (MalformedBody, BodyTooLarge, UnsupportedMediaType)
"""What every route that reads a body may answer."""

PROBLEM_TYPE = "application/problem+json"
_MOST_ERRORS = 50
_LONGEST_FIELD = 200


def problem_response(
    status: int,
    code: str,
    title: str,
    *,
    detail: str | None = None,
    errors: Iterable[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build the response of a problem; fields without a value are left out."""
    document: dict[str, Any] = {
        "type": f"urn:familycorp:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "requestId": request_id(),
    }
    if detail:
        document["detail"] = detail
    # Names of fields may be the caller's.
    if broken := [e.model_dump() | {"field": e.field[:_LONGEST_FIELD]} for e in islice(errors, _MOST_ERRORS)]:
        document["errors"] = broken
    return Response(
        orjson.dumps(document), status, {"Cache-Control": "no-store", **(headers or {})}, PROBLEM_TYPE
    )


_PHRASES: Final = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
"""RFC 9110's reason phrases of which Python knows an older wording before 3.13."""


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of these problems, an example each."""
    documented: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        entry = documented.setdefault(
            problem.status,
            {
                "description": _PHRASES.get(problem.status, HTTPStatus(problem.status).phrase),
                "content": {
                    PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, "examples": {}}
                },
            },
        )
        entry["content"][PROBLEM_TYPE]["examples"][problem.code] = {
            "summary": problem.title,
            "value": {
                "type": f"urn:familycorp:problem:{problem.code}",
                "title": problem.title,
                "status": problem.status,
                "code": problem.code,
                "requestId": "0192f0c1-2b3c-7d4e-8f50-617283940a1b",
            },
        }
    return documented


def merged(*documented: Mapping[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Return several `responses` as one, in which a status that several name keeps every example."""
    whole: dict[Any, dict[str, Any]] = {}
    for status, entry in (pair for part in documented for pair in part.items()):
        known = whole.get(status)
        if known and PROBLEM_TYPE in known.get("content", {}) and PROBLEM_TYPE in entry.get("content", {}):
            examples = [e["content"][PROBLEM_TYPE]["examples"] for e in (known, entry)]
            content = {**entry["content"][PROBLEM_TYPE], "examples": examples[0] | examples[1]}
            whole[status] = {**entry, "content": {PROBLEM_TYPE: content}}
        else:
            whole[status] = entry
    return whole


def _validation_failed(error: RequestValidationError) -> Problem:
    # Neither the input nor the context is repeated: they may hold personal data or what JSON can't carry.
    return ValidationFailed(
        errors=[
            FieldError(
                field=".".join(str(part) for part in e["loc"]),
                rule=e["type"],
                message=e["msg"].removeprefix("Value error, "),
            )
            for e in islice(error.errors(), _MOST_ERRORS)
        ]
    )


def _allowed_methods(request: Request) -> str:
    """Return the methods of a path; the framework names those of one route, and several may share it."""

    def allowed(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    methods = [m for m in ("GET", "POST", "PUT", "DELETE") if allowed(m)]
    return ", ".join(["HEAD", *methods] if "GET" in methods else methods)


def _http_exception(request: Request, error: HTTPException) -> Response:
    """Dress an error that the framework raised (unknown route, wrong method, body limit) as a problem."""
    if error.status_code == 405:
        return MethodNotAllowed(headers={"Allow": _allowed_methods(request)}).response()
    known = {p.status: p for p in (MalformedBody, NotFound, BodyTooLarge)}.get(error.status_code)
    if known:
        return known(headers=error.headers).response()
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_")
    return problem_response(error.status_code, code, phrase, headers=error.headers)


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""

    async def problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - narrows what the registration below guarantees
        return error.response()

    async def validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return _validation_failed(error).response()

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return _http_exception(request, error)

    async def unhandled(_request: Request, _error: Exception) -> Response:
        return Problem().response()

    app.add_exception_handler(Exception, unhandled)
    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
