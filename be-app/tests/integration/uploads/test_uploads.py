"""Files: what may be sent, what is checked, and what becomes of it, on three servers that enforce signed rules."""

import hashlib
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from app.uploads.pictures import images
from app.uploads.reasons import Rejection
from familycorp_ops.local.provision import provision
from familycorp_ops.servers.clamd import HARMLESS_MALWARE, Clamd
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.servers.radosgw import RadosGW
from familycorp_ops.servers.seaweedfs import SeaweedFS
from familycorp_ops.servers.valkey import Valkey
from familycorp_ops.testing.servers import missing
from support.contract import NOBODY, breaks, ok, problem, unique
from support.stack import EDITOR, Application, Stack, act, draft, make_category, published
from support.uploading import (
    ADMIN,
    DOCX,
    KIM,
    LEE,
    animated,
    announce,
    archive,
    caller,
    colour_profile,
    complete,
    docx,
    encrypted_zip,
    event,
    hwp,
    hwpx,
    overlapping_zip,
    pdf,
    photo,
    png_bomb,
    put_parts,
    s3,
    saved,
    send,
    sent,
    sha256,
    state,
    stored,
    uploaded,
)

OF_A_PHOTO = {"original"} | {
    f"{name}.{kind}" for name in ("thumbnail", "200") for kind in ("avif", "webp", "jpg")
}
"""Variants of `photo()`, which is 200 pixels wide as it stands upright."""

STORES = ("seaweedfs", "radosgw", "ministack")

# For the many cases of what files hold, which every server returns alike.
ONE_STORE = ("seaweedfs",)

FORM_FIELDS = "a form may hold no field that its policy doesn't name"
FORM_SHA256 = "a form's file has the SHA-256 that was signed"
PART_SHA256 = "a part has the SHA-256 that was signed, and the whole has one of its own"

# AWS enforces all three; tests show what happens where a server doesn't.
DEVIATIONS = {
    "seaweedfs": {FORM_FIELDS},
    "radosgw": {FORM_SHA256, PART_SHA256},  # Ceph 16; checksums came later.
    "ministack": {FORM_SHA256},
}


@pytest.fixture(scope="module")
def stacks_of(
    request: pytest.FixtureRequest,
    ministack: MiniStack,
    valkey: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Stack]]:
    running: dict[str, Stack] = {}

    def get(store: str, database: str = "sqlite", **settings: Any) -> Stack:
        name = f"{store} {database} {sorted(settings.items())}"
        if name not in running:
            if store != "ministack":
                server: SeaweedFS | RadosGW = request.getfixturevalue(store)
                settings["S3_ENDPOINT_URL"] = server.url
            servers = None if database == "sqlite" else request.getfixturevalue(database)
            url = servers and servers.create_database(f"uploads_{len(running)}")
            stack = Stack(tmp_path_factory.mktemp("uploads"), ministack, valkey, url, **settings)
            stack.prepare().start()
            with stack.client() as client:
                make_category(client, "news")
            running[name] = stack
        return running[name]

    yield get
    for stack in running.values():
        stack.close()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def stack(store: str, stacks_of: Callable[[str], Stack]) -> Stack:
    return stacks_of(store)


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


def rejected(answer: httpx.Response, reason: str) -> None:
    told = problem(answer, 422, "upload_rejected")
    assert [e["rule"] for e in told["errors"]] == [reason], told


def test_a_photo_goes_from_a_form_to_a_post_and_back_under_its_korean_name(
    client: httpx.Client, stack: Stack
) -> None:
    content = photo()
    upload = ok(announce(client, content, "창립 40주년.jpg", "image/jpeg"), 201)
    assert (upload["state"], upload["reason"], upload["parts"]) == ("pending", None, None)
    problem(complete(client, upload), 409, "upload_incomplete")
    assert send(upload["form"], content).status_code == 204
    done = ok(complete(client, upload))
    assert done["state"] == "clean"
    assert done["form"] is None
    files = stored(stack, upload)
    assert set(files) == OF_A_PHOTO
    assert stored(stack, upload, "quarantine") == {}
    assert len(files["original"]) == done["size"]

    post = published(client, thumbnail=upload["id"], attachments=[upload["id"]])
    path = f"/v1/posts/{post['id']}/attachments/{upload['id']}"
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
    got = httpx.get(answer.headers["Location"], trust_env=False)
    assert got.content == files["original"]
    assert got.headers["Content-Type"] == "image/jpeg"
    assert got.headers["Content-Disposition"] == (
        "attachment; filename=\"__ 40__.jpg\"; filename*=UTF-8''%EC%B0%BD%EB%A6%BD%2040%EC%A3%BC%EB%85%84.jpg"
    )
    small = httpx.get(
        client.get(path, params={"variant": "thumbnail.avif"}).headers["Location"], trust_env=False
    )
    assert small.headers["Content-Type"] == "image/avif"
    assert small.content == files["thumbnail.avif"]


def test_downloads_are_counted_by_a_request_of_their_own(client: httpx.Client) -> None:
    file = ok(uploaded(client, pdf(2), "보고서.pdf", "application/pdf"))
    post = published(client, attachments=[file["id"]])
    path = f"/v1/posts/{post['id']}/attachments/{file['id']}"
    for _ in range(3):
        assert client.get(path).status_code == 302
    listed = f"/v1/editor/posts/{post['id']}/downloads"
    assert ok(client.get(listed, headers=EDITOR)) == {"items": []}
    for _ in range(2):
        assert client.post(f"{path}/downloads").status_code == 204
    assert ok(client.get(listed, headers=EDITOR))["items"] == [{"id": file["id"], "downloads": 2}]
    problem(client.post(f"/v1/posts/{post['id']}/attachments/{NOBODY}/downloads"), 404, "not_found")


@pytest.mark.security(37)
def test_only_files_that_a_public_post_names_are_public(client: httpx.Client) -> None:
    file = ok(uploaded(client, pdf(), "비공개.pdf", "application/pdf"))
    post = ok(draft(client, attachments=[file["id"]]), 201)
    path = f"/v1/posts/{post['id']}/attachments/{file['id']}"
    problem(client.get(path), 404, "not_found")
    problem(client.get(path.replace("/v1/", "/v1/editor/")), 401, "unauthenticated")
    assert client.get(path.replace("/v1/", "/v1/editor/"), headers=EDITOR).status_code == 302
    post = ok(act(client, post, "publish"))
    link = client.get(path).headers["Location"]
    assert httpx.get(link, trust_env=False).status_code == 200
    assert "X-Amz-Expires=60" in link
    assert httpx.get(link.replace("original", "other"), trust_env=False).status_code == 403
    assert httpx.get(link.partition("?")[0], trust_env=False).status_code == 403
    problem(client.get(path, params={"variant": "thumbnail.jpg"}), 404, "not_found")
    ok(act(client, post, "unpublish"))
    problem(client.get(path), 404, "not_found")


@pytest.mark.security(35)
def test_a_form_accepts_exactly_the_declared_file_and_for_five_minutes(
    client: httpx.Client, stack: Stack
) -> None:
    content = pdf()
    upload = ok(announce(client, content, "a.pdf", "application/pdf"), 201)
    form = upload["form"]
    assert form["fields"]["key"] == f"quarantine/{upload['id']}"
    refused = {
        "oversize by one byte": send(form, content + b"\n"),
        "one byte short": send(form, content[:-1]),
        "another type": send(form, content, **{"Content-Type": "text/html"}),
        "another key": send(form, content, key="files/x/original"),
        "another checksum": send(form, content, **{"x-amz-checksum-sha256": "A" * 43 + "="}),
        "a tampered policy": send(form, content, policy=form["fields"]["policy"][:-8] + "AAAAAAA="),
        "a tampered signature": send(form, content, **{"x-amz-signature": "0" * 64}),
    }
    assert {name: answer.status_code for name, answer in refused.items() if answer.status_code < 400} == {}
    assert stored(stack, upload, "quarantine") == {}
    import base64
    import json
    from datetime import datetime

    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    created = datetime.fromisoformat(upload["createdAt"])
    assert (datetime.fromisoformat(policy["expiration"]) - created).total_seconds() <= 301
    assert ["content-length-range", len(content), len(content)] in policy["conditions"]
    for condition in policy["conditions"]:
        assert isinstance(condition, dict) or condition[0] in {"content-length-range", "eq"}


@pytest.mark.security(35)
def test_a_form_takes_no_field_that_was_not_signed(client: httpx.Client, store: str) -> None:
    content = pdf()
    for name, value in (("acl", "public-read"), ("success_action_redirect", "https://evil.example")):
        upload = ok(announce(client, content, "a.pdf", "application/pdf"), 201)
        refused = send(upload["form"], content, **{name: value}).status_code == 403
        assert refused == (FORM_FIELDS not in DEVIATIONS[store]), name


@pytest.mark.security(36)
def test_another_file_of_the_same_length_is_refused_on_arrival_or_afterwards(
    client: httpx.Client, stack: Stack, store: str
) -> None:
    content = pdf(3)
    other = content[:-200] + b"!" + content[-199:]
    upload = ok(announce(client, content, "a.pdf", "application/pdf"), 201)
    answer = send(upload["form"], other)
    if FORM_SHA256 in DEVIATIONS[store]:
        assert answer.status_code == 204
        rejected(complete(client, upload), "checksum_mismatch")
    else:
        assert answer.status_code == 400
        problem(complete(client, upload), 409, "upload_incomplete")
    for place in ("files", "quarantine"):
        assert stored(stack, upload, place) == {}


def test_an_expired_form_is_refused(client: httpx.Client, stack: Stack) -> None:
    script = """
import sys, uuid, datetime
from app.uploads import storage
from app.uploads.models import Upload
storage.SIGNED_S = 1
at = datetime.datetime.now(datetime.UTC)
form = storage.post_form(Upload(id=uuid.UUID(int=7), content_type="application/pdf", size=4, sha256="00" * 32,
                                expires_at=at + datetime.timedelta(seconds=1)))
open(sys.argv[1], "w").write(form.model_dump_json())
"""
    import json
    import time

    file = stack.directory / "form.json"
    stack.run("-c", script, str(file))
    time.sleep(2.1)
    assert send(json.loads(file.read_text()), b"abcd").status_code == 403


@pytest.mark.security(36)
@pytest.mark.parametrize("store", ONE_STORE)
@pytest.mark.parametrize(
    "case",
    [
        (lambda: photo() + b"x", "a.png", "image/png", "type_mismatch"),
        (lambda: b"<html><script>1</script>" + b" " * 3000, "a.jpg", "image/jpeg", "type_mismatch"),
        (lambda: b"MZ" + bytes(200), "a.pdf", "application/pdf", "type_mismatch"),
        (lambda: photo() + archive({"a.txt": b"a"}), "a.jpg", "image/jpeg", "polyglot"),
        (
            lambda: b"GIF89a/*<script>alert(1)</script>*/" + animated("GIF")[6:],
            "a.gif",
            "image/gif",
            "polyglot",
        ),
        (lambda: photo()[:20] + b"%PDF-1.4" + photo()[20:], "a.jpg", "image/jpeg", "polyglot"),
        (lambda: pdf() + archive({"a.txt": b"a"}), "a.pdf", "application/pdf", "polyglot"),
        (lambda: pdf() + b"<script>", "a.pdf", "application/pdf", "polyglot"),
        (lambda: pdf().replace(b"%PDF-1.3", b"%PDF-1.3\n<html>", 1), "a.pdf", "application/pdf", "polyglot"),
        (lambda: archive({"a": b"a"}) + b"<html>", "a.zip", "application/zip", "polyglot"),
        (png_bomb, "a.png", "image/png", "too_many_pixels"),
        (lambda: animated("GIF", 60, (900, 900)), "a.gif", "image/gif", "too_many_pixels"),
        (lambda: photo()[:900], "a.jpg", "image/jpeg", "malformed"),
        (lambda: saved(Image.new("RGB", (99, 99)), "PNG")[:-40], "a.png", "image/png", "malformed"),
        (lambda: pdf(password="s3cret"), "a.pdf", "application/pdf", "encrypted"),
        (lambda: pdf(script="app.alert(1)"), "a.pdf", "application/pdf", "active_content"),
        (lambda: pdf(script="x", hidden="next"), "a.pdf", "application/pdf", "active_content"),
        (lambda: pdf(script="x", hidden="page"), "a.pdf", "application/pdf", "active_content"),
        (lambda: b"%PDF-1.7\n" + bytes(5000), "a.pdf", "application/pdf", "malformed"),
        (lambda: archive({"a.bin": bytes(30_000_000)}), "a.zip", "application/zip", "archive_bomb"),
        (lambda: archive({"x/b.zip": archive({"a": b"a"})}), "a.zip", "application/zip", "nested_archive"),
        (lambda: archive({"../../etc/passwd": b"a"}), "a.zip", "application/zip", "unsafe_path"),
        (lambda: archive({"a.txt": b"a"}), "a.docx", DOCX, "type_mismatch"),
        (lambda: hwp(flags=0b11), "a.hwp", "application/x-hwp", "encrypted"),
        (lambda: docx(word__vbaProject_bin=b"x"), "a.docx", DOCX, "active_content"),
        (docx, "a.hwpx", "application/vnd.hancom.hwpx", "type_mismatch"),
        (
            lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096),
            "a.hwp",
            "application/x-hwp",
            "malformed",
        ),
    ],
)
def test_a_file_that_differs_from_its_declaration_is_deleted_with_a_reason(
    client: httpx.Client,
    stack: Stack,
    case: tuple[Callable[[], bytes], str, str, str],
) -> None:
    make, name, kind, reason = case
    upload = sent(client, make(), name, kind)
    for _ in range(2):
        rejected(complete(client, upload), reason)
    assert (state(client, upload)["state"], state(client, upload)["reason"]) == ("rejected", reason)
    for place in ("files", "quarantine"):
        assert stored(stack, upload, place) == {}
    versions = s3(stack).list_object_versions(
        Bucket=stack.settings.uploads_bucket, Prefix=f"quarantine/{upload['id']}"
    )
    assert versions.get("Versions", []) == []
    breaks(draft(client, attachments=[upload["id"]]), ("body.attachments", "unknown_upload"))


@pytest.mark.security(38)
@pytest.mark.parametrize(
    ("make", "reason"), [(encrypted_zip, "encrypted"), (overlapping_zip, "archive_bomb")]
)
def test_archives_are_bounded(client: httpx.Client, make: Callable[[], bytes], reason: str) -> None:
    rejected(uploaded(client, make(), "a.zip", "application/zip"), reason)


@pytest.mark.parametrize("store", ONE_STORE)
@pytest.mark.parametrize(
    ("make", "name", "kind"),
    [
        (lambda: photo(mode="CMYK"), "인쇄용.jpg", "image/jpeg"),
        (lambda: photo(icc_profile=colour_profile(557_168)), "인쇄소에서.jpg", "image/jpeg"),
        (lambda: photo(progressive=True), "a.jpeg", "image/jpeg"),
        (lambda: animated("GIF"), "a.gif", "image/gif"),
        (lambda: animated("WEBP"), "a.webp", "image/webp"),
        (lambda: saved(Image.new("RGBA", (50, 60), (1, 2, 3, 4)), "PNG"), "투명.png", "image/png"),
        (lambda: pdf(100), "사업보고서.pdf", "application/pdf"),
        (lambda: pdf(100, padding=9_000_000, pieces=300), "도록.pdf", "application/pdf"),
        (docx, "회의록.docx", DOCX),
        (hwp, "공문.hwp", "application/x-hwp"),
        (hwpx, "공문.hwpx", "application/vnd.hancom.hwpx"),
        (lambda: archive({"한글 이름/보고서.txt": "가".encode()}), "자료.zip", "application/zip"),
    ],
)
def test_real_files_are_taken(
    client: httpx.Client, stack: Stack, make: Callable[[], bytes], name: str, kind: str
) -> None:
    content = make()
    upload = ok(uploaded(client, content, name, kind))
    assert upload["state"] == "clean"
    kept = stored(stack, upload)["original"]
    if kind.startswith("image/"):
        with Image.open(io.BytesIO(kept)) as image, Image.open(io.BytesIO(content)) as before:
            assert image.size == before.size
            assert getattr(image, "n_frames", 1) == getattr(before, "n_frames", 1)
            assert image.mode in {"RGB", "RGBA", "P"}
    else:
        assert hashlib.sha256(kept).hexdigest() == sha256(content)


def test_metadata_of_a_photos_place_and_camera_is_gone(client: httpx.Client, stack: Stack) -> None:
    content = photo()
    assert b"PhoneMaker" in content
    files = stored(stack, ok(uploaded(client, content, "a.jpg", "image/jpeg")))
    for kept in files.values():
        assert b"PhoneMaker" not in kept
        with Image.open(io.BytesIO(kept)) as image:
            exif = image.getexif()
            assert not exif.get_ifd(0x8825)
            assert 0x010F not in exif
    with Image.open(io.BytesIO(files["original"])) as image:
        assert (image.size, image.getexif()[0x0112]) == ((300, 200), 6)
    with Image.open(io.BytesIO(files["thumbnail.jpg"])) as image:
        assert image.size == (200, 300), "thumbnails stand upright"


def test_types_of_uploads_are_an_allow_list(client: httpx.Client) -> None:
    content = b"x" * 100
    for name, kind, field, rule in (
        ("a.svg", "image/svg+xml", "contentType", "type_not_allowed"),
        ("a.html", "text/html", "contentType", "type_not_allowed"),
        ("a.exe", "application/octet-stream", "contentType", "type_not_allowed"),
        ("a.exe", "application/pdf", "name", "suffix_mismatch"),
    ):
        breaks(announce(client, content, name, kind, purpose="attachment"), (f"body.{field}", rule))
    breaks(
        announce(client, content, "a.pdf", "application/pdf", purpose="image"),
        ("body.contentType", "type_not_allowed"),
    )
    breaks(announce(client, content, "a.png", "image/png", size=10_000_001), ("body.size", "too_large"))
    breaks(
        announce(client, content, "a.pdf", "application/pdf", size=200_000_001), ("body.size", "too_large")
    )
    breaks(announce(client, content, "../a.pdf", "application/pdf"), ("body.name", "file_name"))


def test_creating_the_same_upload_twice_makes_one(client: httpx.Client) -> None:
    key = {"Idempotency-Key": unique("upload-")}
    first, again = (
        ok(announce(client, b"abc", "a.pdf", "application/pdf", KIM | key), 201) for _ in range(2)
    )
    assert first["id"] == again["id"]
    assert first["expiresAt"] == again["expiresAt"]
    problem(announce(client, b"abcd", "a.pdf", "application/pdf", KIM | key), 422, "idempotency_key_reused")


@pytest.mark.security(32)
def test_another_s_upload_is_theirs(client: httpx.Client) -> None:
    upload = sent(client, pdf(), "a.pdf", "application/pdf")
    path = f"/v1/uploads/{upload['id']}"
    problem(complete(client, upload, LEE), 404, "not_found")
    problem(client.get(path, headers=LEE), 404, "not_found")
    problem(client.delete(path, headers=LEE), 404, "not_found")
    problem(client.post(path + "/restore", headers=LEE), 404, "not_found")
    problem(complete(client, upload, caller("choi", "viewer")), 403, "forbidden")
    assert state(client, upload)["state"] == "pending"
    assert ok(complete(client, upload, ADMIN))["state"] == "clean"


def test_two_completions_and_an_event_at_once_have_one_outcome(client: httpx.Client, stack: Stack) -> None:
    upload = sent(client, photo(1200, 900), "a.jpg", "image/jpeg")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: complete(client, upload), range(3)))
        hear(stack, event(stack, upload))
    assert [(a.status_code, a.json()["state"]) for a in answers] == [(200, "clean")] * 3
    assert len({a.json()["size"] for a in answers}) == 1
    rows = stack.sql("SELECT count(*) FROM audit_entries WHERE target = :t", t=f"upload:{upload['id']}")
    assert rows == [(1,)]
    assert stored(stack, upload, "quarantine") == {}


def hear(stack: Stack, told: dict[str, Any]) -> None:
    """Have the function serve an event, as Lambda would."""
    import json

    script = (
        "import json, sys; from app.functions.uploads import handler; handler(json.loads(sys.argv[1]), None)"
    )
    stack.run_as("uploads", script, json.dumps(told))


def test_a_client_that_never_says_it_is_done_gets_the_same_result(client: httpx.Client, stack: Stack) -> None:
    good = sent(client, pdf(), "a.pdf", "application/pdf")
    bad = sent(client, b"%PDF-1.7 nonsense", "a.pdf", "application/pdf")
    for upload in (good, bad):
        hear(stack, event(stack, upload))
    assert state(client, good)["state"] == "clean"
    assert (state(client, bad)["state"], state(client, bad)["reason"]) == ("rejected", "malformed")


def test_sending_again_after_the_decision_changes_nothing(client: httpx.Client, stack: Stack) -> None:
    content = pdf(3)
    upload = sent(client, content, "a.pdf", "application/pdf")
    ok(complete(client, upload))
    assert send(upload["form"], content).status_code == 204
    hear(stack, event(stack, upload))
    assert stored(stack, upload, "quarantine") == {}
    assert stored(stack, upload)["original"] == content
    assert ok(complete(client, upload))["state"] == "clean"


def test_an_event_about_something_else_is_passed_over(stack: Stack) -> None:
    told = event(stack, {"id": "not-an-id"})
    hear(stack, told)
    told["Records"][0]["s3"]["object"]["key"] = "files/x/original"
    hear(stack, told)
    told["Records"][0]["s3"]["bucket"]["name"] = "another"
    hear(stack, told)
    hear(stack, {"Event": "s3:TestEvent"})


@pytest.mark.parametrize(
    "point", [n if n % 2 else pytest.param(n, marks=pytest.mark.holds) for n in range(1, 9)]
)
def test_a_process_killed_while_it_completes_loses_nothing(
    stacks_of: Callable[..., Stack], point: int
) -> None:
    stack = stacks_of("ministack")
    application = stack.start()
    try:
        with stack.client(application) as client:
            content = photo(400, 300)
            upload = sent(client, content, "a.jpg", "image/jpeg")
            try:
                answer = client.post(
                    f"/v1/uploads/{upload['id']}/complete", headers=KIM | {"X-Test-Signal": f"{point} KILL"}
                )
                assert answer.status_code == 200, "there were fewer points than that"
            except httpx.TransportError:
                assert application.wait(300) < 0
        with stack.client() as client:
            posts = ok(draft(client), 201)
            assert posts["attachments"] == []
            assert ok(complete(client, upload))["state"] == "clean"
            assert set(stored(stack, upload)) >= {"original", "thumbnail.avif"}
            usage = stack.sql("SELECT under_way FROM upload_usage WHERE owner = 'kim'")
            waiting = stack.sql("SELECT count(*) FROM uploads WHERE owner = 'kim' AND state = 'pending'")
            assert usage == waiting
    finally:
        application.kill()
        stack.processes.remove(application)


def test_what_never_arrived_is_given_up_and_what_a_crash_left_is_finished(
    client: httpx.Client, stack: Stack
) -> None:
    gone = ok(announce(client, pdf(), "a.pdf", "application/pdf"), 201)
    left = sent(client, pdf(), "b.pdf", "application/pdf")
    assert ok(client.post("/test/run-due", params={"ahead": 300 + 600 + 601})) == {"due": True}
    assert (state(client, gone)["state"], state(client, gone)["reason"]) == ("rejected", "never_arrived")
    assert state(client, left)["state"] == "clean"


@pytest.mark.security(38)
def test_a_member_has_a_quota(stacks_of: Callable[..., Stack]) -> None:
    stack = stacks_of("ministack", UPLOAD_QUOTA_MB="1")
    with stack.client() as client:
        content = pdf(padding=600_000)
        first = sent(client, content, "a.pdf", "application/pdf")
        with ThreadPoolExecutor(4) as pool:
            answers = list(
                pool.map(
                    lambda _: announce(client, content, "b.pdf", "application/pdf").status_code, range(4)
                )
            )
        assert answers == [409] * 4
        problem(announce(client, content, "b.pdf", "application/pdf"), 409, "quota_exceeded")
        ok(announce(client, content, "b.pdf", "application/pdf", LEE), 201)
        ok(complete(client, first))
        assert client.delete(f"/v1/uploads/{first['id']}", headers=KIM).status_code == 204
        second = ok(announce(client, content, "b.pdf", "application/pdf"), 201)
        problem(client.post(f"/v1/uploads/{first['id']}/restore", headers=KIM), 409, "quota_exceeded")
        send(second["form"], content)
        ok(complete(client, second))


@pytest.mark.parametrize("database", ["mariadb", "mysql"])
def test_locks_and_searches_hold_on_servers_too(stacks_of: Callable[..., Stack], database: str) -> None:
    stack = stacks_of("ministack", database, UPLOAD_QUOTA_MB="1")
    with stack.client() as client:
        content = pdf(padding=300_000)
        with ThreadPoolExecutor(6) as pool:
            answers = list(
                pool.map(lambda _: announce(client, content, "a.pdf", "application/pdf"), range(6))
            )
        assert sorted(a.status_code for a in answers) == [201] * 3 + [409] * 3
        upload = next(a.json() for a in answers if a.status_code == 201)
        assert send(upload["form"], content).status_code == 204
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda _: complete(client, upload), range(4)))
        assert [ok(a)["state"] for a in done] == ["clean"] * 4
        path = f"/v1/uploads/{upload['id']}"
        ok(draft(client, attachments=[upload["id"]]), 201)
        problem(client.delete(path, headers=KIM), 409, "upload_in_use")
        second = next(a.json() for a in answers if a.status_code == 201 and a.json()["id"] != upload["id"])
        send(second["form"], content)
        ok(complete(client, second))
        assert client.delete(f"/v1/uploads/{second['id']}", headers=KIM).status_code == 204
        assert ok(client.post(f"/v1/uploads/{second['id']}/restore", headers=KIM))["state"] == "clean"
        assert ok(client.post("/test/run-due", params={"ahead": 7 * 86400 + 601})) == {"due": True}
        assert [state(client, u)["state"] for u in (upload, second)] == ["clean", "deleted"]


def test_an_outage_while_a_file_is_read_is_no_damage_of_it(stacks_of: Callable[..., Stack]) -> None:
    """The file ends early and the connection breaks: neither may count as what was sent."""
    stack = stacks_of("ministack")
    with stack.client() as client:
        upload = sent(client, pdf(), "a.pdf", "application/pdf")
        script = """
import asyncio, io, sys, uuid
from botocore.exceptions import ReadTimeoutError
from app.uploads import processing, storage
from app.uploads.errors import StorageUnavailable

class Broken(io.BytesIO):
    def read(self, count=-1):
        return super().read(count) or self.fail()
    def fail(self):
        raise ReadTimeoutError(endpoint_url="s3")

storage._read = lambda *_: Broken(b"%PDF-1.7 cut")
try:
    asyncio.run(processing.advance(uuid.UUID(sys.argv[1])))
except StorageUnavailable:
    sys.exit(0)
sys.exit("it was decided")
"""
        stack.run("-c", script, upload["id"])
        assert state(client, upload)["state"] == "pending"
        assert ok(complete(client, upload))["state"] == "clean"


@contextmanager
def suspended(
    stack: Stack, application: Application, point: int, method: str, path: str
) -> Iterator[list[httpx.Response]]:
    """Run a block while a process is held at a point of a request; afterwards the list has the answer."""
    answers: list[httpx.Response] = []

    def ask() -> None:
        with stack.client(application) as client:
            answers.append(client.request(method, path, headers=KIM | {"X-Test-Signal": f"{point} STOP"}))

    assert application.pid
    process, thread = psutil.Process(application.pid), threading.Thread(target=ask)
    thread.start()
    try:
        while process.status() != psutil.STATUS_STOPPED and thread.is_alive():
            time.sleep(0.005)
        assert thread.is_alive(), "the request never got to the point"
        yield answers
    finally:
        process.send_signal(signal.SIGCONT)
        thread.join()


def test_a_file_that_is_decided_about_while_it_is_completed_is_not_called_pending(
    stacks_of: Callable[..., Stack],
) -> None:
    stack = stacks_of("ministack")
    application = stack.start()
    try:
        for content, name, kind, status in (
            (pdf(), "a.pdf", "application/pdf", 200),
            (b"%PDF-1.7 nonsense", "a.pdf", "application/pdf", 422),
        ):
            with stack.client() as client:
                told = complete(client, sent(client, content, name, kind))
                upload = sent(client, content, name, kind)
                looked_for = told.headers["X-Test-Steps"].split().index("S3") + 1
                path = f"/v1/uploads/{upload['id']}/complete"
                with suspended(stack, application, looked_for, "POST", path) as answers:
                    assert complete(client, upload).status_code == status
                assert answers[0].status_code == status, answers[0].text
    finally:
        application.kill()
        stack.processes.remove(application)


def test_a_file_that_is_restored_while_it_is_deleted_stays(stacks_of: Callable[..., Stack]) -> None:
    stack = stacks_of("ministack")
    script = """
import asyncio, sys, uuid
from app.auth.subject import SYSTEM
import app.posts  # It registers who refers to files.
from app.uploads import processing, service

hide = processing.hide

async def late(upload_id):
    await service.restore(upload_id, SYSTEM)
    await hide(upload_id)

processing.hide, service.authorise = late, lambda *_: None
asyncio.run(service.delete(uuid.UUID(sys.argv[1]), SYSTEM))
"""
    with stack.client() as client:
        file = ok(uploaded(client, pdf(), "a.pdf", "application/pdf"))
        stack.run("-c", script, file["id"])
        assert state(client, file)["state"] == "clean"
        assert set(stored(stack, file)) == {"original"}


def test_a_large_file_comes_in_parts_and_can_be_resumed(
    client: httpx.Client, stack: Stack, store: str
) -> None:
    content = pdf(padding=20_000_000)
    upload = ok(announce(client, content, "큰 파일.pdf", "application/pdf"), 201)
    assert upload["form"] is None
    assert upload["parts"] == {"partBytes": 8 * 1024 * 1024, "count": 3}
    path = f"/v1/uploads/{upload['id']}/parts"
    assert ok(client.get(path, headers=KIM)) == {"numbers": []}
    put_parts(client, upload, content, [1, 3])
    assert ok(client.get(path, headers=KIM)) == {"numbers": [1, 3]}
    problem(complete(client, upload), 409, "upload_incomplete")
    wanted = {"items": [{"number": 2, "sha256": "0" * 64}]}
    address = ok(client.post(path, json=wanted, headers=KIM))["items"][0]
    wrong = httpx.put(address["url"], content=content[:100], headers=address["headers"], trust_env=False)
    assert wrong.status_code in {400, 403}
    breaks(
        client.post(path, json={"items": [{"number": 4, "sha256": "0" * 64}]}, headers=KIM),
        ("body.items", "unknown_part"),
    )
    put_parts(client, upload, content, [2])
    if PART_SHA256 in DEVIATIONS[store]:
        # A checksum that no server verified isn't trusted, though here it is the declared one.
        rejected(complete(client, upload), "checksum_mismatch")
        assert stored(stack, upload) == stored(stack, upload, "quarantine") == {}
        return
    assert ok(complete(client, upload))["state"] == "clean"
    assert hashlib.sha256(stored(stack, upload)["original"]).digest() == hashlib.sha256(content).digest()
    problem(client.post(path, json=wanted, headers=KIM), 409, "upload_invalid_state")


def test_parts_of_another_file_are_rejected(client: httpx.Client, stack: Stack) -> None:
    content = pdf(padding=12_000_000)
    other = content[:9_000_000] + b"!" + content[9_000_001:]
    upload = ok(announce(client, content, "a.pdf", "application/pdf"), 201)
    put_parts(client, upload, other, [1, 2])
    rejected(complete(client, upload), "checksum_mismatch")
    assert stored(stack, upload, "quarantine") == {}


def test_abandoned_parts_expire(client: httpx.Client, stack: Stack) -> None:
    content = pdf(padding=12_000_000)
    upload = ok(announce(client, content, "a.pdf", "application/pdf"), 201)
    put_parts(client, upload, content, [1])
    ok(client.post("/test/run-due", params={"ahead": 24 * 3600 + 1300}))
    assert state(client, upload)["reason"] == "never_arrived"
    under_way = s3(stack).list_multipart_uploads(Bucket=stack.settings.uploads_bucket).get("Uploads", ())
    assert f"quarantine/{upload['id']}" not in [item["Key"] for item in under_way]


def test_what_was_deleted_can_be_restored(client: httpx.Client, stack: Stack) -> None:
    file = ok(uploaded(client, photo(), "a.jpg", "image/jpeg"))
    path = f"/v1/uploads/{file['id']}"
    post = published(client, attachments=[file["id"]])
    problem(client.delete(path, headers=KIM), 409, "upload_in_use")
    headers = {**EDITOR, "If-Match": f'"{post["version"]}"'}
    body = {k: post[k] for k in ("title", "body", "category")} | {"attachments": []}
    post = ok(client.put(f"/v1/editor/posts/{post['id']}", json=body, headers=headers))
    problem(client.delete(path, headers=KIM), 409, "upload_in_use")
    ok(act(client, post, "publish"))
    for _ in range(2):
        assert client.delete(path, headers=KIM).status_code == 204
    assert state(client, file)["state"] == "deleted"
    assert stored(stack, file) == {}
    breaks(draft(client, attachments=[file["id"]]), ("body.attachments", "unknown_upload"))
    for _ in range(2):
        assert ok(client.post(path + "/restore", headers=KIM))["state"] == "clean"
    assert set(stored(stack, file)) == OF_A_PHOTO
    assert draft(client, attachments=[file["id"]]).status_code == 201


def test_files_that_no_post_ever_named_are_collected(client: httpx.Client, stack: Stack) -> None:
    orphan = ok(uploaded(client, pdf(), "a.pdf", "application/pdf"))
    named = ok(uploaded(client, pdf(), "b.pdf", "application/pdf"))
    ok(draft(client, attachments=[named["id"]]), 201)
    ok(client.post("/test/run-due", params={"ahead": 7 * 86400 + 601}))
    assert state(client, orphan)["state"] == "deleted"
    assert state(client, named)["state"] == "clean"
    assert stored(stack, orphan) == {}
    assert ok(client.post(f"/v1/uploads/{orphan['id']}/restore", headers=KIM))["state"] == "clean"


def test_in_aws_forms_lead_straight_to_the_bucket_s_region(stacks_of: Callable[..., Stack]) -> None:
    script = """
import sys, uuid, datetime
from app.uploads import storage
from app.uploads.models import Upload
at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)
print(storage.post_form(Upload(id=uuid.UUID(int=7), content_type="a/b", size=4, sha256="00" * 32,
                               expires_at=at)).url, file=open(sys.argv[1], "w"))
print(storage.link("files/x", "가.pdf", "application/pdf"), file=open(sys.argv[1], "a"))
"""
    stack = stacks_of("ministack")
    file = stack.directory / "urls"
    import subprocess
    import sys

    from familycorp_ops.servers.ministack import CREDENTIALS
    from familycorp_ops.servers.process import clean_environment
    from support.stack import BE_APP

    environment = clean_environment(**CREDENTIALS)
    subprocess.run([sys.executable, "-c", script, str(file)], cwd=BE_APP, env=environment, check=True)
    host = "https://familycorp-local-uploads.s3.ap-northeast-2.amazonaws.com/"
    post, get = file.read_text().splitlines()
    assert post == host
    assert get.startswith(host + "files/x?")


def scan_result(stack: Stack, upload: dict[str, Any], status: str, etag: str | None = None) -> dict[str, Any]:
    """Return GuardDuty's event of a scan."""
    key = f"quarantine/{upload['id']}"
    found = s3(stack).head_object(Bucket=stack.settings.uploads_bucket, Key=key)["ETag"].strip('"')
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Malware Protection Object Scan Result",
        "detail": {
            "scanStatus": "COMPLETED",
            "resourceType": "S3_OBJECT",
            "s3ObjectDetails": {
                "bucketName": stack.settings.uploads_bucket,
                "objectKey": key,
                "eTag": etag or found,
            },
            "scanResultDetails": {"scanResultStatus": status},
        },
    }


@pytest.mark.security(38)
def test_nothing_is_had_before_guardduty_has_scanned_it(stacks_of: Callable[..., Stack]) -> None:
    stack = stacks_of("seaweedfs", MALWARE_SCANNER="guardduty")
    with stack.client() as client:
        upload = sent(client, pdf(), "a.pdf", "application/pdf")
        for _ in range(2):
            assert ok(complete(client, upload))["state"] == "scanning"
        assert stored(stack, upload) == {}
        breaks(draft(client, attachments=[upload["id"]]), ("body.attachments", "unknown_upload"))
        hear(stack, scan_result(stack, upload, "NO_THREATS_FOUND", "0" * 32))
        assert state(client, upload)["state"] == "scanning", "that was another object"
        hear(stack, scan_result(stack, upload, "NO_THREATS_FOUND"))
        assert state(client, upload)["state"] == "clean"
        for status, reason in (
            ("THREATS_FOUND", "malware"),
            ("UNSUPPORTED", "not_scanned"),
            ("FAILED", "not_scanned"),
        ):
            upload = sent(client, pdf(), "a.pdf", "application/pdf")
            hear(stack, scan_result(stack, upload, status))  # Before anybody says that it is there.
            rejected(complete(client, upload), reason)
            assert stored(stack, upload, "quarantine") == {}


@pytest.mark.security(38)
def test_clamd_has_the_last_word(stacks_of: Callable[..., Stack], clamd: Clamd) -> None:
    stack = stacks_of("seaweedfs", MALWARE_SCANNER="clamd", CLAMD_ADDRESS=clamd.url)
    with stack.client() as client:
        assert ok(uploaded(client, pdf(), "a.pdf", "application/pdf"))["state"] == "clean"
        bad = archive({"note.txt": HARMLESS_MALWARE})
        rejected(uploaded(client, bad, "a.zip", "application/zip"), "malware")
        upload = sent(client, pdf(), "b.pdf", "application/pdf")
        clamd.suspend()
        clamd.kill()
        try:
            problem(complete(client, upload), 503, "storage_unavailable")
            assert state(client, upload)["state"] == "pending"
            assert stored(stack, upload) == {}
        finally:
            clamd.start()
        assert ok(complete(client, upload))["state"] == "clean"


def test_pages_of_other_companies_may_send_nothing(client: httpx.Client, stack: Stack) -> None:
    content = pdf()
    form = ok(announce(client, content, "a.pdf", "application/pdf"), 201)["form"]
    for origin, allowed in (
        ("https://www.familycorp.example", True),
        ("https://evil.example", False),
        ("https://www.familycorp.example.evil.example", False),
        ("null", False),
    ):
        for method in ("POST", "PUT"):
            asks = {
                "Origin": origin,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "x-amz-checksum-sha256",
            }
            answer = httpx.options(form["url"] + "/quarantine/x", headers=asks, trust_env=False)
            assert (answer.headers.get("Access-Control-Allow-Origin") == origin) == allowed, (origin, method)
            assert answer.headers.get("Access-Control-Allow-Origin") in {None, origin}


def test_the_bucket_forgets_what_it_should(client: httpx.Client, stack: Stack) -> None:
    store, bucket = s3(stack), stack.settings.uploads_bucket
    assert store.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rules = {r["ID"]: r for r in store.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert rules["deleted-files"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    assert rules["quarantine"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 2
    assert rules["quarantine"]["Expiration"]["Days"] == 2


def test_a_server_with_lifecycles_forgets_quarantine_and_keeps_files(
    tmp_path: Path, ministack: MiniStack, valkey: Valkey
) -> None:
    """Days pass as seconds; the thirty days of deleted files are too long to wait for."""
    try:
        with RadosGW(day_s=1) as radosgw:
            stack = Stack(tmp_path, ministack, valkey, S3_ENDPOINT_URL=radosgw.url)
            provision(stack.settings)
            store, bucket = s3(stack), stack.settings.uploads_bucket
            for key in ("files/kept", "files/deleted", "quarantine/left"):
                store.put_object(Bucket=bucket, Key=key, Body=b"x")
            store.delete_object(Bucket=bucket, Key="files/deleted")
            store.create_multipart_upload(Bucket=bucket, Key="quarantine/parts")

            def keys(operation: str, part: str) -> list[str]:
                return [item["Key"] for item in getattr(store, operation)(Bucket=bucket).get(part, ())]

            deadline = time.monotonic() + 120
            while (
                "quarantine/left" in keys("list_object_versions", "Versions")
                or keys("list_multipart_uploads", "Uploads") != []
            ):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert keys("list_objects_v2", "Contents") == ["files/kept"]
            assert keys("list_object_versions", "Versions") == ["files/deleted", "files/kept"]
    except NotInstalledError as error:
        missing("radosgw", error)


def test_the_worker_handles_the_buckets_events(stacks_of: Callable[..., Stack]) -> None:
    stack = stacks_of("ministack")
    worker = stack.program("-m", "app.functions.worker")
    with worker, stack.client() as client:
        upload = sent(client, photo(), "a.jpg", "image/jpeg")
        deadline = time.monotonic() + 120
        while state(client, upload)["state"] == "pending":
            assert time.monotonic() < deadline, worker.tail(40)
            time.sleep(0.2)
        assert state(client, upload)["state"] == "clean"


def test_readers_have_priority_over_a_photo(tmp_path: Path) -> None:
    source = tmp_path / "source"
    os.mkfifo(source)  # It can be opened for writing once the program is about to read the photo.
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(images.render, source, "image/jpeg")
        photo: int | None = None
        while photo is None and not making.done():
            with suppress(OSError):
                photo = os.open(source, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.01)
        assert photo is not None
        # Servers of other tests may be children, too.
        (child,) = (c for c in psutil.Process().children() if str(source) in c.cmdline())
        assert child.nice() > psutil.Process().nice()
        os.close(photo)
        with pytest.raises(Rejection):
            making.result()
