"""The console's page, script and styles, as browsers get them.

The sources are ES modules, which browsers could load one by one; but each request would be an invocation of Lambda.
So they are joined to one script when the first browser requests it: imports are left out, and so is the word
`export`, because all modules then share one scope. Names at the top of the modules are therefore unique; the browser
refuses a script where two are equal.
"""

import gzip
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from starlette.responses import Response

from app.core.grammar import takes_gzip
from app.core.http.problems import NotFound
from app.core.settings import settings

_HERE: Final = Path(__file__).parent
_IMPORT: Final = re.compile(r'^import [^"]*"(\.[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async |class |const |function |let ))", re.MULTILINE)
_STYLES: Final = ("console.css", "preview.css")
_TYPES: Final = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


class _File(NamedTuple):
    """A file in the two codings in which it is sent."""

    plain: bytes
    compressed: bytes


def joined(entry: Path) -> str:
    """Return a module and all that it imports as one script, what is imported first."""
    seen: set[Path] = set()
    parts: list[str] = []

    def add(module: Path) -> None:
        if module in seen:
            return
        seen.add(module)
        source = module.read_text()
        for imported in _IMPORT.findall(source):
            add((module.parent / imported).resolve())
        parts.append(_EXPORT.sub("", _IMPORT.sub("", source)))

    add(entry)
    return "\n".join(parts)


@cache
def _files() -> dict[str, _File]:
    sources = {"console.js": joined(_HERE / "main.js").encode()}
    sources |= {name: (_HERE / name).read_bytes() for name in _STYLES}
    return {name: _File(data, gzip.compress(data, 9, mtime=0)) for name, data in sources.items()}


@cache
def _release() -> str:
    """Return the name of this version: a digest of all files."""
    return hashlib.sha256(b"\0".join(file.plain for file in _files().values())).hexdigest()[:16]


def page() -> Response:
    """Return the page that every address of the console has; its script decides what to show."""
    if settings().env == "local":  # Who changes the sources reloads the page.
        _files.cache_clear()
        _release.cache_clear()
    html = (_HERE / "index.html").read_text().replace("{release}", _release())
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": _policy(),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


def asset(name: str, release: str, accept_encoding: str) -> Response:
    """Return a file; raise `NotFound` for an unknown name.

    While two releases serve (a canary, say) a browser may request the files of the other one. It gets these, but must
    not keep them under that name.
    """
    file = _files().get(name)
    if file is None:
        raise NotFound
    kept = "public, max-age=31536000, immutable" if release == _release() else "no-store"
    headers = {"Cache-Control": kept, "Vary": "Accept-Encoding"}
    body = file.plain
    if takes_gzip(accept_encoding):
        headers["Content-Encoding"], body = "gzip", file.compressed
    return Response(body, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)


def _policy() -> str:
    """Return the content security policy: the API and the upload bucket, and no script but the console's own."""
    chosen = settings()
    emulator = chosen.s3_endpoint_url or chosen.aws_endpoint_url
    bucket, media = (
        emulator or f"https://{name}.s3.{chosen.aws_region}.amazonaws.com"
        for name in (chosen.uploads_bucket, chosen.media_bucket)
    )
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src 'self' blob: data: {bucket} {chosen.media_url or media}; connect-src 'self' {bucket}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types console"
    )
