"""`familycorp release` where something was there before: an image under the tag, a stack that never came to be."""

import io
import json
import os
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from familycorp_ops.deploy import infra, release
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack, client
from familycorp_ops.servers.process import clean_environment

DIGESTS = ["sha256:" + letter * 64 for letter in "abc"]
IMAGES = ("--digest", DIGESTS[0], "--functions-digest", DIGESTS[2])
STACK = "familycorp-dev-backend"
FAILING = {
    "Resources": {
        "Sound": {"Type": "AWS::SQS::Queue"},
        "Wrong": {
            "Type": "AWS::Lambda::Url",
            "DependsOn": "Sound",
            "Properties": {"TargetFunctionArn": "nowhere", "AuthType": "AWS_IAM"},
        },
    }
}


class Registry:
    """An environment's registry, and the programs that a release calls beside AWS."""

    def __init__(self, server: MiniStack, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.name = f"familycorp-{uuid.uuid4().hex[:8]}"
        made = client(server.url, "ecr").create_repository(repositoryName=self.name)
        self.url = made["repository"]["repositoryUri"]
        put = client(server.url, "ssm").put_parameter
        for name, value in {
            "registry/backend": self.url,
            "releases/bucket": "familycorp-dev-releases",
        }.items():
            put(Name=f"/familycorp/dev/{name}", Value=value, Type="String", Overwrite=True)
        skopeo = directory / "skopeo"
        skopeo.write_text(f"#!/bin/sh\necho $* >>{directory}/copied\n")
        skopeo.chmod(0o755)

    def built(self, digest: str, target: str = "http") -> None:
        """Have `make image` built an image with this digest."""
        index = json.dumps({"schemaVersion": 2, "manifests": [{"digest": digest}]}).encode()
        with tarfile.open(self.directory / f"image-{target}.tar", "w") as archive:
            entry = tarfile.TarInfo("index.json")
            entry.size = len(index)
            archive.addfile(entry, io.BytesIO(index))

    def run(self, *arguments: str, sam: Path = release.SAM, **more: str) -> subprocess.CompletedProcess[str]:
        script = (
            "import pathlib\nfrom familycorp_ops import cli; from familycorp_ops.deploy import release\n"
            f"release.BUILD = pathlib.Path({str(self.directory)!r})\n"
            f"release.SAM = pathlib.Path({str(sam)!r})\n"
            "cli.main()"
        )
        path = os.pathsep.join((str(self.directory), os.environ["PATH"]))
        environment = clean_environment(**CREDENTIALS, AWS_ENDPOINT_URL=self.server.url, PATH=path, **more)
        return subprocess.run(
            [sys.executable, "-c", script, "release", *arguments],
            env=environment, cwd=infra.ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def registry(ministack: MiniStack, tmp_path: Path) -> Registry:
    return Registry(ministack, tmp_path)


def test_a_rerun_goes_on_with_the_same_image_and_stops_at_another_under_the_tag(registry: Registry) -> None:
    """Tags are immutable: a second push of the same commit would be refused, with any content."""
    ours, other, functions = DIGESTS
    registry.built(ours)
    registry.built(functions, "functions")
    told = registry.directory / "outputs"
    first = registry.run("push", "dev", "--version", "abc", GITHUB_OUTPUT=str(told))
    assert first.returncode == 0, first.stderr
    copied = (registry.directory / "copied").read_text()
    for target in ("http", "functions"):
        archive = registry.directory / f"image-{target}.tar"
        assert f"oci-archive:{archive} docker://{registry.url}:abc-{target}\n" in copied
    # What skopeo's stand-in didn't do.
    manifest = '{"schemaVersion": 2}'
    put = client(registry.server.url, "ecr").put_image
    for tag in ("abc-http", "abc-functions"):
        said = put(repositoryName=registry.name, imageManifest=manifest, imageTag=tag)
        there = said["image"]["imageId"]["imageDigest"]
    registry.built(there)
    registry.built(there, "functions")
    again = registry.run("push", "dev", "--version", "abc", GITHUB_OUTPUT=str(told))
    assert again.returncode == 0, again.stderr
    assert (registry.directory / "copied").read_text() == copied
    assert told.read_text().splitlines() == [
        *(f"digest={ours}", f"functions-digest={functions}"),
        *(f"digest={there}", f"functions-digest={there}"),
    ]
    registry.built(other)
    refused = registry.run("push", "dev", "--version", "abc")
    assert refused.returncode == 1
    assert f"has another image as abc-http: {there}, and " in refused.stderr
    assert f"is {other}." in refused.stderr
    assert (registry.directory / "copied").read_text() == copied


def test_what_isnt_an_image_is_refused_before_aws_is_asked(registry: Registry) -> None:
    refused = registry.run("push", "dev", "--version", "abc")
    assert refused.returncode == 1
    assert "isn't an image that `make image` built" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.fixture
def never_deployed(ministack: MiniStack) -> Iterator[Any]:
    """A stack whose first creation failed."""
    cloudformation = client(ministack.url, "cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(FAILING))
    for _ in range(600):
        (found,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        if not found["StackStatus"].endswith("IN_PROGRESS"):
            break
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    yield cloudformation
    cloudformation.delete_stack(StackName=STACK)


def test_a_stack_that_was_never_created_is_recognised_and_deleted_only_on_request(
    registry: Registry, never_deployed: Any
) -> None:
    asked = ("deploy", "dev", *IMAGES, "--version", "abc")
    refused = registry.run(*asked)
    assert refused.returncode == 1
    assert f"{STACK} is in ROLLBACK_COMPLETE" in refused.stderr
    assert "First failure: Wrong (AWS::Lambda::Url): Lambda function not found" in refused.stderr
    assert "--delete-failed" in refused.stderr
    (found,) = never_deployed.describe_stacks(StackName=STACK)["Stacks"]
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    sam = registry.directory / "sam"
    sam.write_text(f"#!/bin/sh\necho $* >{registry.directory}/sam.log\n")
    sam.chmod(0o755)
    deleted = registry.run(*asked, "--delete-failed", sam=sam)
    assert deleted.returncode == 0, deleted.stderr
    assert f"Deleting {STACK}, whose creation failed: Wrong" in deleted.stderr
    # The stack is gone when SAM comes, as for the first time.
    found = never_deployed.list_stacks(StackStatusFilter=["ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS"])
    assert [s for s in found["StackSummaries"] if s["StackName"] == STACK] == []
    told = (registry.directory / "sam.log").read_text()
    assert f"--s3-bucket familycorp-dev-releases --image-repository {registry.url} " in told
    assert f" ImageDigest={DIGESTS[0]} FunctionsDigest={DIGESTS[2]} " in told


def test_half_a_release_is_refused_before_aws_is_asked(registry: Registry) -> None:
    refused = registry.run("deploy", "dev", *IMAGES[:2], "--version", "abc")
    assert refused.returncode == 2
    assert "A release has two images" in refused.stderr


@pytest.mark.skipif(not release.SAM.is_file(), reason="SAM isn't installed: `make test` installs it.")
def test_sam_takes_the_templates_image_without_a_missing_option(registry: Registry) -> None:
    """It asks for a registry before anything else, although every image is named by digest."""
    s3 = client(registry.server.url, "s3")
    s3.create_bucket(
        Bucket="familycorp-dev-releases", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"}
    )
    nowhere = f"unix://{registry.directory}/no-docker.sock"
    ran = registry.run("deploy", "dev", *IMAGES, "--version", "abc", DOCKER_HOST=nowhere)
    assert "Missing option" not in ran.stdout + ran.stderr
    # It came as far as the template's upload, for which it asked AWS; no image was pushed, since nothing was built.
    (uploaded,) = s3.list_objects_v2(Bucket="familycorp-dev-releases")["Contents"]
    template = s3.get_object(Bucket="familycorp-dev-releases", Key=uploaded["Key"])["Body"].read().decode()
    assert template.count("@${ImageDigest}") == 2
    assert template.count("@${FunctionsDigest}") == 7
