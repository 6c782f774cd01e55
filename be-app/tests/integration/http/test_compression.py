"""Public answers are compressed for clients that accept it; private ones never are."""

import gzip
import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from familycorp_ops.cost.documents import site
from support.contract import NOBODY, edit, ok, own_category, unique
from support.stack import EDITOR, Stack, act, published

ROOT = Path(__file__).parents[4]
SITE = "https://www.familycorp.example"
CARDS = 20


def ask(
    client: httpx.Client, path: str, accept: str | None = "gzip", method: str = "GET", **headers: str
) -> tuple[httpx.Response, bytes]:
    """Return an answer and what went over the wire; without `accept`, nothing is said of codings."""
    request = client.build_request(method, path, headers=headers)
    del request.headers["Accept-Encoding"]
    if accept is not None:
        request.headers["Accept-Encoding"] = accept
    answer = client.send(request, stream=True)
    try:
        sent = b"".join(answer.iter_raw())
    finally:
        answer.close()
    assert method == "HEAD" or int(answer.headers.get("Content-Length", 0)) == len(sent)
    return answer, sent


def prose(lang: str) -> str:
    """Return what people wrote in a language, without repetitions: a made-up text would be smaller than real ones."""
    if lang == "ko":
        files = [ROOT / "README.ko.md", *sorted((ROOT / "ops/familycorp_ops/local/demo/ko").glob("*.md"))]
        other = r"[^가-힣0-9.,()%· ]+"
    else:
        files, other = sorted((ROOT / "docs/decisions").glob("*.md")), r"[^A-Za-z0-9.,()%' ]+"
    text = " ".join(file.read_text() for file in files)
    return re.sub(r"\s+", " ", re.sub(other, " ", text)).strip()


@pytest.fixture(scope="module")
def pages(own_stack: Stack) -> dict[str, str]:
    """Paths of what visitors read in each language: a page of 20 cards, a post of 8 KB of Markdown, a feed."""
    found = {}
    with own_stack.client() as client:
        for lang in ("ko", "en"):
            text, category = prose(lang), own_category(client)
            body = text.encode()[: 8 * 1024].decode(errors="ignore")
            assert len(text) >= CARDS * 150
            for start in range(0, CARDS * 150, 150):
                words = {"title": text[start : start + 30], "excerpt": text[start + 30 : start + 150]}
                post = published(client, lang=lang, category=category, body=body, **words)
            found[f"{lang} list"] = f"/v1/posts?lang={lang}&category={category}&limit={CARDS}"
            found[f"{lang} post"] = f"/v1/posts/{post['slug']}"
            found[f"{lang} feed"] = f"/v1/feed.rss?lang={lang}&category={category}"
    return found


@pytest.fixture
def client(own_stack: Stack, pages: dict[str, str]) -> Iterator[httpx.Client]:
    assert pages
    with own_stack.client() as client:
        yield client


@pytest.mark.parametrize("lang", ["ko", "en"])
@pytest.mark.parametrize("kind", ["list", "post", "feed"])
def test_what_visitors_read_is_smaller_than_half(
    client: httpx.Client, pages: dict[str, str], lang: str, kind: str
) -> None:
    path = pages[f"{lang} {kind}"]
    answer, packed = ask(client, path)
    plainly, plain = ask(client, path, "identity")
    assert (answer.headers["Content-Encoding"], "Content-Encoding" in plainly.headers) == ("gzip", False)
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 2, (len(packed), len(plain))
    assert answer.headers["Content-Type"] == plainly.headers["Content-Type"]


def test_it_is_the_same_rendered_from_valkey_and_from_the_process(
    client: httpx.Client, pages: dict[str, str]
) -> None:
    ok(act(client, published(client), "archive"))  # Forgets what is kept.
    path, seen = pages["ko list"], {}
    wanted = {(coding, steps) for coding in ("gzip", "identity") for steps in ("Valkey answer", "answer")}
    deadline = time.monotonic() + 120
    for coding in itertools.cycle(("gzip", "identity")):
        answer, sent = ask(client, path, coding)
        body = gzip.decompress(sent) if coding == "gzip" else sent
        seen[coding, answer.headers["X-Test-Steps"]] = (body, answer.headers["ETag"])
        if wanted <= seen.keys():
            break
        assert time.monotonic() < deadline, seen.keys()
        time.sleep(0.4)  # A copy in the process serves two more, so that each coding comes to be Valkey's.
    assert any("DynamoDB" in steps for _, steps in seen)
    assert len(set(seen.values())) == 1


PACKED: tuple[str, ...] = (
    "gzip",
    "GZIP",
    "gzip, deflate, br",
    "br,gzip;q=0.1",
    "gzip;q=1.000",
    "deflate , gzip ; q=1",
    "*",
    "*;q=0.5",
)
PACKED += ("identity;q=0.5, gzip", "identity;q=0,*")
PLAIN = (
    None,
    "",
    "identity",
    "br",
    "gzip;q=0",
    "gzip;q=0.000, *",
    "*;q=0",
    "*;q=0,br",
    "identity, gzip;q=0.5",
)
BROKEN = ("gzip;q=x", "gzip;q=2", "gzipped", "x gzip", ";,=;q", ",")


@pytest.mark.parametrize("accept", [*PACKED, *PLAIN, *BROKEN], ids=str)
def test_the_reader_chooses(client: httpx.Client, pages: dict[str, str], accept: str | None) -> None:
    packed = accept in PACKED
    for method in ("GET", "HEAD"):
        answer, sent = ask(client, pages["en list"], accept, method)
        assert answer.status_code == 200
        assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
        assert (sent[:2] == b"\x1f\x8b") is (packed and method == "GET")


def test_head_has_the_headers_of_get(client: httpx.Client, pages: dict[str, str]) -> None:
    for accept in ("gzip", "identity"):
        got, sent = ask(client, pages["ko post"], accept)
        head, nothing = ask(client, pages["ko post"], accept, "HEAD")
        assert (int(head.headers["Content-Length"]), nothing) == (len(sent), b"")
        for name in ("ETag", "Vary", "Content-Type", "Content-Encoding", "Cache-Control"):
            assert head.headers.get(name) == got.headers.get(name)


def test_one_tag_stands_for_both_codings(client: httpx.Client) -> None:
    """RFC 9110 §8.8.1: a weak one, since a strong one would say that both have the same bytes."""
    post = published(client)
    path = f"/v1/posts/{post['id']}"
    tags = {ask(client, path, accept)[0].headers["ETag"] for accept in ("gzip", "identity", None)}
    (tag,) = tags
    assert tag.startswith('W/"')
    for accept in ("gzip", "identity"):
        answer, sent = ask(client, path, accept, **{"If-None-Match": tag})
        assert (answer.status_code, sent, answer.headers["ETag"]) == (304, b"", tag)
        assert answer.headers["Vary"] == "Origin, Accept-Encoding"
        assert "Content-Encoding" not in answer.headers
    ok(act(client, ok(edit(client, post, title=unique())), "publish"))
    for accept in ("gzip", "identity"):
        assert ask(client, path, accept, **{"If-None-Match": tag})[0].status_code == 200


def test_vary_names_each_thing_once(client: httpx.Client, pages: dict[str, str]) -> None:
    for origin in (SITE, "https://evil.example"):
        answer, _ = ask(client, pages["ko list"], Origin=origin)
        assert answer.headers.get_list("Vary") == ["Origin, Accept-Encoding"]
        assert ask(client, "/health", Origin=origin)[0].headers.get_list("Vary") == ["Origin"]


def test_nothing_else_is_compressed(client: httpx.Client, pages: dict[str, str]) -> None:
    """A private answer may have a secret beside a stranger's words, and its length would leak it (BREACH)."""
    slug = pages["ko post"].rpartition("/")[2]
    mine = [("/v1/editor/posts", 200), ("/v1/editor/categories", 200), (f"/v1/editor/posts/{NOBODY}", 404)]
    answers = [(ask(client, path, **EDITOR), status) for path, status in mine]
    others = [
        ("/openapi.json", 200),
        ("/health", 200),
        (f"/v1/posts/{slug}x", 404),
        ("/v1/posts?limit=0", 422),
    ]
    answers += [(ask(client, path), status) for path, status in others]
    for (answer, sent), status in answers:
        assert answer.status_code == status, answer.url
        assert "Content-Encoding" not in answer.headers, answer.url
        assert sent[:2] != b"\x1f\x8b", answer.url


def test_releases_that_keep_answers_in_another_form_read_none_of_each_other_s(
    own_stack: Stack, client: httpx.Client, pages: dict[str, str]
) -> None:
    path = pages["en feed"]
    name, _, query = path.partition("?")
    older = f"{name}?{'&'.join(sorted(query.split('&')))}".encode()
    with redis.Redis.from_url(own_stack.environment["FAMILYCORP_CACHE_URL"]) as valkey:
        valkey.hset("public", older, b'"tag"\ntext/plain\n/v1/feed.rss\nan older release wrote this')
        deadline = time.monotonic() + 120
        while (answer := ask(client, path)[0]).headers["X-Test-Steps"] != "Valkey answer":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert answer.headers["Content-Type"].startswith("application/rss+xml")
        kept = set(valkey.hkeys("public")) - {older, b"epoch", b"invalidated"}
        assert kept
        assert all(
            name.startswith(b"gzip3 ") for name in kept
        )  # Older ones ask for names that begin with a slash.
        act(client, published(client), "archive")
        left = set(valkey.hkeys("public"))
        assert left == {b"epoch", b"invalidated"}, "a withdrawal removes what every release keeps"


def test_what_the_bill_takes_for_an_answer_s_size(client: httpx.Client, pages: dict[str, str]) -> None:
    """Of ten requests three are lists, three posts, one a feed; two have it already, and one counts a view."""

    def size(path: str, **headers: str) -> int:
        answer, sent = ask(client, path, **headers)
        told = [f"{n}: {v}\r\n" for n, v in answer.headers.items() if not n.startswith(("x-test", "x-count"))]
        return len(sent) + sum(map(len, told)) + len("HTTP/1.1 200 OK\r\n\r\n")

    found = 0.0
    for lang in ("ko", "en"):
        large = {kind: size(pages[f"{lang} {kind}"]) for kind in ("list", "post", "feed")}
        small = size(pages[f"{lang} list"], **{"If-None-Match": "*"})
        found += (3 * large["list"] + 3 * large["post"] + large["feed"] + 3 * small) / 10 / 1024 / 2
    assert site().response_kb == pytest.approx(found, abs=0.1)
