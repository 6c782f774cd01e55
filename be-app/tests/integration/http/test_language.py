"""Errors in the language of the person who reads them: Korean or English, by `Accept-Language`."""

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

import app
from app.core.http import rules
from app.core.http.problems import Problem
from app.core.http.schema import PATTERNS
from app.core.messages import Message, Plural
from app.core.settings import Settings
from app.core.translation import Text
from app.routers import ROUTERS
from support.contract import NOBODY, ok, problem
from support.stack import EDITOR, act, published

SOURCES = Path(app.__file__).parent
HANGUL = re.compile("[가-힣]")
FORM = {"name": "김하늘", "subject": "견적", "message": "안녕하세요", "consent": True}


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("ko", "ko"),
        ("KO-kr", "ko"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("en;q=0.2, ko;q=0.3", "ko"),
        ("ko;q=0.5, *", "en"),
        ("fr, *;q=0.1, ko;q=0.2", "ko"),
        ("ko;q=0", "en"),
        ("en;q=0", "ko"),
        ("en;q=0, ko;q=0", "en"),
        # Without a wish of ours the site's language counts; that of tests is English.
        ("", "en"),
        ("fr-CA", "en"),
        ("ko;q=2", "en"),
        ("kor", "en"),
        ("ko_KR", "en"),
        (",,;;==", "en"),
        ("a" * 20_000, "en"),
    ],
)
def test_an_error_is_in_the_language_that_is_preferred(
    client: httpx.Client, accepted: str, language: str
) -> None:
    answer = client.get(f"/v1/posts/{NOBODY}", headers={"Accept-Language": accepted})
    told = problem(answer, 404, "not_found")
    assert answer.headers["Content-Language"] == language
    assert (
        told["title"]
        == {"ko": "요청한 항목을 찾을 수 없습니다", "en": "The resource was not found"}[language]
    )


def test_every_line_of_accept_language_counts(client: httpx.Client) -> None:
    answer = client.get("/v2", headers=[("Accept-Language", "en;q=0.5"), ("Accept-Language", "ko")])
    assert answer.headers["Content-Language"] == "ko"


@pytest.mark.parametrize(
    ("chosen", "language"),
    [
        ({"site_url": "https://www.familycorp.kr"}, "ko"),
        ({"site_url": "https://familycorp.co.kr:8443"}, "ko"),
        ({"site_url": "https://kr.familycorp.example"}, "en"),
        ({"site_url": "https://www.familycorp.kr", "default_language": "en"}, "en"),
        ({"default_language": "ko"}, "ko"),
    ],
)
def test_a_korean_site_is_korean_unless_its_setting_differs(chosen: dict[str, Any], language: str) -> None:
    assert Settings(**chosen).language == language


def test_a_field_error_says_in_plain_words_what_to_do(client: httpx.Client) -> None:
    form = FORM | {"email": "nobody", "name": "", "consent": False, "subject": 7, "age": 3}
    said = {}
    for language in ("ko", "en"):
        answer = client.post("/v1/inquiries", json=form, headers={"Accept-Language": language})
        errors = problem(answer, 422, "validation_failed")["errors"]
        said[language] = {(e["field"], e["rule"]): e["message"] for e in errors}
    assert said["ko"] == {
        ("body.name", "string_too_short"): "내용을 입력하세요.",
        ("body.email", "string_pattern_mismatch"): "이메일 주소 형식이 아닙니다.",
        ("body.subject", "string_type"): "텍스트여야 합니다.",
        ("body.consent", "literal_error"): "동의가 필요합니다.",
        ("body.age", "extra_forbidden"): "알 수 없는 항목입니다. 빼고 보내세요.",
    }
    assert said["en"] == {
        ("body.name", "string_too_short"): "Fill in this field.",
        ("body.email", "string_pattern_mismatch"): "This is not an email address.",
        ("body.subject", "string_type"): "This must be text.",
        ("body.consent", "literal_error"): "You must agree to this.",
        ("body.age", "extra_forbidden"): "This field is unknown. Remove it.",
    }


def test_the_detail_of_an_error_is_translated_with_what_it_names(client: httpx.Client) -> None:
    post = ok(act(client, published(client), "archive"))
    headers = EDITOR | {"If-Match": f'"{post["version"]}"'}
    path, body = f"/v1/editor/posts/{post['id']}/schedule", {"publishAt": "2100-01-01T00:00:00Z"}
    for language, detail in (
        ("ko", "게시물이 보관됨 상태입니다. 먼저 게시를 취소하세요."),
        ("en", "The post is archived. Unpublish it first."),
    ):
        answer = client.post(path, json=body, headers=headers | {"Accept-Language": language})
        assert problem(answer, 409, "invalid_state")["detail"] == detail


def test_numbers_have_their_plural() -> None:
    most = rules.MESSAGES["string_too_long"]
    assert Text(most, {"max_length": 1}).in_language("en") == "Enter at most 1 character."
    assert Text(most, {"max_length": 2}).in_language("en") == "Enter at most 2 characters."
    assert {Text(most, {"max_length": n}).in_language("ko") for n in (1, 2)} == {
        "1자까지 입력할 수 있습니다.",
        "2자까지 입력할 수 있습니다.",
    }


# -- what isn't cached by mistake ---------------------------------------------------------------------


def ok_answer(
    client: httpx.Client, post: dict[str, Any], headers: dict[str, str] | None = None
) -> httpx.Response:
    answer = client.get(f"/v1/posts/{post['id']}", headers=headers)
    ok(answer)
    return answer


def test_a_cached_answer_has_no_language_and_an_error_is_never_cached(client: httpx.Client) -> None:
    post = published(client)
    # For a moment after a change nothing is stored.
    while "Age" not in ok_answer(client, post).headers:
        time.sleep(0.05)
    found: list[httpx.Response] = []
    for language in ("ko", "en", "fr", ""):
        headers = {"Accept-Language": language}
        missing = client.get(f"/v1/posts/no-such-{post['id']}", headers=headers)
        problem(missing, 404, "not_found")
        assert missing.headers["Content-Language"] == ("ko" if language == "ko" else "en")
        answer = ok_answer(client, post, headers)
        found.append(answer)
        again = client.get(
            f"/v1/posts/{post['id']}", headers=headers | {"If-None-Match": answer.headers["ETag"]}
        )
        assert again.status_code == 304
        assert "Content-Language" not in again.headers
    assert len({(a.content, a.headers["ETag"], a.headers["Vary"]) for a in found}) == 1
    assert "Content-Language" not in found[0].headers
    # One entry serves every language.
    assert all("Age" in answer.headers for answer in found)


# -- denials ------------------------------------------------------------------------------------------


def test_a_denial_says_which_role_is_needed(client: httpx.Client) -> None:
    for role, path, ko, en in (
        ("viewer", "/v1/editor/categories", "편집자 권한이 필요합니다.", "This needs the role editor."),
        ("editor", "/v1/editor/inquiries", "관리자 권한이 필요합니다.", "This needs the role admin."),
    ):
        for language, detail in (("ko", ko), ("en", en)):
            headers = EDITOR | {"X-Test-Role": role} | {"Accept-Language": language}
            method = "POST" if "categories" in path else "GET"
            told = problem(client.request(method, path, headers=headers), 403, "forbidden")
            assert (told["detail"], told["reasons"]) == (detail, ["not_permitted"])


# -- every text there is --------------------------------------------------------------------------------


def problems() -> Iterator[type[Problem]]:
    """Yield every kind of problem of the application."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.startswith(("app.functions", "app.uploads.pictures.rendering")):
            importlib.import_module(module.name)
    waiting: list[type[Problem]] = [Problem]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("app."):
            yield kind


def in_both_languages(message: Message) -> bool:
    values = {message.by: 2} if isinstance(message, Plural) else {}
    names = re.findall(r"{(\w+)}", message.other if isinstance(message, Plural) else message)
    text = Text(message, dict.fromkeys(names, "7") | values)
    return (
        text.in_language("en") != text.in_language("ko") and HANGUL.search(text.in_language("ko")) is not None
    )


def test_every_problem_is_written_in_both_languages() -> None:
    kinds = list(problems())
    assert {kind.code for kind in kinds} > {
        "unauthenticated",
        "slug_taken",
        "upload_rejected",
        "csrf_rejected",
    }
    for kind in kinds:
        assert in_both_languages(kind.title), kind
        assert kind.advice is None or in_both_languages(kind.advice), kind


# Rules that each kind of node of Pydantic's core schemas may find broken, by the constraint where there is one.
BROKEN: dict[str, dict[str, set[str]]] = {
    "any": {"": set()},
    "bool": {"": {"bool_type", "bool_parsing"}},
    "datetime": {
        "": {"datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"},
        "tz_constraint": {"timezone_aware"},
    },
    "default": {"": set()},
    "dict": {"": {"dict_type"}},
    "function-after": {"": set()},
    "function-before": {"": set()},
    "function-wrap": {"": set()},
    "int": {
        "": {"int_type", "int_parsing", "int_parsing_size", "int_from_float", "finite_number"},
        "ge": {"greater_than_equal"},
        "le": {"less_than_equal"},
    },
    "list": {"": {"list_type"}, "min_length": {"too_short"}, "max_length": {"too_long"}},
    "literal": {"": {"literal_error"}},
    "model": {"": {"model_type", "model_attributes_type"}},
    "model-field": {"": set()},
    "model-fields": {"": {"missing"}, "extra_behavior": {"extra_forbidden"}},
    "nullable": {"": set()},
    "str": {
        "": {"string_type", "string_unicode"},
        "min_length": {"string_too_short"},
        "max_length": {"string_too_long"},
        "pattern": {"string_pattern_mismatch"},
    },
    "uuid": {"": {"uuid_type", "uuid_parsing"}},
}
STRUCTURE = {"serialization", "metadata", "ref", "definitions", "function", "default", "expected"}


def nodes(schema: Any, definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node of a core schema."""
    if isinstance(schema, list):
        for item in schema:
            yield from nodes(item, definitions)
    elif isinstance(schema, dict):
        if isinstance(schema.get("type"), str):
            if schema["type"] == "definitions":
                definitions = definitions | {d["ref"]: d for d in schema["definitions"]}
            elif schema["type"] == "definition-ref":
                schema = definitions[schema["schema_ref"]]
            if schema["type"] != "definitions":
                yield schema
        for name, value in schema.items():
            if name not in STRUCTURE:
                yield from nodes(value, definitions)


def schemas(dependant: Dependant) -> Iterator[Any]:
    """Yield the core schema of each parameter and body of a route."""
    for fields in (
        dependant.path_params,
        dependant.query_params,
        dependant.header_params,
        dependant.cookie_params,
        dependant.body_params,
    ):
        for field in fields:
            yield field._type_adapter.core_schema
    for needed in dependant.dependencies:
        yield from schemas(needed)


def test_every_rule_that_a_request_may_break_has_words_in_both_languages() -> None:
    broken, patterns = {"missing", "extra_forbidden", "repeated"}, set[str]()
    for route in (route for router in ROUTERS for route in router.routes):
        assert isinstance(route, APIRoute)
        for schema in schemas(route.dependant):
            for node in nodes(schema, {}):
                # A new kind of node is a new line above, and its rules are words in `rules.MESSAGES`.
                of_kind = BROKEN[node["type"]]
                broken |= of_kind[""].union(
                    *(of_kind[name] for name in of_kind if node.get(name) is not None)
                )
                if node["type"] == "str" and node.get("pattern") is not None:
                    patterns.add(node["pattern"])
    assert broken - {"string_pattern_mismatch"} <= rules.MESSAGES.keys()
    assert patterns
    assert patterns <= PATTERNS.keys()
    assert all(map(in_both_languages, [*rules.MESSAGES.values(), *PATTERNS.values()]))
    own = [rules._EMPTY, rules._AGREEMENT, rules._INVALID]
    assert all(map(in_both_languages, own))


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    """Yield every call in the application's modules with the name of what it calls."""
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                    yield path, node, name


def _is_text(argument: ast.expr) -> bool:
    return isinstance(argument, ast.JoinedStr) or (
        isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    )


def test_no_text_for_people_is_left_out_of_the_catalogue() -> None:
    """Every message is marked where it is written; `make messages` finds those, and fails without a translation."""
    position = {kind.__name__: 0 for kind in problems()} | {"on": 2, "refused": 1, "pattern": 1}
    literals = [
        (path.relative_to(SOURCES).as_posix(), call.lineno, name)
        for path, call, name in calls()
        if name in position and len(call.args) > position[name]
        if _is_text(call.args[position[name]])
    ]
    # Of a file: its reader is an operator, whose command speaks English of content. Lines about members likewise.
    assert {(path, name) for path, _, name in literals} == {
        ("content/schemas.py", "refused"),
        ("members/service.py", "MemberAmbiguous"),
    }


def test_no_particle_stands_after_a_value() -> None:
    """Which form is right depends on the value's last letter: sentences are written so that none is needed."""
    catalogue = (SOURCES / "locale" / "ko" / "LC_MESSAGES" / "familycorp.po").read_text()
    assert re.findall(r"\}\"?(?:은|는|이|가|을|를|과|와|으로|로)(?![가-힣])", catalogue) == []
