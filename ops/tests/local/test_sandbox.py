"""The rehearsal's functions see what Lambda would show them, and nothing of this machine's own packages."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from familycorp_ops.deploy import infra
from familycorp_ops.rehearse import sandbox
from familycorp_ops.rehearse.cloud import MiniStackWithoutGaps
from familycorp_ops.servers.ministack import CREDENTIALS, REGION
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.servers import missing

WORKER = """
import json, os, socket, sys
def refused(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return error.strerror
def resolved(name):
    try:
        return socket.gethostbyname(name)
    except OSError:
        return None
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "site": [p for p in sys.path if "site-packages" in p],
    "layer": open("/opt/opa/bundle/policy.wasm").read(),
    "read-only": [refused(p) for p in ("/var/task/x", "/opt/x", "/usr/x")],
    "tmp": os.listdir("/tmp") and refused("/tmp/x"),
    "names": [resolved(n) for n in ("database.example", "elsewhere.example")],
    "leaked": sorted(k for k in os.environ if k in ("SECRET", "PYTHONPATH", "AWS_CONFIG_FILE")),
    "kept": [os.environ["FAMILYCORP_ENV"], os.environ["LAMBDA_TASK_ROOT"]],
    "ca": open(os.environ["AWS_CA_BUNDLE"]).read(),
}))
"""


def test_a_function_sees_what_lambda_would_show(tmp_path: Path) -> None:
    try:
        sandbox.check()
        sandbox.python()
    except NotInstalledError as error:
        missing("sandbox", error)
    code, layer, ca = tmp_path / "code", tmp_path / "layer" / "opa" / "bundle", tmp_path / "ca.pem"
    code.mkdir()
    layer.mkdir(parents=True)
    (layer / "policy.wasm").write_text("policy")
    ca.write_text("authority")
    (tmp_path / "worker.py").write_text(WORKER)
    program = sandbox.make(tmp_path / "sandbox", ca)
    sandbox.resolve(tmp_path / "sandbox" / "hosts", "fn", {"database.example": "127.0.0.2"})
    ran = subprocess.run(
        [str(program), str(tmp_path / "worker.py")],
        cwd=code,
        env={
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_NAME": "fn",
            "_LAMBDA_LAYERS_DIRS": str(tmp_path / "layer"),
            "FAMILYCORP_ENV": "dev",
            "SECRET": "s",
            "PYTHONPATH": "/somewhere",
            "AWS_CONFIG_FILE": "/dev/null",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "version": "3.12",
        "site": [],
        "layer": "policy",
        "read-only": ["Read-only file system"] * 3,
        "tmp": None,
        "names": ["127.0.0.2", None],
        "leaked": [],
        "kept": ["dev", "/var/task"],
        "ca": "authority",
    }


def test_the_code_has_amazons_authorities_where_they_are_replaced() -> None:
    """Elsewhere a function would trust Amazon's alone, and no database of a rehearsal."""
    assert (infra.ROOT / "be-app" / sandbox.RDS_CA).is_file()


def test_a_machine_without_namespaces_gets_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotInstalledError, match="unshare"):
        sandbox.check()


PROGRAM = """#!{python}
import json, sys
sys.stdin.readline()
print(json.dumps({{"status": "ready"}}), flush=True)
for line in sys.stdin:
    print(json.dumps({{"status": "ok", "result": json.load(open("image.json"))}}), flush=True)
"""


def test_a_function_of_an_image_is_started_by_the_program_of_functions(tmp_path: Path) -> None:
    """The emulator is its own registry, and refuses an image that isn't there, as Lambda does."""
    program = tmp_path / "function"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    with MiniStackWithoutGaps(directory=tmp_path / "emulator", function=program) as emulator:

        def client(service: str) -> Any:
            session = botocore.session.get_session()
            session.set_credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
            return session.create_client(service, region_name=REGION, endpoint_url=emulator.url)

        registry = client("ecr").create_repository(repositoryName="backend")["repository"]["repositoryUri"]
        assert registry == f"127.0.0.1:{emulator.port}/backend"
        functions, image = client("lambda"), f"{registry}@sha256:{'0' * 64}"
        trust = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "lambda.amazonaws.com"},
        }
        role = client("iam").create_role(
            RoleName="drain", AssumeRolePolicyDocument=json.dumps({"Statement": trust})
        )
        functions.create_function(
            FunctionName="drain", PackageType="Image", Code={"ImageUri": image},
            Role=role["Role"]["Arn"],
            ImageConfig={"EntryPoint": ["python", "-m", "awslambdaric"], "Command": ["drain.handler"]},
        )  # fmt: skip
        seen = json.loads(functions.invoke(FunctionName="drain", Payload=b"{}")["Payload"].read())
        assert seen == {"uri": image, "command": ["python", "-m", "awslambdaric", "drain.handler"]}
        with pytest.raises(ClientError, match="does not exist"):
            functions.update_function_code(FunctionName="drain", ImageUri=image)
