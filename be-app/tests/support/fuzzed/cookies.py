"""A cookie is one value or none: a second one of its name, planted by a neighbour, leaves none (RFC 6265bis).

A refresh token is three parts or refused.
"""

import re

from starlette.requests import Request

from app.auth import cookies, sessions
from app.auth.errors import SessionExpired

WITHIN_S = 0.2
NAMES = (cookies.ACCESS, cookies.SESSION, cookies.REFRESH, cookies.LOGIN, cookies.PENDING)
WORDS = (
    *(name.encode() for name in NAMES),
    b"; ",
    b"=",
    b"\n",
    b'"',
    b"\\073",
    b"$Path",
    b"\x00",
    b"\t",
    b"\xa0",
    b"\x85",
)


def seeds() -> list[bytes]:
    return [
        b"__Host-access=e30.e30.AA; __Host-session=01900000; __Secure-refresh=a.b.c",
        b"__Host-login=a\n__Host-login=b",
        b' __Host-pending = "a b" ;;=; __host-pending=c',
    ]


def check(data: bytes) -> None:
    headers = [(b"cookie", line) for line in data.split(b"\n")]
    for name in NAMES:
        value = cookies.read(_request(headers), name)
        if value is None:
            continue
        assert value
        assert re.fullmatch(r"[!#-+\--:<-\[\]-~]+", value)  # cookie-octet, RFC 6265 §4.1.1
        assert value.encode("latin-1") in data
        for planted in (f"{name}=x", f"{name}={value}", f"a=b;{name}=;"):
            other = (b"cookie", planted.encode("latin-1"))
            for together in ([other, *headers], [*headers, other]):
                assert cookies.read(_request(together), name) is None
        try:
            parts = sessions._parts(value)
        except SessionExpired:
            continue
        assert ".".join(parts) == value


def _request(headers: list[tuple[bytes, bytes]]) -> Request:
    return Request({"type": "http", "headers": headers})
