"""Editors find every post that they may see, and no other."""

from typing import Any

import httpx
import pytest

from support.contract import breaks, edit, ok, own_category, unique
from support.editorial import EDITORIAL
from support.stack import EDITOR, act, draft

Post = dict[str, Any]


def caller(name: str, role: str = "editor") -> dict[str, str]:
    return EDITOR | {"X-Test-Subject": name, "X-Test-Role": role}


LEE, VIEWER = caller("lee"), caller("choi", "viewer")


class Archive:
    """Posts of a category of its own."""

    def __init__(self, client: httpx.Client) -> None:
        self.client, self.category = client, own_category(client)
        self.member = caller(unique("kim-"))
        self.names: dict[str, str] = {}
        self.report = self._written(
            "report", title="3분기 실적", body="Revenue 100% up", tags=["IR", "실 적"]
        )
        self.report = ok(act(client, self.report, "publish", **self.member))
        self.notice = self._written("notice", lang="en", title="NOTICE", body="해외 _사업_", tags=["IR2"])
        self.hidden = ok(draft(client, category=self.category, title="숨은 실적", tags=["IR"]), 201)
        self.names[self.hidden["id"]] = "hidden"

    def _written(self, name: str, **content: Any) -> Post:
        body = {"lang": "ko", "category": self.category, "slug": unique("s-"), **content}
        post: Post = ok(self.client.post(EDITORIAL, json=body, headers=self.member), 201)
        self.names[post["id"]] = name
        return post

    def found(self, who: dict[str, str] | None = None, **query: Any) -> list[str]:
        """Return the names of what a query finds, page by page, for an admin unless somebody else asks."""
        params = {"category": self.category, "limit": 1, **query}
        names = []
        while True:
            page = ok(self.client.get(EDITORIAL, params=params, headers=who or EDITOR))
            names += [self.names[post["id"]] for post in page["items"]]
            if page["nextCursor"] is None:
                return names
            params["cursor"] = page["nextCursor"]


@pytest.fixture
def archive(each_client: httpx.Client) -> Archive:
    return Archive(each_client)


def test_editors_search_what_they_may_see(archive: Archive) -> None:
    found = archive.found
    # Each in the newest revision's title, excerpt or Markdown, in any case; several words must all occur.
    assert found(q="실적") == ["hidden", "report"]
    assert found(q="실적은 revenue") == ["report"]
    assert found(q="notice 해외") == ["notice"]
    assert found(q="100%") == ["report"]
    assert found(q="_사업_") == ["notice"]
    assert found(q="0_%") == found(q="없는말") == []
    # A tag is whole.
    assert found(tag="IR") == ["hidden", "report"]
    assert found(tag="실 적") == ["report"]
    assert found(tag="실") == found(tag='IR"') == found(tag="I_") == []
    assert found(author=archive.member["X-Test-Subject"]) == ["notice", "report"]
    assert found(state="draft", lang="ko") == ["hidden"]
    # Another's draft is found by nobody but its author and admins, whatever is searched.
    for who, own in ((LEE, []), (VIEWER, []), (archive.member, ["notice"])):
        assert found(who) == [*own, "report"]
        assert found(who, q="숨은") == found(who, tag="IR", state="draft") == []
    # What a newer revision no longer says isn't found.
    ok(edit(archive.client, archive.hidden, title="다른 제목", tags=[]))
    assert found(q="실적") == found(tag="IR") == ["report"]


def test_editors_sort_and_limit_by_dates(archive: Archive) -> None:
    found = archive.found
    edited = ok(edit(archive.client, archive.notice, title="NOTICE 2"))
    assert found() == found(sort="-created") == ["hidden", "notice", "report"]
    assert found(sort="created") == ["report", "notice", "hidden"]
    assert found(sort="-updated") == ["notice", "hidden", "report"]
    assert found(sort="updated") == ["report", "hidden", "notice"]
    assert found(sort="published") == found(sort="-published") == ["report"]
    at = edited["updatedAt"]
    assert found(since=at) == ["notice"]
    assert found(until=at) == ["hidden", "report"]
    assert found(date="created", since=at) == []
    assert found(date="created", since=archive.notice["createdAt"], until=at) == ["hidden", "notice"]
    assert found(date="published", until=at) == ["report"]
    client = archive.client
    for query, rule in (({"sort": "title"}, "literal_error"), ({"since": "1"}, "datetime_type")):
        answer = client.get(EDITORIAL, params=query, headers=EDITOR)
        breaks(answer, (f"query.{next(iter(query))}", rule))


def test_a_post_has_its_translations(archive: Archive) -> None:
    of = {"translationOf": archive.report["id"]}
    assert archive.found(**of) == []
    archive._written("english", lang="en", title="Results", body="-", **of)
    assert archive.found(**of) == ["english"]
    assert archive.found(archive.member, **of, lang="ko") == []
    english = archive.client.get(EDITORIAL, params=of, headers=EDITOR).json()["items"][0]["id"]
    assert archive.found(archive.member, translationOf=english) == ["report"]
    assert archive.found(LEE, **of) == [], "a draft of somebody else"
    hidden = archive.client.get(EDITORIAL, params={"translationOf": english}, headers=LEE)
    assert hidden.status_code == 404
