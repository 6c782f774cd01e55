"""The OpenAPI document: what FastAPI generates of the routes, completed for people and for generators of clients."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.auth import cookies, csrf
from app.authz import routing
from app.core.http import problems

DESCRIPTION: Final = f"""News, notices and inquiries of FamilyCorp's public site, and the work of its staff.

## Sign in

Visitors need no login. Staff navigate to `/v1/auth/login?returnTo=<URL of an allowed origin>` and come back with
`login=done`, `second-factor` or `failed` in the address; after `second-factor` they prove one by
`POST /v1/auth/second-factor`. The session is the browser's cookies: send them (`credentials: "include"`), and
`{csrf.HEADER}` with every request that isn't a GET. After a 401 `unauthenticated` call `POST /v1/auth/refresh`
once and repeat the request; after a 403 `step_up_required` prove the second factor and repeat it.

## Errors

Errors are RFC 9457 problem documents. Decide by `code`, which is stable; `title` and `detail` are for people, in
Korean or English by `Accept-Language`. Every response carries `X-Request-ID`; quote it when you report a problem.

## Lists and changes

Lists are paginated by cursor: send `nextCursor` as `cursor` until it is null. A change quotes the `ETag` that was
read in `If-Match`; a POST that creates takes an `Idempotency-Key`, so that it can be repeated safely.

## Limits

`RateLimit` holds the quota that the client has left; after a 429 or 503 wait for `Retry-After` seconds. What visitors
read is compressed for clients that send `Accept-Encoding: gzip`, as browsers do.
"""

TAGS: Final[Mapping[str, str]] = {
    "posts": "Published posts as visitors read, search and download them.",
    "categories": "The sections of the site, in their order.",
    "redirects": "Where addresses of an earlier site lead now.",
    "previews": "One revision of a post, shown by a link to people without a login.",
    "feeds": "Published posts for feed readers and search engines.",
    "inquiries": "The contact form.",
    "login": "Logging in by the OpenID provider and a second factor, refreshing a session, and logging out.",
    "account": "The caller's own account: who they are, what they may do, their second factors and sessions.",
    "editorial: posts": "Writing: drafts, revisions, previews, publication now or later. Each change is a revision.",
    "editorial: categories": "Creating, naming, ordering and deleting categories. All of them share one ETag.",
    "editorial: redirects": "Having addresses of an earlier site lead to pages of this one.",
    "editorial: inquiries": "Answering inquiries, and the rights of those who sent them: access and destruction.",
    "uploads": "Files for posts. A file goes to the bucket, not through the API, and is inspected before a post "
    "may name it.",
    "members": "Everybody who ever logged in, with roles and sessions. Changes need a recent second factor.",
    "audit": "Who changed what, and when.",
    "system": "Whether the service is up.",
}
"""Prose of every tag, in the order in which people read them."""

_HEADERS: Final[Mapping[str, dict[str, Any]]] = {
    "X-Request-ID": {"description": "The request's correlation id: quote it when you report a problem."},
    "RateLimit": {
        "description": 'Quota left, and the seconds after which all of it is back: `"visitors";r=299;t=1`.',
    },
    "RateLimit-Policy": {"description": 'The quota and its window in seconds: `"visitors";q=300;w=60`.'},
    "Retry-After": {"description": "Seconds to wait before the request is repeated."},
    "ETag": {"description": "The version that was read or made. Send it in `If-Match` with the next change."},
    "Location": {"description": "The address to go to, or of what was created."},
    "Age": {"description": "Seconds since the response was made; it comes from a cache."},
}
_NUMBERS: Final = frozenset({"Retry-After", "Age"})

_CSRF: Final = {
    "name": csrf.HEADER,
    "in": "header",
    "required": True,
    "description": "Any value: pages of other sites can't send this header. Without it the response is 403 "
    "`csrf_rejected`.",
    "schema": {"type": "string"},
    "example": "1",
}
_LANGUAGE: Final = {
    "name": "Accept-Language",
    "in": "header",
    "required": False,
    "description": "Language of errors: `ko` or `en`.",
    "schema": {"type": "string", "examples": ["ko", "en"]},
}
_PARAMETERS: Final = {"CsrfProtection": _CSRF, "AcceptLanguage": _LANGUAGE}

_TEXTS: Final[Mapping[str, str]] = {
    "uuid": "0192f0c1-2b3c-7d4e-8f50-617283940a1b",
    "date": "2026-12-01",
    "date-time": "2026-12-01T00:00:00.000000Z",
    "uri": "https://www.familycorp.example/",
}

_PAGE: Final = re.compile(r'(?<=["/])Page_(\w+?)_"')
"""The name that Pydantic makes of `Page[PostSummary]`; clients get `PostSummaryPage`, as its title is."""

Document = dict[str, Any]


def document(
    api: FastAPI, routers: Iterable[APIRouter], *, cached: tuple[str, ...], exempt: frozenset[str]
) -> Document:
    """Return the document of an application.

    Args:
        api: the application.
        routers: its routers, whose routes are all `PolicyRoute`s.
        cached: beginnings of paths that the public cache serves.
        exempt: paths that load shedding exempts.
    """
    generated = get_openapi(
        title=api.title,
        version=api.version,
        summary=api.summary,
        description=DESCRIPTION,
        routes=api.routes,
        tags=[{"name": name, "description": prose} for name, prose in TAGS.items()],
        servers=[{"url": "/", "description": "The host that serves this document."}],
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
    )
    found: Document = json.loads(_PAGE.sub(r'\1Page"', json.dumps(generated)))
    schemas = found["components"]["schemas"]
    _complete_components(found["components"])
    for route, method in ((r, m) for router in routers for r in _documented(router) for m in r.methods or ()):
        path = route.path_format
        operation = found["paths"][path][method.lower()]
        _complete_errors(operation, busy=path not in exempt)
        _complete_parameters(operation, route)
        is_cached = method == "GET" and path.startswith(cached)
        _complete_headers(operation, route, is_cached=is_cached)
        for media in _successes(operation):
            media.setdefault("example", example(media["schema"], schemas))
    return found


def _complete_components(components: Document) -> None:
    """Add the security scheme, shared parameters and headers, and the problem document to the components."""
    components["securitySchemes"] = {
        routing.SCHEME: {
            "type": "apiKey",
            "in": "cookie",
            "name": cookies.ACCESS,
            "description": "The cookie that a login sets. Browsers send it; no script can read it.",
        }
    }
    components["parameters"] = _PARAMETERS
    components["headers"] = {
        name: header | {"schema": {"type": "integer" if name in _NUMBERS else "string"}}
        for name, header in _HEADERS.items()
    }
    schemas = components["schemas"]
    _, problem = models_json_schema(
        [(problems.ProblemDocument, "serialization")], ref_template="#/components/schemas/{model}"
    )
    schemas.update(problem["$defs"])
    for name in ("ProblemDocument", "FieldDifference"):
        for member in schemas[name]["properties"].values():
            member.pop("default", None)  # What doesn't apply is left out.
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)


def _documented(router: APIRouter) -> Iterator[routing.PolicyRoute]:
    return (route for route in router.routes if isinstance(route, routing.PolicyRoute))


def _complete_errors(operation: dict[str, Any], *, busy: bool) -> None:
    added = (
        *((problems.Overloaded,) if busy else ()),
        *(problems.OF_BODIES if "requestBody" in operation else ()),
    )
    errors = {str(status): response for status, response in problems.responses(*added).items()}
    operation["responses"] = problems.merged(operation["responses"], errors)


def _complete_parameters(operation: dict[str, Any], route: routing.PolicyRoute) -> None:
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if parameter["in"] == "header" and "anyOf" in parameter["schema"]:
            # No header is null; to FastAPI If-Match is optional, since the API responds with 428 without it.
            parameter["schema"] = parameter["schema"]["anyOf"][0]
            parameter["required"] = parameter["name"] == "If-Match"
    guarded = isinstance(route, routing.GuardedRoute)
    if not guarded:
        operation["security"] = []
    if (guarded and route.methods != {"GET"}) or getattr(route, "csrf_checked", False):
        parameters.append({"$ref": "#/components/parameters/CsrfProtection"})
    parameters.append({"$ref": "#/components/parameters/AcceptLanguage"})


def _complete_headers(operation: dict[str, Any], route: routing.PolicyRoute, *, is_cached: bool) -> None:
    changes = any(p.get("name") == "If-Match" for p in operation["parameters"])
    counted = route.in_vpc and getattr(route, "cost", 1) > 0
    for status, response in operation["responses"].items():
        names = ["X-Request-ID"]
        if status in {"429", "503"} and problems.PROBLEM_TYPE in response["content"]:
            names.append("Retry-After")
        if status < "400":
            names += ["RateLimit", "RateLimit-Policy"] * counted
            names += ["ETag", "Age"] * is_cached
            names += ["ETag"] * (changes and "content" in response)
            names += ["Location"] * (status in {"201", "302", "303", "308"})
        response["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in (*response.get("headers", ()), *names)
        }


def _successes(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield from response.get("content", {}).values()


def example(schema: Document, schemas: Document) -> Any:
    """Return a value that a schema allows, of the examples of its parts; text without one raises `LookupError`."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema and "examples" not in schema:
        return example(schema["anyOf"][0], schemas)
    for given in ("examples", "enum"):
        if given in schema:
            return schema[given][0]
    return schema["const"] if "const" in schema else _example_of_type(schema, schemas)


def _example_of_type(schema: Document, schemas: Document) -> Any:
    match schema["type"]:
        case "object":
            return {name: example(part, schemas) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [example(schema["items"], schemas)]
        case "string":
            return _TEXTS[schema.get("format", "text")]
        case "boolean":
            return False
    return schema.get("minimum", 1)
