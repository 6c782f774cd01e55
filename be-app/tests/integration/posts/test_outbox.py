"""What was committed reaches every store once and in order, wherever a process dies or lags.

Each test makes a process die at one point of a request after the other, until the request gets through.
"""

import json
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from support.contract import edit, ok, own_category, read, unique
from support.stack import EDITOR, Application, Stack, act, draft, published
from support.uploading import photo, public_objects, state, stored, uploaded

GRACE_S = 61
"""After this many seconds the scheduler takes over what a process left behind."""

SENDING_S = 1800
"""After this many seconds the scheduler has looked at every upload that a test has begun."""

Post = dict[str, Any]
File = dict[str, Any]


class Site:
    """A stack with an application to break, and another one for the scheduler."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.broken = stack.start(respawns=True, TEST_CACHE_HOLD_S="0")
        self.sound = stack.start(respawns=True, TEST_CACHE_HOLD_S="0")

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        with self.stack.client(self.broken) as client:
            yield client

    def run_due(self, *, ahead: float = GRACE_S, headers: Mapping[str, str] | None = None) -> bool:
        """Run the scheduler; return whether anything was due."""
        with self.stack.client(self.sound) as client:
            answer = client.post("/test/run-due", params={"ahead": ahead}, headers=headers)
        assert answer.status_code == 200, answer.text
        due: bool = answer.json()["due"]
        return due

    def finish(self, *, ahead: float = GRACE_S) -> None:
        """Run the scheduler after a process died; then nothing is left to do."""
        self.run_due(ahead=ahead)
        assert self.stack.sql("SELECT * FROM outbox") == []
        assert self.stack.undone() == []


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def site(request: pytest.FixtureRequest, new_stack: Callable[[str], Stack]) -> Site:
    return Site(new_stack(request.param))


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with site.client() as client:
        yield client


@pytest.fixture
def scheduler(site: Site) -> Iterator[httpx.Client]:
    """A client of the process that runs the scheduler."""
    with site.stack.client(site.sound) as client:
        yield client


@pytest.fixture
def category(client: httpx.Client) -> str:
    """A category of the test's own, so that its lists are short."""
    return own_category(client)


def owe(
    site: Site, aggregate: str, version: int, *, key: str = "", times: int = 1, **attributes: str
) -> None:
    """Put rows into the outbox, with a key those of a read model."""
    row = "(:aggregate, :version, 'test.owed', '{}', :snapshot, 'test')"
    site.stack.sql(
        "INSERT INTO outbox (aggregate, version, kind, data, snapshot, correlation_id) VALUES "
        + ", ".join([row] * times),
        aggregate=aggregate,
        version=version,
        snapshot=json.dumps({"key": key, "attributes": attributes, "absent": []}) if key else None,
    )


def soon() -> str:
    """Return a time before the scheduler's next run."""
    return (datetime.now(UTC) + timedelta(seconds=30)).isoformat()


def deaths(step: Callable[[dict[str, str]], httpx.Response], *, every: int = 1) -> Iterator[int]:
    """Have the process die at every point of a step in turn, or at one of `every`; at the end it must get through."""
    for point in count(1, every):
        answer = None
        with suppress(httpx.TransportError):
            answer = step({"X-Test-Signal": f"{point} KILL"})
        yield point
        if answer is not None:
            assert answer.status_code < 300, answer.text
            assert 0 < point - len(answer.headers["X-Test-Steps"].split()) <= every
            return


# -- what visitors and editors see ---------------------------------------------------------------------------


def public_title(client: httpx.Client, post: Post) -> str | None:
    """Return the title under which visitors find a post, which must be the same wherever they look."""
    listed = client.get("/v1/posts", params={"category": post["category"], "limit": 100}).json()["items"]
    found = {next((card["title"] for card in listed if card["id"] == post["id"]), None)}
    for name in (post["id"], post["slug"]):
        answer = client.get(f"/v1/posts/{name}")
        assert answer.status_code in {200, 404}, answer.text
        found.add(answer.json()["title"] if answer.status_code == 200 else None)
    assert len(found) == 1, found
    return found.pop()


def published_title(client: httpx.Client, post: Post) -> str | None:
    """Return the title of the revision that the database says is public."""
    number = read(client, post)["publishedRevision"]
    if number is None:
        return None
    answer = client.get(f"/v1/editor/posts/{post['id']}/revisions/{number}", headers=EDITOR)
    title: str = answer.json()["title"]
    return title


def assert_consistent(site: Site, client: httpx.Client, post: Post, events: list[str]) -> None:
    """Check that every store says the same about a post, and that exactly `events` were published."""
    assert public_title(client, post) == published_title(client, post)
    assert site.stack.events(f"post:{post['id']}") == events
    snapshot = site.stack.snapshot(post["id"])
    assert (snapshot["version"] if snapshot else None) == (int(events[-1].split()[0]) if events else None)


# -- a process dies ------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """An editorial step: the post that it starts from, the events published until then, and the one it adds."""

    begin: Callable[[httpx.Client, str], Post]
    told: list[str]
    name: str
    event: str


def written(client: httpx.Client, category: str) -> Post:
    post: Post = draft(client, category=category).json()
    return post


def public(client: httpx.Client, category: str) -> Post:
    return published(client, category=category)


def public_and_edited(client: httpx.Client, category: str) -> Post:
    post: Post = ok(edit(client, published(client, category=category), title=unique("고침 ")))
    return post


STEPS = {
    "publish": Step(written, [], "publish", "2 post.published"),
    "unpublish": Step(public, ["2 post.published"], "unpublish", "3 post.unpublished"),
    "republish": Step(public_and_edited, ["2 post.published"], "publish", "4 post.published"),
}

SHORT = {("sqlite", "unpublish"), ("mariadb", "publish")}
"""Databases and steps of which the suite breaks each point; `make nightly` breaks all."""
SLOWER = pytest.param("mariadb", marks=pytest.mark.holds)


@pytest.mark.parametrize(
    ("site", "step"),
    [
        pytest.param(
            site, step, id=f"{site}-{name}", marks=() if (site, name) in SHORT else pytest.mark.holds
        )
        for site in ("sqlite", "mariadb")
        for name, step in STEPS.items()
    ],
    indirect=["site"],
    scope="module",
)
def test_a_death_at_any_point_of_a_step_leaves_all_of_it_or_nothing(
    site: Site, client: httpx.Client, category: str, step: Step
) -> None:
    post: Post = {}

    def take(headers: dict[str, str]) -> httpx.Response:
        nonlocal post
        post = step.begin(client, category)
        public_title(client, post)  # From here on the cache holds what is about to become stale.
        return act(client, post, step.name, **headers)

    outcomes = []
    for _ in deaths(take):
        site.finish()
        committed = read(client, post)["version"] == post["version"] + 1
        outcomes.append(committed)
        assert_consistent(site, client, post, [*step.told, step.event] if committed else step.told)
    assert outcomes == sorted(outcomes)  # Nothing first, then all.
    assert outcomes.count(False) > 4
    assert outcomes.count(True) > 7


@pytest.mark.parametrize("site", ["sqlite", SLOWER], indirect=True, scope="module")
def test_a_death_at_any_point_of_a_rename_leaves_the_post_at_one_address_and_tag(
    site: Site, client: httpx.Client, category: str
) -> None:
    post: Post = {}
    old = new = ""

    def tagged(tag: str) -> bool:
        return bool(ok(client.get("/v1/posts", params={"tag": tag, "category": category}))["items"])

    def rename(headers: dict[str, str]) -> httpx.Response:
        nonlocal post, old, new
        old, new = unique("old-"), unique("new-")
        post = published(client, category=category, slug=old, tags=[old])
        post = ok(edit(client, post, slug=new, tags=[new]))
        assert [tagged(tag) for tag in (old, new)] == [True, False]
        assert [client.get(f"/v1/posts/{slug}").status_code for slug in (old, new)] == [200, 404]
        return act(client, post, "publish", **headers)

    outcomes = []
    for _ in deaths(rename):
        site.finish()
        committed = read(client, post)["version"] == post["version"] + 1
        outcomes.append(committed)
        found = [client.get(f"/v1/posts/{slug}").status_code for slug in (old, new)]
        assert found == ([308, 200] if committed else [200, 404])
        assert [tagged(tag) for tag in (old, new)] == [not committed, committed]
        told = ["4 post.moved", "4 post.published"] if committed else []
        assert site.stack.events(f"post:{post['id']}") == ["2 post.published", *told]
        former = site.stack.sql("SELECT post_id FROM former_slugs WHERE slug = :old", old=old)
        assert [uuid.UUID(str(of)) for (of,) in former] == ([uuid.UUID(post["id"])] if committed else [])
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


@pytest.mark.parametrize("site", ["sqlite", SLOWER], indirect=True, scope="module")
def test_a_death_at_any_point_of_making_a_preview_link_leaves_it_listed_and_audited_or_not_made(
    site: Site, client: httpx.Client, category: str
) -> None:
    post = written(client, category)
    previews = f"/v1/editor/posts/{post['id']}/previews"
    counts = [0]
    for _ in deaths(lambda headers: client.post(previews, json={}, headers=EDITOR | headers)):
        trail = ok(client.get("/v1/audit", params={"target": f"post:{post['id']}"}, headers=EDITOR))["items"]
        made = [entry["detail"]["preview"] for entry in trail if entry["action"] == "preview.created"]
        assert [link["id"] for link in ok(client.get(previews, headers=EDITOR))["items"]] == made
        counts.append(len(made))
    assert counts == sorted(counts)
    assert {counts[1], counts[-1] > 0} == {0, True}


@pytest.mark.parametrize("site", ["sqlite", SLOWER], indirect=True, scope="module")
def test_a_death_at_any_point_of_a_category_change_leaves_all_of_it_or_nothing(
    site: Site, client: httpx.Client, category: str
) -> None:
    slugs = [unique("c") for _ in range(40)]
    remaining = iter(slugs)

    def create(headers: dict[str, str]) -> httpx.Response:
        slug = next(remaining)
        body = {"slug": slug, "name": {"ko": slug, "en": slug}}
        return client.post("/v1/editor/categories", json=body, headers=EDITOR | headers)

    outcomes = []
    for point in deaths(create):
        site.finish()
        answer = client.get("/v1/editor/categories", headers=EDITOR)
        version = int(answer.headers["ETag"].strip('"'))
        assert client.get("/v1/categories").json() == answer.json()
        assert site.stack.events("categories") == [f"{v} categories.changed" for v in range(2, version + 1)]
        outcomes.append(slugs[point - 1] in [category["slug"] for category in answer.json()["items"]])
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


@pytest.mark.parametrize("site", ["sqlite", SLOWER], indirect=True, scope="module")
def test_a_death_at_any_point_of_an_inquiry_leaves_all_of_it_or_nothing(
    site: Site, client: httpx.Client, category: str
) -> None:
    def send(headers: dict[str, str]) -> httpx.Response:
        form = {
            "name": "김하늘",
            "email": "haneul@example.com",
            "subject": key,
            "message": "?",
            "consent": True,
        }
        return client.post("/v1/inquiries", json=form, headers={"Idempotency-Key": key, **headers})

    def received() -> list[str]:
        listed = client.get("/v1/editor/inquiries", params={"limit": 100}, headers=EDITOR).json()["items"]
        return [card["id"] for card in listed if card["subject"] == key]

    outcomes = []
    key = uuid.uuid4().hex
    for _ in deaths(send):
        site.finish()
        before = received()
        assert len(before) <= 1
        for inquiry in before:
            assert site.stack.events(f"inquiry:{inquiry}") == ["1 inquiry.received"]
        outcomes.append(bool(before))
        # The visitor, who got no answer, sends the form again.
        again = send({})
        assert again.status_code == 201, again.text
        assert received() == [again.json()["id"]]
        assert not before or received() == before
        assert site.stack.events(f"inquiry:{again.json()['id']}") == ["1 inquiry.received"]
        key = uuid.uuid4().hex
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_a_death_at_any_point_of_the_scheduler_leaves_the_work_to_its_next_run(
    site: Site, client: httpx.Client, category: str
) -> None:
    done = False
    for point in count(1):
        scheduled = draft(client, category=category).json()
        assert act(client, scheduled, "schedule", {"publishAt": soon()}).status_code == 200
        owed = str(uuid.uuid4())
        owe(site, f"test:{owed}", 1, key=owed, slug=f"slug-{owed}")
        with suppress(httpx.TransportError):
            done = site.run_due(headers={"X-Test-Signal": f"{point} KILL"})
        site.finish()
        assert_consistent(site, client, scheduled, ["3 post.published"])
        assert site.stack.events(f"test:{owed}") == ["1 test.owed"]
        assert site.stack.snapshot(owed) == {"postId": owed, "slug": f"slug-{owed}", "version": 1}
        if done:
            break
    assert point > 15


def test_pending_effects_of_several_dead_processes_are_delivered_in_order(
    site: Site, client: httpx.Client, category: str
) -> None:
    post, other = draft(client, category=category).json(), draft(client, category=category).json()
    steps = act(client, other, "publish").headers["X-Test-Steps"].split()
    just_committed = {"X-Test-Signal": f"{steps.index('commit') + 2} KILL"}
    for step in ("publish", "unpublish", "publish", "archive"):
        with pytest.raises(httpx.TransportError):
            act(client, read(client, post), step, **just_committed)
    assert len(site.stack.sql("SELECT * FROM outbox")) == 4
    site.finish()
    told = ["2 post.published", "3 post.unpublished", "4 post.published", "5 post.archived"]
    assert_consistent(site, client, post, told)


# -- a process dies over a post with files -------------------------------------------------------------------

FILES = pytest.mark.parametrize(
    ("site", "every"),
    [
        pytest.param("sqlite", 7, id="sqlite"),
        pytest.param("sqlite", 1, id="sqlite-whole", marks=pytest.mark.holds),
        pytest.param("mariadb", 1, id="mariadb-whole", marks=pytest.mark.holds),
    ],
    indirect=["site"],
    scope="module",
)
"""Each death takes seconds, so the suite breaks some points; `make nightly` breaks all, on each database."""


def picture(client: httpx.Client) -> File:
    """Upload a small picture of the author of posts."""
    made: File = ok(uploaded(client, photo(60, 40), f"{unique()}.jpg", "image/jpeg", who=EDITOR))
    return made


def illustrated(client: httpx.Client, category: str, file: File) -> Post:
    """Publish a post that shows a picture in lists and in its text, and has it attached."""
    body, files = f"![사진](upload:{file['id']})", {"thumbnail": file["id"], "attachments": [file["id"]]}
    return published(client, category=category, body=body, **files)


def shown_digest(client: httpx.Client, post: Post) -> str:
    """Return the name of the one picture that visitors see in a post."""
    page = ok(client.get(f"/v1/posts/{post['id']}"))
    digests = {shown["src"].split("/")[-2] for shown in (page["picture"], *page["pictures"])}
    assert len(digests) == 1, digests
    return str(digests.pop())


def trail(client: httpx.Client, target: str) -> list[tuple[str, str]]:
    """Return who did what to a post or an upload, oldest first."""
    entries = ok(client.get("/v1/audit", params={"target": target, "limit": 100}, headers=EDITOR))["items"]
    return [(entry["actor"], entry["action"]) for entry in reversed(entries)]


def assert_usage_is_right(site: Site) -> None:
    """Check that a member's quota counts the files that are there."""
    counted = site.stack.sql("SELECT bytes, under_way FROM upload_usage WHERE owner = 'editor-1'")
    present = "SELECT coalesce(sum(size), 0) FROM uploads WHERE owner = 'editor-1' AND state = 'clean'"
    ((size,),) = site.stack.sql(present)
    assert counted == [(int(size), 0)]


ENDED = [
    *(("editor-1", f"post.{step}") for step in ("created", "published", "scheduled")),
    ("system", "post.unpublished"),
]
"""The audit entries of a post whose end was planned and has come."""


@FILES
def test_a_death_at_any_point_of_planning_an_end_leaves_a_plan_that_is_kept_or_none(
    site: Site, client: httpx.Client, category: str, every: int
) -> None:
    post: Post = {}

    def plan(headers: dict[str, str]) -> httpx.Response:
        nonlocal post
        post = published(client, category=category)
        return act(client, post, "schedule", {"unpublishAt": soon()}, **headers)

    outcomes = []
    for _ in deaths(plan, every=every):
        site.finish()
        committed = read(client, post)["state"] == "draft"
        outcomes.append(committed)
        told = ["2 post.published", "4 post.unpublished"]
        assert_consistent(site, client, post, told if committed else told[:1])
        assert trail(client, f"post:{post['id']}") == (ENDED if committed else ENDED[:2])
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


@FILES
def test_a_death_at_any_point_of_a_planned_end_leaves_the_rest_to_the_next_run(
    site: Site, client: httpx.Client, scheduler: httpx.Client, category: str, every: int
) -> None:
    image, post = picture(client), Post()

    def end(headers: dict[str, str]) -> httpx.Response:
        nonlocal post
        post = illustrated(client, category, image)
        post = ok(act(client, post, "schedule", {"unpublishAt": soon()}))
        assert public_objects(site.stack) == {shown_digest(client, post)}
        return scheduler.post("/test/run-due", params={"ahead": GRACE_S}, headers=headers)

    points = list[int]()
    for point in deaths(end, every=every):
        points.append(point)
        site.finish(ahead=SENDING_S)
        assert_consistent(site, client, post, ["2 post.published", "4 post.unpublished"])
        assert public_objects(site.stack) == set()
        now = read(client, post)
        assert (now["state"], now["unpublishAt"], now["body"]) == ("draft", None, post["body"])
        assert trail(client, f"post:{post['id']}") == ENDED
    assert points[-1] > 15
    assert "original" in stored(site.stack, image), "the draft still shows it"


class Archived(NamedTuple):
    """An archived post, the address that it had before, and the picture that it alone shows."""

    post: Post
    former: str
    file: File


def archived(client: httpx.Client, category: str) -> Archived:
    file = picture(client)
    first = illustrated(client, category, file)
    moved = ok(act(client, ok(edit(client, first, slug=unique("new-"))), "publish"))
    return Archived(ok(act(client, moved, "archive")), first["slug"], file)


def purge(client: httpx.Client, post: Post, **headers: str) -> httpx.Response:
    return act(client, post, "purge", {"slug": post["slug"]}, **headers)


def assert_purged(site: Site, client: httpx.Client, purged: Archived) -> None:
    """Check that of a post and its file the audit trail alone is left."""
    post, former, file = purged
    told = site.stack.events(f"post:{post['id']}")
    assert told[-1] == f"{post['version'] + 1} post.purged"
    assert [event.split()[1] for event in told].count("post.purged") == 1
    for address in (post["id"], post["slug"], former):
        assert client.get(f"/v1/posts/{address}").status_code == 404
    for table, column in (("posts", "id"), ("post_revisions", "post_id"), ("former_slugs", "post_id")):
        statement = f"SELECT {column} FROM {table} WHERE {column} = :post"
        assert site.stack.sql(statement, post=uuid.UUID(post["id"]).hex) == []
    assert trail(client, f"post:{post['id']}")[-1] == ("editor-1", "post.purged")
    assert stored(site.stack, file) == {}
    assert public_objects(site.stack) == set()
    assert state(client, file)["state"] == "deleted"
    assert trail(client, f"upload:{file['id']}")[-1] == ("system", "upload.deleted")
    assert_usage_is_right(site)


@FILES
def test_a_death_at_any_point_of_a_purge_leaves_all_of_a_post_or_nothing(
    site: Site, client: httpx.Client, category: str, every: int
) -> None:
    taken = list[Archived]()

    def take(headers: dict[str, str]) -> httpx.Response:
        taken.append(archived(client, category))
        return purge(client, taken[-1].post, **headers)

    outcomes = []
    for _ in deaths(take, every=every):
        post, _, file = taken[-1]
        site.finish(ahead=SENDING_S)
        there = client.get(f"/v1/editor/posts/{post['id']}", headers=EDITOR)
        outcomes.append(there.status_code == 404)
        if there.status_code == 200:
            assert there.json() == post
            assert state(client, file)["state"] == "clean"
            assert trail(client, f"post:{post['id']}")[-1] == ("editor-1", "post.archived")
            # The admin, who got no answer, purges the post again.
            assert purge(client, post).status_code == 204
            site.finish(ahead=SENDING_S)
        else:
            assert purge(client, post).status_code == 404
        assert_purged(site, client, taken[-1])
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


@FILES
def test_a_death_at_any_point_after_a_purge_leaves_no_file(
    site: Site, client: httpx.Client, scheduler: httpx.Client, category: str, every: int
) -> None:
    taken = list[Archived]()

    def collect(headers: dict[str, str]) -> httpx.Response:
        taken.append(archived(client, category))
        assert purge(client, taken[-1].post).status_code == 204
        return scheduler.post("/test/run-due", params={"ahead": GRACE_S}, headers=headers)

    points = list[int]()
    for point in deaths(collect, every=every):
        points.append(point)
        site.finish(ahead=SENDING_S)
        assert_purged(site, client, taken[-1])
    assert points[-1] > 15


@FILES
def test_a_death_at_any_point_of_deleting_a_file_leaves_all_of_it_or_nothing(
    site: Site, client: httpx.Client, every: int
) -> None:
    file: File = {}

    def delete(headers: dict[str, str]) -> httpx.Response:
        nonlocal file
        file = picture(client)
        return client.delete(f"/v1/uploads/{file['id']}", headers=EDITOR | headers)

    outcomes = []
    for _ in deaths(delete, every=every):
        site.finish(ahead=SENDING_S)
        outcomes.append(state(client, file)["state"] == "deleted")
        assert bool(stored(site.stack, file)) is not outcomes[-1]
        assert_usage_is_right(site)
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


@FILES
def test_a_death_at_any_point_of_a_replacement_leaves_posts_with_one_picture(
    site: Site, client: httpx.Client, scheduler: httpx.Client, category: str, every: int
) -> None:
    old, new = picture(client), picture(client)
    post = illustrated(client, category, old)
    first, told = shown_digest(client, post), ["2 post.published"]

    def replace(client: httpx.Client, by: File, **headers: str) -> httpx.Response:
        path, body = f"/v1/uploads/{old['id']}/replacement", {"uploadId": by["id"]}
        return client.put(path, json=body, headers=EDITOR | headers)

    def follows(client: httpx.Client, *, times: int) -> str:
        """Check that a post followed so many replacements, in every store; return the picture that it shows.

        `client` is of a process that knows of the last one: others may answer from copies a second old.
        """
        version = 2 + times
        told.extend(f"{v} post.picture_changed" for v in range(len(told) + 2, version + 1))
        assert_consistent(site, client, post, told)
        assert read(client, post)["version"] == version
        assert trail(client, f"upload:{old['id']}").count(("editor-1", "upload.replaced")) == times
        assert public_objects(site.stack) == {shown_digest(client, post)}
        attached = client.get(f"/v1/posts/{post['id']}/attachments/{old['id']}").headers["Location"]
        assert httpx.get(attached, trust_env=False).status_code == 200
        assert_usage_is_right(site)
        return shown_digest(client, post)

    times, outcomes = 0, []
    for _ in deaths(lambda headers: replace(client, new, **headers), every=every):
        site.finish(ahead=SENDING_S)
        committed = shown_digest(client, post) != first
        outcomes.append(committed)
        times += committed
        seen = follows(client, times=times)
        # The other process does the rest: each death shall meet one that has left no marker yet.
        ok(replace(scheduler, new))  # The editor, who got no answer, repeats the replacement …
        times += not committed
        knows = client if committed else scheduler
        assert (follows(knows, times=times) == seen) is committed
        ok(replace(scheduler, old))  # … and takes it back.
        times += 1
        assert follows(scheduler, times=times) == first
    ok(act(client, read(client, post), "unpublish"))
    assert public_objects(site.stack) == set()
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


# -- a process lags ------------------------------------------------------------------------------------------


def worker(application: Application) -> psutil.Process:
    """Return the process that serves now."""
    (child,) = psutil.Process(application.pid).children()
    return child


@contextmanager
def suspended(
    site: Site, point: int, step: Callable[[httpx.Client, dict[str, str]], httpx.Response]
) -> Iterator[list[httpx.Response]]:
    """Run a block while the process is held at a point of a step; afterwards the list has the answer."""
    answers: list[httpx.Response] = []

    def take() -> None:
        with site.client() as client:
            answers.append(step(client, {"X-Test-Signal": f"{point} STOP"}))

    process = worker(site.broken)
    thread = threading.Thread(target=take)
    thread.start()
    try:
        deadline = time.monotonic() + 120
        while process.status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < deadline, "the process never got to the point"
            time.sleep(0.005)
        yield answers
    finally:
        process.send_signal(signal.SIGCONT)
        thread.join()


def test_a_late_older_drain_does_not_resurrect_a_withdrawn_post(
    site: Site, client: httpx.Client, category: str
) -> None:
    steps = act(client, draft(client, category=category).json(), "publish").headers["X-Test-Steps"].split()
    drain = steps.index("commit") + 1
    snapshot = steps.index("DynamoDB", drain) + 1

    def publish(post: Post, client: httpx.Client, headers: dict[str, str]) -> httpx.Response:
        return act(client, post, "publish", **headers)

    for point in (snapshot, snapshot + 1):  # Before the snapshot, and between the snapshot and its event.
        post = draft(client, category=category).json()
        with (
            suspended(site, point, partial(publish, post)) as answers,
            site.stack.client(site.sound) as other,
        ):
            assert act(other, read(other, post), "unpublish").status_code == 200
            assert_consistent(site, other, post, ["2 post.published", "3 post.unpublished"])
            told = site.stack.items(f"post:{post['id']}")
        assert [answer.status_code for answer in answers] == [200]
        assert public_title(client, post) is None
        site.finish()
        assert_consistent(site, client, post, ["2 post.published", "3 post.unpublished"])
        assert site.stack.items(f"post:{post['id']}") == told  # Not even published again.


def test_a_late_older_drain_does_not_replace_a_newer_snapshot(
    site: Site, client: httpx.Client, category: str
) -> None:
    steps = act(client, draft(client, category=category).json(), "publish").headers["X-Test-Steps"].split()
    snapshot = steps.index("DynamoDB", steps.index("commit")) + 1
    post = draft(client, category=category, title="옛 제목").json()
    with (
        suspended(site, snapshot, lambda c, headers: act(c, post, "publish", **headers)),
        site.stack.client(site.sound) as other,
    ):
        newer = ok(edit(other, read(other, post), title="새 제목"))
        assert act(other, newer, "publish").status_code == 200
    site.finish()
    assert public_title(client, post) == newer["title"]
    assert_consistent(site, client, post, ["2 post.published", "4 post.published"])


def test_a_late_drain_takes_no_other_row_for_the_one_it_delivered(
    site: Site, client: httpx.Client, category: str
) -> None:
    steps = act(client, draft(client, category=category).json(), "publish").headers["X-Test-Steps"].split()
    event = steps.index("DynamoDB", steps.index("commit")) + 2
    post, aggregate = draft(client, category=category).json(), unique("test:")
    with (
        suspended(site, event, lambda c, headers: act(c, post, "publish", **headers)),
        site.stack.client(site.sound) as other,
    ):
        published(other, category=category)  # Pays for both, so that the table is empty.
        owe(site, aggregate, 1)  # SQLite gives this row the id of one that was there before.
    published(client, category=category)
    assert site.stack.events(aggregate) == ["1 test.owed"]


def test_a_post_scheduled_by_a_slow_process_is_published(
    site: Site, client: httpx.Client, category: str
) -> None:
    # Its time comes while its transaction is still open; the look that was due then found nothing.
    steps = act(client, draft(client, category=category).json(), "schedule", {"publishAt": soon()})
    commit = steps.headers["X-Test-Steps"].split().index("commit") + 1
    site.finish()
    post, at = draft(client, category=category).json(), datetime.now(UTC) + timedelta(seconds=5)
    body = {"publishAt": at.isoformat()}
    with suspended(site, commit, lambda c, headers: act(c, post, "schedule", body, **headers)) as answers:
        while datetime.now(UTC) < at:
            time.sleep(0.01)
        assert site.run_due(ahead=0)
    assert [answer.status_code for answer in answers] == [200]
    site.finish()
    assert_consistent(site, client, post, ["3 post.published"])


def test_a_post_rescheduled_while_the_job_runs_keeps_its_new_time(
    site: Site, client: httpx.Client, category: str
) -> None:
    def schedule(client: httpx.Client, post: Post, at: str) -> Post:
        scheduled: Post = ok(act(client, post, "schedule", {"publishAt": at}))
        return scheduled

    def run_due(client: httpx.Client, headers: dict[str, str]) -> httpx.Response:
        return client.post("/test/run-due", params={"ahead": GRACE_S}, headers=headers)

    schedule(client, draft(client, category=category).json(), soon())
    steps = run_due(client, {}).headers["X-Test-Steps"].split()
    paying = steps.index("commit") + 2
    first, second = (schedule(client, draft(client, category=category).json(), soon()) for _ in range(2))
    # The scheduler has read that both are due, and is about to deliver the first one's effects.
    with suspended(site, paying, run_due) as answers, site.stack.client(site.sound) as other:
        second = schedule(other, second, (datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert [answer.status_code for answer in answers] == [200]
    assert_consistent(site, client, first, ["3 post.published"])
    assert_consistent(site, client, second, [])
    assert read(client, second) == second
    ok(act(client, second, "unpublish"))
    for marker in site.stack.items("due"):  # Tomorrow's
        key = {"aggregate": {"S": "due"}, "sequence": {"S": marker["sequence"]}}
        site.stack.dynamodb.delete_item(TableName=site.stack.settings.events_table, Key=key)


# -- rows that no request of today would write ---------------------------------------------------------------


def test_a_row_that_is_refused_keeps_back_its_own_aggregate_alone(
    site: Site, client: httpx.Client, category: str
) -> None:
    stuck, free = f"test:{uuid.uuid4()}", f"test:{uuid.uuid4()}"
    owe(site, stuck, 1, key=stuck, page="x" * 410_000)  # DynamoDB takes 400 KB.
    owe(site, stuck, 2, times=120)  # More than a drain reads at once.
    owe(site, free, 1)
    post = published(client, category=category)
    assert_consistent(site, client, post, ["2 post.published"])
    assert site.stack.events(free) == ["1 test.owed"]
    assert site.stack.events(stuck) == []
    assert site.stack.sql("SELECT DISTINCT aggregate FROM outbox") == [(stuck,)]

    assert site.run_due()
    assert site.stack.undone() != []  # Every minute tries again …
    site.stack.sql("DELETE FROM outbox WHERE version = 1")  # … until an operator has fixed it.
    site.finish()
    assert site.stack.events(stuck) == ["2 test.owed"]


def test_an_older_row_that_turns_up_late_changes_nothing(
    site: Site, client: httpx.Client, category: str
) -> None:
    def drain_late(version: int) -> None:
        owe(site, f"post:{post['id']}", version, key=post["id"], slug=post["slug"], page='{"title": "?"}')
        published(client, category=category)  # Delivers everything that is pending.
        assert site.stack.sql("SELECT * FROM outbox") == []

    post = published(client, category=category)
    for version in (1, 2):
        drain_late(version)
        assert public_title(client, post) == post["title"]
    assert act(client, post, "unpublish").status_code == 200
    drain_late(2)
    assert public_title(client, post) is None
