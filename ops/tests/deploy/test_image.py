"""How the images are built: bases by digest, by any of the tools, and their content.

What `make image` really makes is tested in be-app's `test_image.py`.
"""

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest

from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.servers import web_adapter
from familycorp_ops.servers.loopback import LoopbackServer
from familycorp_ops.servers.process import clean_environment

DOCKERFILE = (ROOT / "be-app" / "Dockerfile").read_text()


def stage(name: str) -> str:
    """Return a stage of the Dockerfile with those that it stands on."""
    found = re.search(rf"(?ms)^FROM (\S+) AS {name}$(.*?)(?=^FROM |\Z)", DOCKERFILE)
    assert found, name
    return ("" if found[1].startswith("$") else stage(found[1])) + found[2]


def test_bases_are_named_once_and_the_image_doesnt_run_as_root() -> None:
    bases = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
    assert bases.keys() == {"PYTHON", "UV", "ADAPTER"}
    assert not any(base.endswith(":latest") or base.rpartition(":")[0] == "" for base in bases.values())
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE):
        assert base.strip("${}") in bases.keys() | stages
    for target in ("functions", "http"):
        assert re.findall(r"^USER (\S+)$", stage(target), re.MULTILINE)[-1] == "65534:65534"
        # Nothing runs in what is deployed, so that the same source gives the same layers.
        assert "\nRUN " not in stage(target)
    # Nothing is fetched that isn't pinned: not even what understands the Dockerfile.
    assert not DOCKERFILE.startswith("# syntax")


def test_the_adapter_is_in_the_image_that_serves_http_alone_and_keeps_requests_out_of_logs() -> None:
    assert "lambda-adapter" not in stage("functions")
    http = stage("http")
    assert "/opt/extensions/lambda-adapter" in http
    assert re.search(r"\bRUST_LOG=warn\b", http)
    assert "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS=200-299" in http
    # Lambda's emulator listens on 8080 in `sam local`, and on 9001 everywhere.
    ports = set(re.findall(r"_PORT=(\d+)", http))
    assert len(ports) == 1
    assert not ports & {"8080", "9001"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A repository that has what builds an image, a Docker that notes its calls, and pinned bases."""
    for name in ("Makefile", "be-app/Dockerfile"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    # This environment stands for the copy's own.
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    for name, text in (("docker", DOCKER), ("podman", "#!/bin/sh\nexit 1\n")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    return tmp_path


def run(copy: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(PATH=f"{copy / 'bin'}:{os.environ['PATH']}", **variables)
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


# Docker's default builder writes no OCI archive, as on GitHub's machines.
DOCKER = """#!/bin/sh
echo "$*" >>docker.log
case "$*" in
  "version "*) ;;
  "buildx inspect "*) [ -e made-"$3" ];;
  "buildx create "*) case "$*" in *"--driver docker-container"*) touch made-"$4";; *) exit 1;; esac;;
  "buildx build "*) case "$*" in *"--builder "*) [ -e made-"$4" ] || exit 1
    to=${*##*dest=}; cp archive.tar "${to%%,*}";; *) exit 1;; esac;;
  "buildx imagetools "*) echo sha256:0000000000000000000000000000000000000000000000000000000000000000;;
  *) exit 1;;
esac
"""


def test_without_pinned_bases_make_refuses_to_build_an_image(copy: Path) -> None:
    ran = run(copy, "make", "image", "-o", ".venv/.run")
    assert ran.returncode != 0
    assert "make base-images" in ran.stderr
    assert not (copy / "docker.log").exists()


def test_docker_builds_both_images_with_a_pinned_builder_that_writes_oci_archives(copy: Path) -> None:
    pins = {name: f"sha256:{str(n) * 64}" for n, name in enumerate(("PYTHON", "UV", "ADAPTER", "BUILDKIT"))}
    (copy / "be-app" / "base-images.env").write_text(
        "".join(f"# its name\n{name}_DIGEST={digest}\n" for name, digest in pins.items())
    )
    archive(copy / "archive.tar")
    for _ in range(2):  # The second time the builder is there.
        ran = run(copy, "make", "image", "-o", ".venv/.run")
        assert ran.returncode == 0, ran.stdout + ran.stderr
    said = (copy / "docker.log").read_text().splitlines()
    (created,) = [line for line in said if line.startswith("buildx create ")]
    assert f"--driver-opt image=docker.io/moby/buildkit@{pins['BUILDKIT']}" in created
    built = [line for line in said if line.startswith("buildx build ")]
    assert [re.search(r"--target (\S+)", line)[1] for line in built] == ["functions", "http"] * 2  # type: ignore[index]
    for line in built:
        for name in ("PYTHON", "UV", "ADAPTER"):
            assert re.search(rf"--build-arg {name}=[a-z./-]+@{pins[name]} ", line)
        # The same source gives the same digest, whenever it is built.
        assert "--build-arg SOURCE_DATE_EPOCH=0 " in line
        assert re.search(r"type=oci,dest=\S+/build/image-(functions|http)\.tar,rewrite-timestamp=true", line)
    assert "in all (bounds: 110, 270)" in ran.stdout


def archive(to: Path) -> None:
    """Write an OCI archive of an image without layers."""
    blobs = to.parent / "layout" / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    step = {"created_by": "COPY in /", "empty_layer": True, "comment": "FROM c32a"}
    (blobs / "c").write_text(json.dumps({"history": [step]}))
    (blobs / "m").write_text(json.dumps({"config": {"digest": "sha256:c"}, "layers": []}))
    (blobs.parents[1] / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:m"}]}))
    subprocess.run(["tar", "-cf", to, "-C", blobs.parents[1], "blobs", "index.json"], check=True)


BUILDAH = """#!/bin/sh
echo "$*" >>buildah.log
case "$1" in
  build) while [ "$1" != --iidfile ]; do shift; done; echo sha256:built >"$2";;
  push) mkdir -p "${4#oci:}"; tar -xf archive.tar -C "${4#oci:}";;
esac
"""


def test_an_image_is_written_by_its_id_because_another_build_may_take_its_name(copy: Path) -> None:
    pins = "".join(f"{name}_DIGEST=sha256:{'0' * 64}\n" for name in ("PYTHON", "UV", "ADAPTER"))
    (copy / "be-app" / "base-images.env").write_text(pins)
    for name, text in (("docker", "#!/bin/sh\nexit 1\n"), ("buildah", BUILDAH)):
        (copy / "bin" / name).write_text(text)
        (copy / "bin" / name).chmod(0o755)
    archive(copy / "archive.tar")
    ran = run(copy, "make", "image", "-o", ".venv/.run")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = (copy / "buildah.log").read_text().splitlines()
    assert [line.split()[2] for line in said if line.startswith("push ")] == ["built", "built"]
    # Nor does it say which images its stages were, whose ids differ from time to time.
    with tarfile.open(copy / "build" / "image-http.tar") as written:
        told = [written.extractfile(m).read() for m in written if m.isfile()]  # type: ignore[union-attr]
    assert b"COPY in /" in b"".join(told)
    assert b"FROM c32a" not in b"".join(told)


@pytest.mark.parametrize("tag", ["0.9.1", "v0.8.4", "latest", "1"])
def test_releases_of_the_adapter_before_1_0_are_refused(copy: Path, tag: str) -> None:
    ran = run(copy, "make", "base-images", ADAPTER_TAG=tag)
    assert ran.returncode != 0
    assert f"{tag} isn't release 1.0 or later" in ran.stderr
    assert not (copy / "be-app" / "base-images.env").exists()


def test_base_images_pins_what_the_dockerfile_names(copy: Path) -> None:
    ran = run(copy, "make", "base-images", ADAPTER_TAG="1.2.3")
    assert ran.returncode == 0, ran.stderr
    text = (copy / "be-app" / "base-images.env").read_text()
    assert "# public.ecr.aws/awsguru/aws-lambda-adapter:1.2.3\nADAPTER_DIGEST=sha256:0" in text
    assert re.search(
        r"^# public.ecr.aws/docker/library/python:\S+\nPYTHON_DIGEST=sha256:0", text, re.MULTILINE
    )


class Echo(BaseHTTPRequestHandler):
    """A web server that notes the request line and headers, and answers as the path asks."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.requestline, {n.lower(): v for n, v in self.headers.items()}))
        kind, body, header = ANSWERS[self.path.partition("?")[0].rpartition("/")[2]]
        self.send_response(200)
        if kind:
            self.send_header("Content-Type", kind)
        for value in header:
            self.wfile.flush()
            self._headers_buffer.append(b"X-Said: " + value + b"\r\n")  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


ANSWERS: dict[str, tuple[str, bytes, list[bytes]]] = {
    "problem": ("application/problem+json", b"{}", []),
    "feed": ("application/feed+json; charset=utf-8", b"{}", []),
    "atom": ("application/atom+xml", b"<a/>", []),
    "svg": ("image/svg+xml", b"<svg/>", []),
    "typeless": ("", b"text", []),
    "png": ("image/png", b"\x89PNG", []),
    "broken": ("text/plain", b"\xff", []),
    "a%b": ("text/plain", b"", []),
    "twice": ("text/plain", b"", [b"first", b"second"]),
    "latin": ("text/plain", b"", [b"caf\xe9"]),
}


@pytest.fixture(scope="module")
def adapter() -> Iterator[Any]:
    with LoopbackServer(Echo) as server:
        connection = HTTPConnection("127.0.0.1", server.port)
        context = web_adapter.invocation_context({"Lambda-Runtime-Aws-Request-Id": "id"})

        def ask(path: str, **more: Any) -> dict[str, Any]:
            event = {
                "headers": {"host": "api.example"}, "rawPath": f"/{path}", "rawQueryString": "",
                "requestContext": {"http": {"method": "GET"}},
            }  # fmt: skip
            return web_adapter.answer(connection, event | more, context)

        yield ask
        connection.close()


def test_the_stand_in_hands_bodies_on_as_the_adapter_does(adapter: Any) -> None:
    for path in ("problem", "feed", "atom", "svg", "typeless"):
        said = adapter(path)
        assert (said["isBase64Encoded"], said["body"].encode()) == (False, ANSWERS[path][1]), path
    assert adapter("png")["isBase64Encoded"]
    assert adapter("broken")["body"] == ""


def test_the_stand_in_makes_requests_as_the_adapter_does(adapter: Any) -> None:
    adapter("a%b", cookies=["a=1", "b=2"])
    line, headers = Echo.seen[-1]
    assert line == "GET /a%b HTTP/1.1"
    assert headers["cookie"] == "a=1;b=2"
    assert headers["content-length"] == "0"
    assert json.loads(headers["x-amzn-lambda-context"]).keys() == {
        *("request_id", "deadline", "invoked_function_arn", "xray_trace_id", "client_context", "identity"),
        "env_config",
    }


def test_the_stand_in_keeps_the_first_of_repeated_headers_and_fails_on_other_than_utf8(adapter: Any) -> None:
    assert adapter("twice")["headers"]["x-said"] == "first"
    with pytest.raises(UnicodeDecodeError):
        adapter("latin")


@pytest.mark.parametrize(
    ("variables", "logged"),
    [
        ({}, False),
        ({"AWS_LAMBDA_LOG_LEVEL": "DEBUG"}, True),
        ({"AWS_LAMBDA_LOG_LEVEL": "DEBUG", "RUST_LOG": "warn"}, False),
    ],
)
def test_the_stand_in_logs_headers_at_debug_unless_rust_log_says_otherwise(
    adapter: Any,
    variables: dict[str, str],
    logged: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    adapter("typeless", cookies=["__Host-access=secret"])
    assert ("secret" in capsys.readouterr().out) is logged
