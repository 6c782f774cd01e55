"""Errors that own their status, stable code and OpenAPI entry: RFC 9457 problem documents."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app.core.lazy import lazy_import
from app.core.messages import Message, Plural, marked
from app.core.observability.context import header, request_id
from app.core.settings import settings
from app.core.translation import Language, Text, preferred

if TYPE_CHECKING:
    from app.core.http import rules
else:
    rules = lazy_import("app.core.http.rules")


class FieldError(BaseModel):
    """One rule that one field of the request broke."""

    field: str = Field(description="Where: `body.title`, `query.limit`, `header.If-Match`, …")
    rule: str = Field(description="Stable name of the broken rule, for programs.")
    message: str = Field(description="The problem of the field, for people.")


class FieldDifference(BaseModel):
    """One field that differs between a refused change and the resource as it is now."""

    field: str = Field(description="Name of the field in the request's body.")
    base: Any = Field(
        None,
        description="Its value in the version that the change starts from; left out where that isn't known.",
    )
    yours: Any = Field(description="Its value in the refused request.")
    current: Any = Field(description="Its value now.")


class ProblemDocument(BaseModel):
    """The body of every error, served as `application/problem+json` (RFC 9457).

    Texts for people are in Korean or English, as `Accept-Language` prefers; `Content-Language` names the language.
    """

    type: str = Field(description="URN that identifies the kind of problem.")
    title: str = Field(description="The problem, for people.")
    status: int = Field(description="The HTTP status code.")
    code: str = Field(description="Stable name of the problem, for programs.")
    detail: str | None = Field(None, description="What happened this time and what to do, for people.")
    requestId: str = Field(description="The request's correlation id, as in `X-Request-ID`.")  # noqa: N815
    reasons: list[str] | None = Field(None, description="Why access was denied, as stable codes.")
    errors: list[FieldError] | None = Field(None, description="The broken rules, where fields broke them.")
    version: int | None = Field(
        None, description="The resource's version now, where it has changed: quote it in `If-Match` next."
    )
    differences: list[FieldDifference] | None = Field(
        None,
        description="The fields of a refused change that differ now, with each side's value, to be merged.",
    )


class Violation(NamedTuple):
    """One rule that one field of the request broke; `FieldError` is how it is sent."""

    field: str
    rule: str
    text: Text


class Problem(Exception):
    """An error with a status and a stable code, which is sent in the language of its request.

    Subclasses set the class attributes. `advice` is the detail of every error of the class that has no other.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = marked("The server failed to process the request")
    advice: ClassVar[str | None] = None

    def __init__(
        self,
        detail: Message | None = None,
        *,
        violations: Iterable[Violation] = (),
        reasons: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> None:
        """Make an error.

        Args:
            detail: what happened this time and what to do, with placeholders for `values`.
            violations: the rules that fields broke.
            reasons: why access was denied, as stable codes.
            headers: header fields of the response.
            extensions: further members of the document, for programs (RFC 9457 §3.2).
            **values: values of the placeholders in `detail`.
        """
        super().__init__()
        message = detail or self.advice
        self.detail = Text(message, values) if message else None
        self.violations = tuple(violations)
        self.reasons = tuple(reasons)
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})

    def __str__(self) -> str:
        return self.in_language("en")

    def in_language(self, language: Language) -> str:
        """Return the problem in one line: the title and the detail."""
        known = [v.text for v in self.violations] or ([self.detail] if self.detail else [])
        title = Text(self.title).in_language(language)
        return ": ".join([title, *filter(None, [" ".join(text.in_language(language) for text in known)])])

    def response(self) -> Response:
        """Render the problem document in the language that the current request prefers."""
        language = preferred(header(b"accept-language"), settings().language)
        document = {
            "type": f"urn:familycorp:problem:{self.code}",
            "title": Text(self.title).in_language(language),
            "status": self.status,
            "code": self.code,
            "detail": self.detail and self.detail.in_language(language),
            "requestId": request_id(),
            "reasons": self.reasons,
            "errors": [
                # The client chose the names of unknown fields.
                {"field": v.field[:_LONGEST_FIELD], "rule": v.rule, "message": v.text.in_language(language)}
                for v in self.violations[:_MOST_ERRORS]
            ],
            **self.extensions,
        }
        headers = {
            "Cache-Control": "no-store",
            "Content-Language": language,
            "Vary": "Origin, Accept-Language",
            **self.headers,
        }
        present = {name: value for name, value in document.items() if value}
        return Response(orjson.dumps(present), self.status, headers, PROBLEM_TYPE)


class MalformedBody(Problem):
    """The body can't be read at all."""

    status, code, title = 400, "body_malformed", marked("The request body cannot be read")


class Unauthenticated(Problem):
    """Nobody is logged in."""

    status, code, title = 401, "unauthenticated", marked("Login is required")
    advice = marked("Log in, then repeat the request.")


class TooManyRequests(Problem):
    """The client exceeded a rate limit; `Retry-After` says when the next request counts."""

    status, code, title = 429, "rate_limited", marked("Too many requests")

    def __init__(self, wait_s: int) -> None:
        super().__init__(
            Plural("Try again in {seconds} second.", "Try again in {seconds} seconds.", "seconds"),
            headers={"Retry-After": str(wait_s)},
            seconds=wait_s,
        )


class NotFound(Problem):
    """The resource doesn't exist, or the caller may not know that it does."""

    status, code, title = 404, "not_found", marked("The resource was not found")


class MethodNotAllowed(Problem):
    """The path doesn't support this method."""

    status, code, title = 405, "method_not_allowed", marked("This path does not support this method")
    advice = marked("The Allow header lists the supported methods.")


class BodyTooLarge(Problem):
    """The body exceeds the limit of the whole API."""

    status, code, title = 413, "body_too_large", marked("The request body is too large")


class UriTooLong(Problem):
    """Path and query exceed what the API reads."""

    status, code, title = 414, "uri_too_long", marked("The URL is too long")


class UnsupportedMediaType(Problem):
    """The body is of another type than the API reads."""

    status, code, title = 415, "unsupported_media_type", marked("The request body must be JSON")
    advice = marked("Send JSON with the header Content-Type: application/json.")


class PreconditionFailed(Problem):
    """Another request changed the resource after the client had read it."""

    status, code, title = 412, "precondition_failed", marked("The resource has changed since you read it")
    advice = marked("Read it again, then repeat your change.")


class ValidationFailed(Problem):
    """One or more fields break a rule."""

    status, code, title = 422, "validation_failed", marked("Some fields are invalid")

    @classmethod
    def on(cls, field: str, rule: str, message: Message, **values: Any) -> "ValidationFailed":
        """Return the problem of a single field."""
        return cls(violations=[Violation(field, rule, Text(message, values))])

    @classmethod
    def of(cls, errors: Iterable[Mapping[str, Any]]) -> "ValidationFailed":
        """Return the problem of what Pydantic found.

        Neither inputs nor contexts are repeated: they may hold personal data or what JSON can't carry.
        """
        return cls(
            violations=[
                Violation(".".join(map(str, error["loc"])), error["type"], rules.text(error))
                for error in islice(errors, _MOST_ERRORS)
            ]
        )


class IdempotencyKeyReused(Problem):
    """An `Idempotency-Key` came again with another request."""

    status, code = 422, "idempotency_key_reused"
    title = marked("The idempotency key belongs to another request")
    advice = marked("Send a new Idempotency-Key with every new request.")


class PreconditionRequired(Problem):
    """A write that can race came without `If-Match`."""

    status, code, title = 428, "precondition_required", marked("The If-Match header is required")
    advice = marked("Send the ETag that you read in the If-Match header.")


class HeadersTooLarge(Problem):
    """The header fields exceed what the API reads."""

    status, code, title = 431, "headers_too_large", marked("The request headers are too large")


class Unavailable(Problem):
    """A store that the request needs is unavailable; nothing was accepted."""

    status, code, title = 503, "unavailable", marked("The service is temporarily unavailable")
    advice = marked("Nothing was changed. Try again in a few seconds.")

    def __init__(self, detail: str | None = None, **values: Any) -> None:
        super().__init__(detail, headers={"Retry-After": "5"}, **values)


class DatabaseUnavailable(Unavailable):
    """The relational database is unavailable."""

    code, title = "database_unavailable", marked("The database is temporarily unavailable")


class StoreUnavailable(Unavailable):
    """DynamoDB is unavailable."""

    code = "store_unavailable"


class Overloaded(Unavailable):
    """This process already works on as many requests as it can serve in time; it did not begin this one."""

    code, title = "overloaded", marked("The service is overloaded")


OF_BODIES = (MalformedBody, BodyTooLarge, UnsupportedMediaType)
"""Problems of every route that reads a body."""

PROBLEM_TYPE = "application/problem+json"
_MOST_ERRORS = 50
_LONGEST_FIELD = 200


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
            }
            | ({"detail": problem.advice} if problem.advice else {}),
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


def _allowed_methods(request: Request) -> str:
    """Return the methods of a path; the framework names those of one route, and several may share it."""

    def allowed(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    methods = [m for m in ("GET", "POST", "PUT", "DELETE") if allowed(m)]
    return ", ".join(["HEAD", *methods] if "GET" in methods else methods)


def _http_exception(request: Request, error: HTTPException) -> Response:
    """Return the problem document of an error that the framework raised (unknown route, method, body limit)."""
    if error.status_code == 405:
        return MethodNotAllowed(headers={"Allow": _allowed_methods(request)}).response()
    known = {p.status: p for p in (MalformedBody, NotFound, BodyTooLarge)}
    return known.get(error.status_code, Problem)(headers=error.headers).response()


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""

    async def problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - narrows what the registration below guarantees
        return error.response()

    async def validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return ValidationFailed.of(error.errors()).response()

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return _http_exception(request, error)

    async def unhandled(_request: Request, _error: Exception) -> Response:
        return Problem().response()

    app.add_exception_handler(Exception, unhandled)
    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
