"""Posts through HTTP: writing, publishing, reading."""

import httpx
from stack import EDITOR, act, draft, published


def test_a_draft_becomes_public_when_published(each_client: httpx.Client) -> None:
    post = draft(each_client, title="실적 안내", body="## 요약\n\n매출이 **늘었습니다**.").json()
    assert each_client.get(f"/v1/posts/{post['id']}").status_code == 404
    answer = act(each_client, post, "publish")
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["X-Count-SQL"]) <= 6
    page = each_client.get(f"/v1/posts/{post['slug']}")
    assert page.status_code == 200
    assert page.json()["html"] == "<h2>요약</h2>\n<p>매출이 <strong>늘었습니다</strong>.</p>\n"


def test_a_korean_word_is_found_inside_longer_words(each_client: httpx.Client) -> None:
    post = published(each_client, body="올해 매출실적이 크게 늘었습니다.")
    for word in ("실적", "매출실적이", "늘었", "매출 실적"):
        found = each_client.get("/v1/search", params={"q": word})
        assert found.status_code == 200, found.text
        assert post["id"] in [item["id"] for item in found.json()["items"]], word
