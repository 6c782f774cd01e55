"""People at their browsers, who use what was deployed: what a smoke test can't, because it writes."""

import hashlib
import secrets
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

from familycorp_ops.local.login import browser, log_in
from familycorp_ops.local.totp import STEP_S, code
from familycorp_ops.rehearse.promise import expect

PATIENCE_S: Final = 300
"""How long a request may take: the emulator unpacks each new function, for half a minute on a busy machine."""
CSRF: Final = {"X-CSRF-Protection": "1"}


def picture() -> bytes:
    """Return a PNG of one pixel, of another colour each time."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        length, checksum = len(content).to_bytes(4, "big"), zlib.crc32(kind + content).to_bytes(4, "big")
        return length + kind + content + checksum

    header = (1).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    pixels = zlib.compress(b"\0" + secrets.token_bytes(3))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


class ByName(httpx.BaseTransport):
    """Reaches hosts by their names, as DNS would have it, on their stand-ins.

    Args:
        trust: what certificates are verified with.
        places: where each `https://host[:port]` really is: an origin, or one with a path before every other.
    """

    def __init__(self, trust: Any, places: Mapping[str, str]) -> None:
        self._places = {httpx.URL(name).netloc: httpx.URL(place) for name, place in places.items()}
        self._inner = httpx.HTTPTransport(verify=trust, retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request where its host is."""
        place = self._places.get(request.url.netloc)
        if place is None:
            return self._inner.handle_request(request)
        prefix = place.raw_path.rstrip(b"/")
        url = place.copy_with(raw_path=prefix + request.url.raw_path)
        headers = [(k, v) for k, v in request.headers.raw if k.lower() != b"host"]
        host = request.url.netloc if not prefix else place.netloc
        sent = httpx.Request(
            request.method, url, headers=[(b"Host", host), *headers], stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host if not prefix else place.host},
        )  # fmt: skip
        return self._inner.handle_request(sent)

    def close(self) -> None:
        """Close every connection."""
        self._inner.close()


class Staff:
    """Somebody of the staff at a browser, with an authenticator once they enrolled one.

    Args:
        client: a browser whose base is the API's origin.
        username: at the login provider, where the password is the same word.
        site: page of the company to which a login leads back.
    """

    def __init__(self, client: httpx.Client, username: str, site: str) -> None:
        self.client, self.username, self._site = client, username, site
        self.secret = ""
        self._step = 0

    def log_in(self) -> None:
        """Log in with password and second factor, which is enrolled the first time."""
        api = str(self.client.base_url).rstrip("/")
        start = httpx.URL(f"{api}/v1/auth/login", params={"returnTo": f"{self._site}/staff"})
        until = f"{api}/v1/auth/callback"
        back = log_in(self.client, str(start), self.username, self.username, until=until)
        expect(back.has_redirect_location, f"the login leads nowhere: {back.status_code} {back.text[:300]}")
        answer = self.client.get(back.headers["location"])
        location = httpx.URL(answer.headers.get("location", ""))
        outcome = location.params.get("login")
        expect(
            outcome == "second-factor",
            f"after the password comes {answer.status_code} {outcome} {answer.text[:300]}",
        )
        if self.secret:
            proven = self.post("/v1/auth/second-factor", {"method": "totp", "code": self._code()})
        else:
            begun = self.post("/v1/auth/enrolment/totp")
            expect(begun.status_code == 200, f"no authenticator can be enrolled: {begun.text}")
            self.secret = begun.json()["secret"]
            proven = self.post("/v1/auth/enrolment/totp/confirm", {"code": self._code()})
        expect(proven.status_code == 200, f"the second factor isn't taken: {proven.text}")

    def _code(self) -> str:
        # No code counts twice, so a second one comes from the step after.
        self._step = max(int(time.time()) // STEP_S, self._step + 1)
        return code(self.secret, self._step * STEP_S)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send JSON."""
        return self.client.post(path, json=body, headers=CSRF | headers)

    def make_category(self, slug: str) -> None:
        """Make a category."""
        answer = self.post("/v1/editor/categories", {"slug": slug, "name": {"ko": slug, "en": slug}})
        expect(answer.status_code == 201, f"no category: {answer.status_code} {answer.text}")

    def publish(self, **content: Any) -> dict[str, Any]:
        """Write and publish a post; return it as the editor sees it."""
        unique = uuid.uuid4().hex[:8]
        text = {"lang": "ko", "category": "news", "slug": f"post-{unique}", "title": f"리허설 {unique}"}
        draft = self.post("/v1/editor/posts", {**text, "body": "본문입니다.", **content})
        expect(draft.status_code == 201, f"no draft: {draft.status_code} {draft.text}")
        post = draft.json()
        version = {"If-Match": f'"{post["version"]}"'}
        answer = self.post(f"/v1/editor/posts/{post['id']}/publish", **version)
        expect(answer.status_code == 200, f"not published: {answer.status_code} {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    def upload(self, trust: Any) -> str:
        """Send a picture straight to S3 and have it checked; return its id."""
        content = picture()
        digest = hashlib.sha256(content).hexdigest()
        wanted = {
            "name": "점.png",
            "contentType": "image/png",
            "size": len(content),
            "sha256": digest,
            "purpose": "image",
        }
        created = self.post("/v1/uploads", wanted)
        expect(created.status_code == 201, f"no upload: {created.status_code} {created.text}")
        upload = created.json()
        form = upload["form"]
        with httpx.Client(verify=trust, trust_env=False, timeout=PATIENCE_S) as s3:
            tampered = form["fields"] | {"key": "quarantine/elsewhere"}
            refused = s3.post(form["url"], data=tampered, files={"file": ("f", content)})
            expect(
                refused.status_code == 403, f"a form that was changed is answered with {refused.status_code}"
            )
            sent = s3.post(form["url"], data=form["fields"], files={"file": ("f", content)})
        expect(sent.status_code == 204, f"S3 answers {sent.status_code} {sent.text[:300]}")
        completed = self.post(f"/v1/uploads/{upload['id']}/complete")
        expect(
            completed.status_code in {200, 202}, f"not completed: {completed.status_code} {completed.text}"
        )
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            state = self.client.get(f"/v1/uploads/{upload['id']}").json().get("state")
            if state == "clean":
                return str(upload["id"])
            expect(state != "rejected", "the picture was rejected")
            time.sleep(0.5)
        expect(holds=False, broken=f"the picture wasn't checked within {PATIENCE_S} s")
        raise AssertionError


@contextmanager
def at_browser(trust: Any, places: Mapping[str, str], api: str, username: str, site: str) -> Iterator[Staff]:
    """Open a browser for one of the provider's people."""
    with browser(api, transport=ByName(trust, places)) as client:
        client.timeout = httpx.Timeout(PATIENCE_S)
        yield Staff(client, username, site)
