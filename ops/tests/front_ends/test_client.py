"""The typed client of front ends: its build, and pages of another origin that use it in a real browser."""

import gzip
import io
import json
import re
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfWriter

from familycorp_ops.docs.contract import FILE
from familycorp_ops.local.totp import code
from familycorp_ops.servers.process import LOOPBACK, free_port
from familycorp_ops.testing.front_end import CLIENT, node

MOST_BYTES = 8 * 1024

MISUSES = """
import { Client } from "@familycorp/client";
const client = new Client({ baseUrl: "" });
const content = { title: "a", body: "a", category: "news" };
await client.put("/v1/editor/posts/{post_id}", { path: { post_id: "" }, ifMatch: "", body: content });
// @ts-expect-error A change quotes the version that it starts from.
await client.put("/v1/editor/posts/{post_id}", { path: { post_id: "" }, body: content });
// @ts-expect-error There is no such path.
await client.get("/v1/nothing");
// @ts-expect-error A path has its parameters.
await client.get("/v1/posts/{id_or_slug}");
// @ts-expect-error A search has words.
await client.get("/v1/search");
// @ts-expect-error This isn't paginated.
client.items("/v1/categories");
// @ts-expect-error A post's title is text.
const title: number = (await client.get("/v1/posts/{id_or_slug}", { path: { id_or_slug: "" } })).data.title;
// The honeypot and other optional fields aren't demanded.
const form = { name: "a", email: "a@b.kr", subject: "a", message: "a", consent: true } as const;
const id: string = (await client.post("/v1/inquiries", { body: form })).data.id;
"""


@pytest.mark.usefixtures("client_modules")
def test_what_its_page_shows_compiles_and_what_is_wrong_does_not(tmp_path: Path) -> None:
    examples = re.findall(r"```ts\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
    assert len(examples) == 5
    for number, text in enumerate([*examples, MISUSES]):
        (tmp_path / f"{number}.ts").write_text(text)
    options = {
        "noEmit": True,
        "rootDir": "/",
        "paths": {"@familycorp/client": [str(CLIENT / "dist" / "index.d.ts")]},
    }
    whole = {"extends": str(CLIENT / "tsconfig.json"), "compilerOptions": options, "include": ["*.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(whole))
    node("node_modules/.bin/tsc", "-p", str(tmp_path))


def test_its_package_is_small_complete_and_of_the_contracts_version(
    client_modules: Mapping[str, bytes], tmp_path: Path
) -> None:
    node("npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", str(tmp_path))
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        members = {name.removeprefix("package/") for name in package.getnames()}
    modules = {f"dist/{name}" for name in client_modules}
    assert members == {"package.json", "README.md"} | modules | {f"{m[:-3]}.d.ts" for m in modules}
    assert len(gzip.compress(b"".join(client_modules.values()))) <= MOST_BYTES
    manifest = json.loads((CLIENT / "package.json").read_text())
    assert manifest["version"] == json.loads(FILE.read_text())["info"]["version"]
    assert "dependencies" not in manifest


def test_the_console_has_its_modules(client_modules: Mapping[str, bytes]) -> None:
    console = FILE.parents[1] / "be-app" / "app" / "console" / "client"
    found = {file.name: file.read_bytes() for file in console.iterdir()}
    assert found == {name: client_modules[name] for name in found}, "`make client` copies them"


@pytest.fixture(scope="module")
def site(chromium, running, client_modules):
    """A front end of another origin in a browser, where an admin is signed in."""
    api = running["FAMILYCORP_API_URL"]
    page = f"""<!doctype html><meta charset="utf-8"><title>Front end</title>
        <input type="file" aria-label="File"><script type="module">
        import {{ Client, Problem }} from "/index.js";
        window.Client = Client;
        window.asked = 0;
        window.stepUp = async (factor) => {{ window.asked += 1; await factor.code(window.codes.pop()); }};
        window.client = new Client({{ baseUrl: "{api}", language: "ko", stepUp: (factor) => stepUp(factor) }});
        window.problem = (promise) => promise.then(() => null, (error) => (
            {{ is: error instanceof Problem, ...error, message: error.message, title: error.of?.("body.name") }}
        ));
    </script>"""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0][1:]
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if name else "text/html")
            self.end_headers()
            self.wfile.write(client_modules.get(name, b"") if name else page.encode())

        def log_message(self, *_: Any) -> None:
            """Leave the terminal to the tests."""

    # A real server: Chromium takes a page of Playwright for one of the public network, which may not call loopback.
    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server, chromium.new_context() as context:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Site(context, f"http://localhost:{server.server_port}/")
        finally:
            server.shutdown()


class Site:
    """Tabs of a browser on a front end."""

    def __init__(self, context: Any, url: str) -> None:
        self.context, self.url = context, url
        self.tab = self.open()
        self.tab.evaluate("client.signIn()")
        self.tab.get_by_label("Username").fill("admin")
        self.tab.get_by_label("Password").fill("admin")
        self.tab.get_by_role("button", name="Authorize").click()
        self.tab.wait_for_function("window.client && location.search.includes('login=')")
        assert self.tab.evaluate("client.signedIn()") == "second-factor"
        assert self.tab.url == url, "what the login left in the address is gone"
        self.codes: list[str] = self._enrol()

    def open(self) -> Any:
        page = self.context.new_page()
        page.goto(self.url)
        page.wait_for_function("window.client")
        return page

    def _enrol(self) -> list[str]:
        secret = self.tab.evaluate("client.post('/v1/auth/enrolment/totp').then((a) => a.data.secret)")
        confirm = "client.post('/v1/auth/enrolment/totp/confirm', { body: { code } })"
        codes: list[str] = self.tab.evaluate(
            f"(code) => {confirm}.then((a) => a.data.recoveryCodes)", code(secret, time.time())
        )
        return codes


def holding() -> tuple[list[Any], Callable[[Any], None]]:
    """Return a list, and what keeps requests in it instead of sending them."""
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    return held, hold


def test_tabs_whose_tokens_expired_share_one_renewal(site: Site) -> None:
    first, second = site.tab, site.open()
    held, hold = holding()
    renewals: list[str] = []
    site.context.on(
        "request",
        lambda r: (
            renewals.append(r.method) if (r.method, r.url.endswith("/refresh")) == ("POST", True) else None
        ),
    )
    site.context.route("**/v1/auth/refresh", hold, times=1)
    site.context.clear_cookies(name="__Host-access")
    begin = """() => {
        const me = () => client.get("/v1/auth/me").then((answer) => answer.data.role);
        window.roles = Promise.all([me(), me()]);
    }"""
    with first.expect_request("**/v1/auth/refresh"):
        first.evaluate(begin)
    with second.expect_response("**/v1/auth/me"):
        second.evaluate(begin)
    (renewal,) = held
    renewal.abort()  # Its response is lost, so it is repeated at once.
    for tab in (first, second):
        assert tab.evaluate("roles") == ["admin", "admin"]
    assert renewals == ["POST", "POST"]
    second.close()


def test_a_request_that_needs_a_second_factor_goes_on_after_it(site: Site) -> None:
    tab = site.tab

    def demand(route: Any) -> None:
        allowed = {"Access-Control-Allow-Origin": site.url[:-1], "Access-Control-Allow-Credentials": "true"}
        kind = "application/problem+json"
        told = {"code": "step_up_required", "title": "-", "status": 403}
        route.fulfill(status=403, headers=allowed, content_type=kind, body=json.dumps(told))

    site.context.clear_cookies(name="__Host-access")  # The proof itself meets an expired token.
    tab.route("**/v1/members*", demand, times=2)
    names = tab.evaluate(
        """async (codes) => {
            window.codes = codes;
            const list = () => client.get("/v1/members").then((answer) => answer.data.items.map((m) => m.email));
            return Promise.all([list(), list()]);
        }""",
        [site.codes.pop(), site.codes.pop()],
    )
    assert names == [["admin@familycorp.example"]] * 2
    assert tab.evaluate("asked") == 1, "both waited for one proof"
    refused = tab.evaluate("window.codes = ['wrong'], problem(client.secondFactor.code('wrong-code'))")
    assert refused["code"] == "second_factor_rejected"


def test_problems_are_typed_and_in_the_language_of_the_client(site: Site) -> None:
    form = {"name": "", "email": "a@b.kr", "subject": "a", "message": "a", "consent": True}
    send = "(form) => problem(CLIENT.post('/v1/inquiries', { body: form }))"
    korean = site.tab.evaluate(send.replace("CLIENT", "client"), form)
    english = "new Client({ baseUrl: client.baseUrl, language: 'en' })"
    other = site.tab.evaluate(send.replace("CLIENT", english), form)
    assert korean["is"]
    assert (
        (korean["status"], korean["code"]) == (other["status"], other["code"]) == (422, "validation_failed")
    )
    assert korean["requestId"]
    assert re.search("[가-힣]", korean["title"])
    assert not re.search("[가-힣]", other["title"])
    nowhere = site.tab.evaluate(
        f"problem(new Client({{ baseUrl: 'http://localhost:{free_port()}' }}).get('/health'))"
    )
    assert (nowhere["code"], nowhere["status"]) == ("network_error", 0)


def test_a_login_that_could_not_come_back_is_not_begun(site: Site) -> None:
    page = site.context.new_page()
    page.goto(site.url.replace("localhost", LOOPBACK))
    page.wait_for_function("window.client")
    begun = "(() => { try { return client.signIn() } catch (error) { return error.message } })()"
    assert "by localhost" in page.evaluate(begun)
    page.close()


def test_a_list_is_read_to_its_end(site: Site) -> None:
    read, whole = site.tab.evaluate(
        """async () => {
            const read = [];
            for await (const { id } of client.items("/v1/posts", { query: { limit: 3 } })) read.push(id);
            const { data } = await client.get("/v1/posts", { query: { limit: 100 } });
            return [read, data.items.map((post) => post.id)];
        }"""
    )
    assert read == whole
    assert len(read) > 3


def test_an_upload_in_parts_is_paused_and_goes_on(site: Site) -> None:
    document = io.BytesIO()
    writer = PdfWriter()
    writer.add_blank_page(595, 842)
    writer.add_attachment("bytes.bin", bytes(range(256)) * 50_000)
    writer.write(document)
    tab = site.tab
    tab.get_by_label("File").set_input_files(
        {"name": "사업보고서.pdf", "mimeType": "application/pdf", "buffer": document.getvalue()}
    )
    sent: list[str] = []
    tab.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    _, hold = holding()
    tab.route(re.compile("partNumber=2"), hold, times=1)
    with tab.expect_request(re.compile("partNumber=2")):
        tab.evaluate(
            """() => {
                window.shares = [];
                const onProgress = (share) => shares.push(share);
                const [file] = document.querySelector("input").files;
                window.upload = client.upload(file, { purpose: "attachment", onProgress });
            }"""
        )
    assert tab.evaluate("upload.pause(), upload.paused")
    tab.evaluate("upload.resume()")
    state, shares = tab.evaluate("upload.done.then(({ state }) => [state, shares])")
    assert state == "clean"
    assert shares[-1] == 1
    assert len({round(share, 3) for share in shares}) > 1
    parts = [re.findall(r"partNumber=(\d)", url)[0] for url in sent]
    assert parts == ["1", "2", "2"], "what arrived isn't sent again"
