"""Full-text search: the same answers on every database, and published text alone."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.posts.markup import fold, to_html, to_text
from contract import breaks, edit, korean, ok, own_category, pages, unique
from stack import act, draft, published


def found(client: httpx.Client, q: str, **query: Any) -> list[str]:
    return [post["id"] for post in pages(client, "/v1/search", q=q, **query)]


def test_a_korean_word_is_found_inside_longer_words(each_client: httpx.Client) -> None:
    post = published(each_client, body="올해 매출실적이 크게 늘었습니다.")
    for word in ("실적", "매출실적이", "늘었", "매출 실적"):
        answer = each_client.get("/v1/search", params={"q": word})
        assert answer.status_code == 200, answer.text
        assert post["id"] in [item["id"] for item in answer.json()["items"]], word


def test_every_word_must_occur_in_whatever_place(each_client: httpx.Client) -> None:
    title, body, tag, excerpt = korean(), korean(), korean(), korean()
    post = published(
        each_client, title=f"{title}은", body=f"**{body}**에", tags=[tag], excerpt=f"{excerpt}의"
    )
    other = published(each_client, title=title)
    assert found(each_client, title) == [other["id"], post["id"]]
    assert found(each_client, f"{tag} {body} {title} {excerpt}") == [post["id"]]
    assert found(each_client, f" {body}\u3000 {title} ") == [post["id"]]
    assert found(each_client, f"{title} {korean()}") == []


def test_case_and_width_are_no_difference(each_client: httpx.Client) -> None:
    word = unique("w")
    post = published(each_client, lang="en", body=f"Straße CAFÉ ＦＵＬＬ ﬁne {word.upper()}")
    for q in (
        word,
        word.upper(),
        "STRASSE",
        "strasse",
        "café",
        "Café",
        "cafe\u0301",
        "full",
        "ｆｕｌｌ",
        "FINE",
    ):
        assert post["id"] in found(each_client, q, lang="en"), q
    assert post["id"] not in found(each_client, "cafe", lang="en")


def test_short_words_are_found(each_client: httpx.Client) -> None:
    category = own_category(each_client)
    words = ("값", "흙값", "q1", "Z", "の", "😀")  # None can stand in the hexadecimal digits of a title.
    posts = [published(each_client, category=category, body=f"여기{word}있다") for word in words]
    for word, post in zip(words, posts, strict=True):
        expected = {p["id"] for p, w in zip(posts, words, strict=True) if word in w}
        assert set(found(each_client, word, category=category)) == expected
        assert post["id"] in expected


SIGNS = (
    ("100% 성장", ("100%", "%")),
    ("snake_case", ("snake_case", "_", "ake_ca")),
    (r"C:\path", (r"c:\path", "\\", ":\\")),
    ("그는 “좋다”고 했다", ("“좋다”",)),
    ('그는 "좋다"고 했다', ('"좋다"', '"')),
    ("it's", ("it's", "'")),
    ("a/b/c", ("a/b", "/b/")),
    ("C++ 개발", ("c++", "+")),
    ("R&D <연구>", ("r&d", "<연구>", "<")),
    ("NEAR(좋다)", ("near(좋다)",)),
    ("좋다 AND 싫다 OR 말다 NOT", ("AND OR NOT",)),
    ("좋다*", ("좋다*", "*")),
    ("+좋다 -싫다 ~말다", ("+좋다 -싫다", "~말다")),
    ("@좋다 (그리고) :뜻", ("(그리고) :뜻", "@")),
    ("col:umn ^x", ("col:umn ^x", "^")),
    ("가;나--다", ("나--다", ";")),
    ("{중괄호} [대괄호]", ("{중괄호} [대괄호]", "{", "]")),
)
STATEMENTS = ("' OR '1'='1", '" OR 1=1 --', "%' --", "') UNION SELECT 1 --", "\\'", "NULL", "**", '""')


def test_operators_are_plain_text(each_client: httpx.Client) -> None:
    category = own_category(each_client)
    posts = [published(each_client, category=category, title=text, body="x") for text, _ in SIGNS]
    # What would match if the query's signs were operators, wildcards or dropped.
    decoy = (
        "100 snakeXcase akeca c path cpath 좋다 싫다 말다 그리고 its ab bc 연구 rd near 뜻 나다 중괄호 대괄호"
    )
    published(each_client, category=category, title=decoy, body="x")
    for (text, queries), post in zip(SIGNS, posts, strict=True):
        for q in queries:
            ids = found(each_client, q, category=category, limit=100)
            assert post["id"] in ids, (text, q)
            titles = {fold(p["title"]) for p in posts if p["id"] in ids}
            assert len(titles) == len(ids), (decoy, q)
            assert all(word in title for title in titles for word in fold(q).split()), q
            assert found(each_client, f"{q} {korean()}", category=category) == []
    for q in STATEMENTS:
        assert found(each_client, q, category=category) == [], q


def test_markup_is_not_text(each_client: httpx.Client) -> None:
    category, word = own_category(each_client), unique("w")
    text = f"## 제목\n\n**굵게** [링크](https://{word}.example/) `코드`"
    body = f"{text}\n\n- 하나\n- 둘\n\n|칸|칸둘|\n|-|-|\n|셋|넷|"
    post = published(each_client, category=category, body=body)
    for q in ("제목 굵게 링크 코드", "하나 둘", "셋 넷"):
        assert found(each_client, q, category=category) == [post["id"]], q
    # Tags, attributes, and words that only meet where two blocks do.
    for q in ("strong", "href", word, "noopener", "하나둘", "셋넷", "&lt;"):
        assert found(each_client, q, category=category) == [], q


def test_language_and_category_narrow_the_search(each_client: httpx.Client) -> None:
    first, second, word = own_category(each_client), own_category(each_client), korean()
    ko, other = (
        published(each_client, category=first, body=word),
        published(each_client, category=second, body=word),
    )
    en = published(each_client, category=first, lang="en", body=word)
    assert found(each_client, word) == found(each_client, word, lang="ko") == [other["id"], ko["id"]]
    assert found(each_client, word, lang="en") == [en["id"]]
    assert found(each_client, word, category=first) == [ko["id"]]
    assert found(each_client, word, category=second) == [other["id"]]
    assert found(each_client, word, category=unique("c")) == []


def test_what_is_found_is_shown_as_lists_show_it(each_client: httpx.Client) -> None:
    category, word = own_category(each_client), korean()
    post = published(each_client, category=category, body=f"{word}가 길게 이어진다. " * 50, tags=["a"])
    searched = ok(each_client.get("/v1/search", params={"q": word}))["items"]
    assert searched == ok(each_client.get("/v1/posts", params={"category": category}))["items"]
    # A draft that follows changes neither.
    ok(edit(each_client, post, title="새 제목", body="새 글", tags=[], excerpt="새"))
    assert ok(each_client.get("/v1/search", params={"q": word, "limit": 99}))["items"] == searched


def test_only_published_text_is_found(each_client: httpx.Client) -> None:
    old, new = korean(), korean()
    post = draft(each_client, body=old).json()
    assert found(each_client, old) == []
    post = ok(act(each_client, post, "publish"))
    assert found(each_client, old) == [post["id"]]
    edited = ok(edit(each_client, post, title=new, body=new, tags=[new], excerpt=new))
    assert found(each_client, old) == [post["id"]]
    assert found(each_client, new) == []
    post = ok(act(each_client, edited, "publish"))
    assert (found(each_client, old), found(each_client, new)) == ([], [post["id"]])
    post = ok(act(each_client, post, "archive"))
    assert found(each_client, new) == []
    post = ok(act(each_client, ok(act(each_client, post, "unpublish")), "publish"))
    assert found(each_client, new) == [post["id"]]


def test_a_query_keeps_to_its_rules(client: httpx.Client) -> None:
    for q, rule in (("", "string_too_short"), ("  ", "string_too_short"), ("가" * 101, "string_too_long")):
        breaks(client.get("/v1/search", params={"q": q}), ("query.q", rule))
    for q in ("a\x00b", "a\nb", "\u202e", "\x7f"):
        breaks(client.get("/v1/search", params={"q": q}), ("query.q", "forbidden_character"))
    breaks(client.get("/v1/search"), ("query.q", "missing"))
    # What folds to nothing finds nothing, rather than everything.
    assert found(client, "\u00ad") == found(client, "\u200b") == found(client, "\ufe0f") == []


# Letters that differ by case, width, composition or meaning to a query language; texts and queries meet.
ALPHABET = "가각값ㄱaAbＢ1é_%\"'*+-()<>@~\\/:.&|^ #\u3000"
WORDS = st.text(st.sampled_from(ALPHABET), min_size=1, max_size=6)
TEXTS = (
    *(
        "가각값가 a_b%1",
        'aAb＂Bé" -1',
        "값+가(각) ~a*",
        "a\\b/c:1 'é' ㄱ가",
        "가가가가각각값",
        "ab ab1 1ab_ab",
        "#가 <b>|@",
        "...",
    ),
    *(
        "a*b*a_b_",
        "가.각.값",
        "%_%_ 1%",
        "\\_ \\% \\\\",
        "A B Ｂ É",
        "가\u3000각",
        "(a) -b +가",
        "a-a-a 1-1",
        '"가 각"',
        "^a^ |1|",
    ),
)


@pytest.fixture
def library(each_client: httpx.Client) -> tuple[httpx.Client, str, dict[str, str]]:
    """A category of texts that are hard to search: their ids and the words that a search may find."""
    category = own_category(each_client)
    posts = [published(each_client, category=category, title=text, body="-", slug=None) for text in TEXTS]
    return each_client, category, {p["id"]: fold(f"{p['title']} {to_text(to_html('-'))}") for p in posts}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, min_size=1, max_size=3).map(" ".join).filter(str.strip))
@example('"가')
@example("a_b")
@example("ab*")
def test_every_database_finds_exactly_what_holds_every_word(
    library: tuple[httpx.Client, str, dict[str, str]], q: str
) -> None:
    client, category, texts = library
    words = fold(q).split()
    expected = {i for i, text in texts.items() if all(word in text for word in words)}
    assert set(found(client, q, category=category, limit=100)) == expected
