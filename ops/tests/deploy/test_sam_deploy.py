"""`sam build && sam deploy --guided`, as the original document has it, on an emulator and a stand-in for Docker."""

import json
import os
import re
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from familycorp_ops import facts
from familycorp_ops.deploy import templates
from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.deploy.release import SAM
from familycorp_ops.servers.loopback import LoopbackServer
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack, client
from familycorp_ops.servers.process import NotInstalledError, clean_environment
from familycorp_ops.testing.servers import missing

pytestmark = pytest.mark.package


class Docker(BaseHTTPRequestHandler):
    """As much of Docker's API as SAM uses to build and push: it makes nothing, and notes what it was told."""

    protocol_version = "HTTP/1.1"
    built: ClassVar[dict[str, str]] = {}
    pushed: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer()

    def answer(self) -> None:
        asked = urlsplit(self.path)
        path, query = re.sub(r"^/v[\d.]+", "", unquote(asked.path)), parse_qs(asked.query)
        said: object = {}
        match path.strip("/").split("/"):
            case ["version"]:
                said = {"ApiVersion": "1.44", "Version": "27.0"}
            case ["build"]:
                self.built[query["t"][0]] = query["target"][0]
                said = {"stream": "Successfully built 0123456789ab\n"}
            case ["images", *name, "json"]:
                said = {"Id": "sha256:0123456789ab", "RepoTags": ["/".join(name)]}
            case ["images", *name, "push"]:
                self.pushed.append(f"{'/'.join(name)}:{query['tag'][0]}")
        body = b"OK" if path == "/_ping" else json.dumps(said).encode()
        self.send_response(201 if path.endswith("/tag") else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def sam(*arguments: str, engine: str, aws: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = clean_environment(
        **CREDENTIALS, AWS_ENDPOINT_URL=aws, DOCKER_HOST=engine.replace("http", "tcp"), SAM_CLI_TELEMETRY="0"
    )
    return subprocess.run(
        [str(SAM), *arguments], cwd=ROOT, env=environment,
        input=given, capture_output=True, text=True, check=False,
    )  # fmt: skip


def parameters(aws: str) -> None:
    """Keep in Parameter Store what Terraform would."""
    named = re.findall(
        r"/familycorp/dev/(\S+)", (ROOT / "ops" / "sam" / "parameters" / "dev.yaml").read_text()
    )
    put = client(aws, "ssm").put_parameter
    for name in {*named, *templates.parameters(templates.IMAGE)}:
        put(Name=f"/familycorp/dev/{name}", Value="1", Type="String", Overwrite=True)


def test_what_sam_built_is_pushed_and_deployed_without_a_digest(ministack: MiniStack, tmp_path: Path) -> None:
    """It goes as far as the change set: the emulator knows neither CodeDeploy nor rotation schedules."""
    if not os.access(SAM, os.X_OK):
        missing("sam", NotInstalledError("SAM isn't installed: `make package-test` installs it."))
    aws, built, config = ministack.url, tmp_path / "build", tmp_path / "samconfig.toml"
    # SAM saves the answers in the file that it read them from.
    shutil.copy(ROOT / "samconfig.toml", config)
    parameters(aws)
    with LoopbackServer(Docker) as docker:
        ran = sam("build", "--build-dir", str(built), engine=docker.url, aws=aws)
        assert ran.returncode == 0, ran.stderr
        assert sorted(Docker.built.values()) == ["sam-functions", "sam-http"]

        command = ["deploy", "--guided", "--config-file", str(config), "--config-env", "dev"]
        command += ["--template-file", str(built / "template.yaml")]
        # Enter takes what samconfig.toml and the template say, and repositories of SAM's own.
        ran = sam(*command, engine=docker.url, aws=aws, given="\n" * 30)
    assert "Parameter ImageDigest []:" in ran.stdout
    bucket = re.search(r"Managed S3 bucket: (\S+)", ran.stdout)
    assert bucket, ran.stdout + ran.stderr
    s3 = client(aws, "s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket[1])["Contents"]]
    texts = [s3.get_object(Bucket=bucket[1], Key=key)["Body"].read().decode() for key in keys]
    # The other one is of SAM's own stack, with the repositories.
    (tmp_path / "deployed.yaml").write_text(*[text for text in texts if "ImageUri" in text])
    deployed = templates.functions(templates.load(tmp_path / "deployed.yaml"))
    assert deployed.keys() == facts.FUNCTIONS.keys()
    assert sorted(function["ImageUri"] for function in deployed.values()) == sorted(Docker.pushed)
