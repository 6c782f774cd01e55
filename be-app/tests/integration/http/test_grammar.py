"""Protocol text is parsed by its RFCs' grammars: nothing that Unicode calls white space, a digit or a letter counts.

One half reads the source, so that no module starts to; the other sends requests.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

import app
from app.auth import cookies
from app.core import grammar
from support.contract import as_bytes, ok, problem
from support.stack import EDITOR, Stack, draft
from support.staff import ACCESS, CSRF, REFRESH, SESSION, Person

ROOT = Path(str(app.__file__)).parent
CASES = {"lower", "upper", "casefold", "title", "capitalize", "swapcase"}
KINDS = {
    f"is{kind}"
    for kind in ("digit", "decimal", "numeric", "alnum", "alpha", "space", "identifier", "lower", "upper")
}
STRIPS = {"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines"}
HUMAN = {
    "core/grammar.py": "is where it is done right",
    "core/http/schema.py": "text that people write",
    "posts/text/markup.py": "text that people write",
    "posts/files/pictures.py": "text that people write",
    "posts/repository.py": "words to search for, and messages of database drivers",
    "posts/text/searching.py": "text that people write, and words to search for",
    "inquiries/repository.py": "addresses, in whatever case people typed them",
    "inquiries/spam.py": "text that people write",
    "members/addresses.py": "addresses as people may take them for one another",
    "members/service.py": "what an operator types",
    "auth/factors/recovery.py": "recovery codes, hashed afterwards",
    "auth/oidc.py": "a message for the log",
    "auth/login.py": "after isascii()",
    "authz/wasm.py": "names of this machine, and a message for the log",
    "openapi.py": "names of methods that routes declare",
    "core/settings.py": "names of this class's own fields",
}
"""Modules, or what in them, that no protocol's text reaches in this way."""


def unicode_aware(source: str) -> Iterator[tuple[int, str]]:
    """Yield each call that follows Unicode: its line, and what it calls."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "request.cookies":
            yield node.lineno, "request.cookies"
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, called = node.func.attr, ast.unparse(node.func)
        if called.startswith("grammar."):
            continue
        if name in CASES | KINDS or (name in STRIPS and not node.args):
            yield node.lineno, f"{called}()"
        if called.startswith("re.") and node.args:
            pattern, flags = ast.unparse(node.args[0]), " ".join(map(ast.unparse, node.args[1:]))
            unicode = any(kind in pattern for kind in (r"\s", r"\d", r"\w", r"\b", r"\S", r"\D", r"\W"))
            if (
                (unicode or "IGNORECASE" in flags)
                and "ASCII" not in flags
                and not pattern.startswith(("b'", "rb'"))
            ):
                yield node.lineno, f"{called}({pattern})"


@pytest.mark.security(43)
def test_no_module_that_reads_protocol_text_follows_unicode() -> None:
    found = {}
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("uploads/"):
            continue  # It reads files and their names, whose formats have rules of their own.
        if calls := list(unicode_aware(path.read_text())):
            found[name] = calls
    assert {n: c for n, c in found.items() if n not in HUMAN} == {}
    assert HUMAN.keys() <= found.keys(), "these need no exception any more"


@pytest.mark.parametrize(
    "source",
    [
        "x.strip()",
        "x.lower()",
        "x.split()",
        "x.isdigit()",
        r"re.compile(r'\d')",
        "re.compile('a', re.IGNORECASE)",
    ],
)
def test_what_follows_unicode_is_found(source: str) -> None:
    assert list(unicode_aware(source))
    assert not list(
        unicode_aware("x.strip(' '); x.split(','); re.compile(r'[0-9]'); re.compile(r'\\s', re.ASCII)")
    )


NEARLY = [
    *(
        b"\xa0%s",
        b"%s\xa0",
        b"\x85%s",
        b"%s\x85",
        b"\x0b%s",
        b"\x0c%s",
        b"\x1c%s",
        b"\x1f%s",
        b"\t%s",
        b"%s\t",
    ),
    *(
        b"%s ",
        b'"%s"',
        b"\xc2\xa0%s",
        b"\xe3\x80\x80%s",
        b"\xe2\x80\x8b%s",
        b"\xef\xbb\xbf%s",
        b"$%s",
        b"%s[]",
    ),
]
"""Names that a neighbouring subdomain can set, and that a lax parser takes for the cookie's own."""


def asked(*fields: bytes) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", field) for field in fields]})


@pytest.mark.security(43)
@pytest.mark.parametrize(
    "name", [cookies.ACCESS, cookies.SESSION, cookies.REFRESH, cookies.LOGIN, cookies.PENDING]
)
def test_a_cookie_has_exactly_its_name(name: str) -> None:
    own = name.encode()
    for nearly in (*(pattern % own for pattern in NEARLY), own.lower(), own.upper(), b"x" + own, own + b"x"):
        assert cookies.read(asked(nearly + b"=planted"), name) is None, nearly
        for fields in (
            (nearly + b"=planted; " + own + b"=real",),
            (own + b"=real; " + nearly + b"=planted",),
            (nearly + b"=planted", own + b"=real"),
        ):
            assert cookies.read(asked(*fields), name) == "real", nearly
    for twice in ((own + b"=a; " + own + b"=b",), (own + b"=a", own + b"=b"), (own + b"=a;" + own + b"=a",)):
        assert cookies.read(asked(*twice), name) is None
    for value in (b"", b'"real"', b"re al", b"re\xa0al", b"re,al", b"real\\", b"\xa0real", b"real\x85"):
        assert cookies.read(asked(own + b"=" + value), name) is None, value
    # RFC 6265 §4.2.1 has a space after each semicolon; proxies that join fields may leave it out.
    assert cookies.read(asked(b"a=b;" + own + b"=a=b;c"), name) == "a=b"


@pytest.mark.security(43)
def test_a_neighbouring_subdomain_plants_no_session(somebody: Callable[..., Person]) -> None:
    attacker, victim = somebody("editors"), somebody("editors")
    attacker.log_in()
    victim.log_in()
    own, planted = victim.cookie(ACCESS) or "", attacker.cookie(ACCESS) or ""
    url = str(victim.client.base_url)

    def me(cookie: bytes) -> httpx.Response:
        return httpx.get(f"{url}/v1/auth/me", headers=[(b"Cookie", cookie)], trust_env=False)

    victims = ok(me(f"{ACCESS}={own}".encode()))["id"]
    for pattern in NEARLY:
        name = pattern % ACCESS.encode()
        if name.startswith((b"\t", b"\x0b", b"\x0c", b"\x1c", b"\x1f")):
            continue  # HTTP allows none of them here; the parser has its own test.
        problem(me(name + b"=" + planted.encode()), 401, "unauthenticated")
        both = name + f"={planted}; {ACCESS}={own}".encode()
        assert ok(me(both))["id"] == victims, name
    refresh = f"\xa0{REFRESH}={attacker.cookie(REFRESH)}; \x85{SESSION}={attacker.cookie(SESSION)}".encode(
        "latin-1"
    )
    answer = httpx.post(
        f"{url}/v1/auth/refresh", headers=as_bytes({**CSRF, "Cookie": refresh}), trust_env=False
    )
    problem(answer, 401, "session_expired")


@pytest.mark.security(43)
def test_fields_of_a_request_are_read_by_their_grammar(client: httpx.Client, stack: Stack) -> None:
    post = ok(draft(client), 201)
    path = f"/v1/editor/posts/{post['id']}"
    content = {name: post[name] for name in ("title", "body", "category")}
    for tag in (b'\xa0"1"', b'"1"\x85', '"１"'.encode(), b'"1_0"', b'" 1"', b'"+1"', b'W/"1"'):
        answer = client.put(path, json=content, headers=as_bytes({**EDITOR, "If-Match": tag}))
        problem(answer, 412, "precondition_failed")
    for kind in (
        b"application/json\xa0",
        b"\xa0application/json",
        b"application/\xa0json",
        "application/ĵson".encode(),
    ):
        answer = client.post("/v1/inquiries", content=b"{}", headers=[(b"Content-Type", kind)])
        problem(answer, 415, "unsupported_media_type")
    for kind in (b"application/json", b"Application/JSON ; charset=utf-8", b"application/problem+json"):
        answer = client.post("/v1/inquiries", content=b"{}", headers=[(b"Content-Type", kind)])
        problem(answer, 422, "validation_failed")
    for coding in (b"\xa0gzip", b"gzip\x85", b"gz\xa0ip", b"gzip;q=0.\xb2", b"gzip;q=0"):
        answer = client.get("/v1/posts", headers=[(b"Accept-Encoding", coding)])
        assert "Content-Encoding" not in answer.headers, coding
    entity = client.get("/v1/posts").headers["ETag"].encode()
    for tag in (b"\xa0" + entity, entity + b"\x85", b"\xa0*", b"*\x85", b"**"):
        assert client.get("/v1/posts", headers=[(b"If-None-Match", tag)]).status_code == 200, tag
    for tag in (entity, b'"a" ,\t' + entity, b"*", entity.removeprefix(b"W/")):
        assert client.get("/v1/posts", headers=[(b"If-None-Match", tag)]).status_code == 304, tag
    for origin in (
        b"https://www.familycorp.example\xa0",
        b"\x85https://www.familycorp.example",
        b"HTTPS://www.familycorp.example",
    ):
        answer = client.get("/v1/posts", headers=[(b"Origin", origin)])
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.security(43)
def test_numbers_of_a_protocol_are_ascii() -> None:
    assert grammar.number("0012") == 12
    for text in ("１２", "1_2", " 12", "12\xa0", "+12", "-1", "", "²", "1" * 5_000, "0x1", "१"):
        assert grammar.number(text) is None
    assert grammar.lower("ABC-\u212a\u0130Å") == "abc-\u212a\u0130Å"
