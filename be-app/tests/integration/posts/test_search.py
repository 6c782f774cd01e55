"""Full-text search: the same answers on every database, and published text alone."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.posts.text.searching import SNIPPET, searchable, words
from support.contract import breaks, edit, korean, ok, own_category, pages, problem, unique
from support.stack import EDITOR, act, draft, published


def found(client: httpx.Client, q: str, **query: Any) -> list[str]:
    return [post["id"] for post in pages(client, "/v1/search", q=q, **query)]


def test_a_korean_word_is_found_inside_longer_words(each_client: httpx.Client) -> None:
    post = published(each_client, body="올해 매출실적이 크게 늘었습니다.")
    for word in ("실적", "매출실적이", "늘었", "매출 실적"):
        answer = each_client.get("/v1/search", params={"q": word})
        assert answer.status_code == 200, answer.text
        assert post["id"] in [item["id"] for item in answer.json()["items"]], word


def test_every_word_must_occur_in_any_place(each_client: httpx.Client) -> None:
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
            titles = [searchable(p["title"], [], "") for p in posts if p["id"] in ids]
            assert len(titles) == len(ids), (decoy, q)
            assert all(word in title for title in titles for word in words(q)), q
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
    cards = [{name: value for name, value in hit.items() if name != "snippet"} for hit in searched]
    assert cards == ok(each_client.get("/v1/posts", params={"category": category}))["items"]
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
    for q in ("\u00ad", "\u200b", "\ufe0f", "\u3164 \u2800", "\u1160\u115f"):
        breaks(client.get("/v1/search", params={"q": q}), ("query.q", "string_too_short"))


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
    posts = [published(each_client, category=category, title=text, body="-") for text in TEXTS]
    # A body of a single hyphen is an empty list item.
    return each_client, category, {p["id"]: searchable(p["title"], [], "") for p in posts}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, min_size=1, max_size=3).map(" ".join).filter(str.strip))
@example('"가')
@example("a_b")
@example("ab*")
def test_every_database_finds_exactly_the_posts_with_every_word(
    library: tuple[httpx.Client, str, dict[str, str]], q: str
) -> None:
    client, category, texts = library
    wanted = words(q)
    expected = {i for i, text in texts.items() if all(word in text for word in wanted)}
    assert set(found(client, q, category=category, limit=100)) == expected


# -- what people can't see ----------------------------------------------------------------------------------

# A text, and queries that all find it.
SAME = (
    ("올해 창립 40주년을 맞았다", ("창립40주년", "창립 40주년", "창립40주년을", "창립40주년은")),
    ("창립40주년입니다", ("창립 40주년", "창립40주년")),
    ("IR 자료실 안내", ("IR자료실", "ir 자료실을", "자료실안내")),
    ("대한 민국 서울 시", ("대한민국", "서울시", "민국서울")),
    ("매출\u200b실적 보\u00ad고\u2060서\ufeff", ("매출실적", "보고서", "매출\u00ad실적 보\u200b고서")),
    ("\u2764\ufe0f 사랑 \U0001f468\u200d\U0001f469", ("\u2764", "\u2764\ufe0e", "\U0001f468\U0001f469")),
    ("葛\U000e0100城 자\u034f료 표\u200d본", ("葛城", "자료", "표본")),
    ("채움\u3164문자 점\u2800자 반각\uffa0채움", ("채움문자", "채움 문자", "점자", "반각채움")),
    ("co\u00adoperate zero\u200bwidth \u2060joined\u2060", ("cooperate", "zerowidth", "joined")),
    ("그는 “좋다”고 ‘정말’ it’s", ('"좋다"고', "“좋다”", "„좋다‟고", "'정말'", "it's", "it’s")),
    ("그는 \"싫다\"고 '참말' don't", ("“싫다”고", "‘참말’", "don’t")),
    ("10–12월 A—B 콘텐츠ㆍ미디어 3〜5월", ("10-12월", "a-b", "콘텐츠·미디어", "3~5월")),
    (
        "실적은 좋았다. 회사로 갔다",
        ("실적", "실적이", "실적을", "실적의", "회사에서", "회사는", "회사에서는"),
    ),
    ("서울로 간다 Family를 본다", ("서울은", "서울로", "서울에서", "Family는", "family")),
)


def test_what_people_cannot_see_is_no_difference(each_client: httpx.Client) -> None:
    for text, queries in SAME:
        category = own_category(each_client)
        by_title = published(each_client, category=category, title=text, body="-")
        by_body = published(each_client, category=category, title="x", body=text)
        for q in queries:
            assert found(each_client, q, category=category) == [by_title["id"], by_body["id"]], (text, q)


def test_spaces_and_particles_make_no_word_of_two(each_client: httpx.Client) -> None:
    category = own_category(each_client)
    published(
        each_client,
        category=category,
        title="now here",
        body="회의 결과\n\n보고 사항\n\n- 하나\n- 둘\n\n나는 간다",
        tags=["끝"],
    )
    # English words, words of two blocks, stems of one syllable, particles that can't follow.
    for q in ("nowhere", "결과보고", "사항하나", "하나둘", "here끝", "끝회의", "회가", "회의을", "나를"):
        assert found(each_client, q, category=category) == [], q
    assert len(found(each_client, "회의결과", category=category)) == 1


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_matches_in_titles_are_first_then_the_newest(each_client: httpx.Client, limit: int) -> None:
    category, word, other = own_category(each_client), korean(), korean()
    both = published(each_client, category=category, title=f"{word} 그리고 {other}", body="-")
    title = published(each_client, category=category, title=f"새 {word}", body=f"{other}")
    tag = published(each_client, category=category, title="x", tags=[word], body=f"{other} {word}")
    newer = published(each_client, category=category, title=f"{word}", body=f"{other}")
    body = published(each_client, category=category, title="x", body=f"{word}\n\n{other}")
    expected = [post["id"] for post in (both, newer, title, body, tag)]
    assert found(each_client, f"{word} {other}", category=category, limit=limit) == expected
    assert found(each_client, word, category=category, limit=limit) == [
        post["id"] for post in (newer, title, both, body, tag)
    ]


def test_a_cursor_of_another_list_is_refused(client: httpx.Client) -> None:
    category = own_category(client)
    word = korean()
    for _ in range(2):
        published(client, category=category, body=word)
    listed = ok(client.get("/v1/posts", params={"category": category, "limit": 1}))["nextCursor"]
    searched = ok(client.get("/v1/search", params={"q": word, "limit": 1}))["nextCursor"]
    for path, cursor in (("/v1/search", listed), ("/v1/posts", searched)):
        breaks(
            client.get(path, params={"cursor": cursor} | ({"q": word} if "search" in path else {})),
            ("query.cursor", "cursor_invalid"),
        )


def snippet(client: httpx.Client, q: str, **query: Any) -> str:
    (hit,) = ok(client.get("/v1/search", params={"q": q, **query}))["items"]
    told: str = hit["snippet"]
    assert len(told) <= SNIPPET + 2
    assert not set("\n\r\t") & set(told)
    return told


def test_a_hit_is_shown_in_its_context(each_client: httpx.Client) -> None:
    category, filler = own_category(each_client), "앞선 문단이 길게 이어진다. " * 100
    body = (
        f"{filler}\n\n여기에 **창립 40주년**을 [기리는](https://x.example) `List<String>` & “굵은” 글이 있다.\n\n"
        f"| 칸 | 값 |\n|-|-|\n| ＦＵＬＬ | 표\u00ad준 |\n\n{filler}끝말\n"
    )
    published(each_client, category=category, title="제목말", tags=["꼬리표"], body=body)
    told = snippet(each_client, "창립40주년", category=category)
    assert "여기에 창립 40주년을 기리는 List<String> & “굵은” 글이 있다. 칸 값" in told
    assert told.startswith("…")
    assert told.endswith("…")
    assert "창립 40주년을" in snippet(each_client, "창립40주년은", category=category)
    assert "“굵은”" in snippet(each_client, '"굵은"', category=category)
    assert "List<String>" in snippet(each_client, "list<string>", category=category)
    assert "ＦＵＬＬ" in snippet(each_client, "full", category=category)
    assert "표\u00ad준" in snippet(each_client, "표준", category=category)
    last = snippet(each_client, "끝말", category=category)
    assert last.startswith("…")
    assert last.endswith("끝말")
    # What only title or tags hold has the beginning beside it.
    for q in ("제목말", "꼬리표"):
        assert snippet(each_client, q, category=category).startswith("앞선 문단이")


def test_a_snippet_is_of_what_is_public(each_client: httpx.Client) -> None:
    category, word = own_category(each_client), korean()
    post = published(each_client, category=category, title=word, body="처음 글", excerpt="짧은 요약")
    assert snippet(each_client, word) == "짧은 요약 처음 글"
    edited = ok(edit(each_client, post, body="둘째 글", excerpt=""))
    assert snippet(each_client, word) == "짧은 요약 처음 글"
    ok(act(each_client, edited, "publish"))
    assert snippet(each_client, word) == "둘째 글"


BLANK = (
    "\u3164",
    "\u2800",
    "\u200b",
    "\u115f",
    "\u1160",
    "\uffa0",
    "\u200b\u200d\u2060\ufeff",
    " \u3164\u00a0\u2800 ",
    "\u00ad\ufe0f",
    "\u180e\u061c\u034f",
    "\U000e0020\U000e0100",
)


@pytest.mark.parametrize("blank", BLANK)
def test_what_looks_blank_is_blank_everywhere(client: httpx.Client, blank: str) -> None:
    breaks(draft(client, title=blank), ("body.title", "string_too_short"))
    breaks(draft(client, tags=["a", blank]), ("body.tags.1", "string_too_short"))
    post = ok(draft(client, body=blank, excerpt=blank), 201)
    assert (post["body"], post["excerpt"]) == ("", "")
    ok(edit(client, post, title=f"제{blank}목"))
    names = {"slug": unique("c"), "name": {"ko": blank, "en": blank}}
    breaks(
        client.post("/v1/editor/categories", json=names, headers=EDITOR),
        ("body.name.ko", "string_too_short"),
        ("body.name.en", "string_too_short"),
    )
    inquiry = {"name": blank, "email": "a@b.kr", "subject": blank, "message": blank, "consent": True}
    breaks(
        client.post("/v1/inquiries", json=inquiry),
        *((f"body.{name}", "string_too_short") for name in ("name", "subject", "message")),
    )
    upload = {"name": blank, "size": 1, "contentType": "image/png", "sha256": "0" * 64, "purpose": "image"}
    assert problem(client.post("/v1/uploads", json=upload, headers=EDITOR), 422, "validation_failed")
