"""`familycorp release`: the steps of a deployment, for the pipeline and for operators; the rehearsal takes them too.

A release is made once, two images or a directory of archives, and goes from environment to environment as it is.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from familycorp_ops.deploy.smoke import REGION, stack
from familycorp_ops.deploy.switch import switch_database
from familycorp_ops.output import AsJson, AwsGroup, Deployed, UnusableError, show

ROOT: Final = Path(__file__).parents[3]
SAM: Final = ROOT / "ops" / "sam" / ".venv" / "bin" / "sam"
BUILD: Final = ROOT / "build"
"""Where `make image` leaves the release as OCI archives: pushed to any registry, they keep their digests."""
OUTPUTS: Final = {"http": "digest", "functions": "functions-digest"}
"""The images of a release, for functions that serve HTTP and for the others, with the names of their digests."""
PARAMETERS: Final = {"http": "ImageDigest", "functions": "FunctionsDigest"}
"""The template's parameters of these images' digests."""
NEVER_DEPLOYED: Final = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}
"""States of a stack whose first creation failed: CloudFormation lets it be deleted and nothing else."""
THROTTLED_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Waits after which a call that Lambda had no concurrency for is tried again; it didn't start the function."""


app = typer.Typer(
    cls=AwsGroup,
    help="Build, deploy, migrate and delete a release, and see what runs.",
    no_args_is_help=True,
)

app.command("switch-database")(switch_database)

Env = Annotated[str, Deployed(help="dev, stage or prod")]
Archives = Annotated[
    Path | None, typer.Option(help="Directory that `build` made; without one the release is an image.")
]


def _digest(value: str | None) -> str | None:
    if value is not None and not re.fullmatch("sha256:[0-9a-f]{64}", value):
        raise UnusableError(
            _("{value} is no digest of an image: it is sha256: and 64 hexadecimal digits.").format(
                value=repr(value)
            )
        )
    return value


def images(digest: str | None, functions_digest: str | None) -> dict[str, str]:
    """Return the digests of a release's two images by target, or none; raise where one alone is given."""
    given = {"http": digest, "functions": functions_digest}
    found = {target: value for target, value in given.items() if value is not None}
    if len(found) == 1:
        raise UnusableError(_("A release has two images: give --digest and --functions-digest."))
    return found


def _version(value: str | None) -> str | None:
    # The template's own rule for its parameter `Release`.
    if value is not None and not re.fullmatch("[A-Za-z0-9]{1,64}", value):
        raise UnusableError(
            _("{value} is no release: it is 1 to 64 letters and digits, as a commit's hash.").format(
                value=repr(value)
            )
        )
    return value


Digest = Annotated[
    str | None, typer.Option(help="The image that serves HTTP, as sha256:...", callback=_digest)
]
FunctionsDigest = Annotated[
    str | None,
    typer.Option(help="The image of the functions that serve no HTTP, as sha256:...", callback=_digest),
]
Version = Annotated[str | None, typer.Option(help="Name of the release.", callback=_version)]


def _sam(*arguments: str, as_json: bool) -> None:
    """Run SAM; leave where it fails. Standard output is kept for a document, if one is to come."""
    if not SAM.is_file():
        sys.exit(_("SAM isn't installed: the make targets of a release install it."))
    environment = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION, **os.environ}
    said = sys.stderr if as_json else None
    ran = subprocess.run([str(SAM), *arguments], cwd=ROOT, env=environment, stdout=said, check=False)
    if ran.returncode:
        sys.exit(_("SAM failed."))


def client(service: str) -> Any:
    """Return a client of a service, which waits for a migration and asks once."""
    from botocore.config import Config  # noqa: PLC0415 - `--help` needn't wait for it.
    from botocore.session import get_session  # noqa: PLC0415

    # A migration may take as long as its function, five minutes.
    config = Config(read_timeout=330, retries={"total_max_attempts": 1})
    return get_session().create_client(service, region_name=REGION, config=config)


def parameter(env: str, name: str) -> str:
    """Return what Terraform keeps below `/familycorp/<env>/`."""
    value: str = client("ssm").get_parameter(Name=f"/familycorp/{env}/{name}")["Parameter"]["Value"]
    return value


def output(name: str, value: str) -> None:
    """Hand a value to the steps of the pipeline that follow."""
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a", encoding="utf-8") as outputs:
            outputs.write(f"{name}={value}\n")


@app.command()
def build(
    to: Annotated[Path, typer.Option(help="Directory of the release.")],
    template: Annotated[Path, typer.Option(help="The template.")] = ROOT / "template.zip.yaml",
    as_json: AsJson = False,
) -> None:
    """Build a release of archives; images are built by `make image`."""
    config = ["--config-file", str(ROOT / "samconfig.toml")]
    _sam("build", *config, "--template-file", str(template), "--build-dir", str(to), as_json=as_json)
    show({"directory": str(to)}, _("The release is in {directory}.").format(directory=to), as_json=as_json)


@app.command()
def push(
    env: Env,
    version: Annotated[str, typer.Option(help="The tag's beginning.", callback=_version)],
    images: Annotated[
        Path | None, typer.Option(help="Directory of the images; without one that of `make image`.")
    ] = None,
    as_json: AsJson = False,
) -> dict[str, str]:
    """Push the images of `make image` to an environment's registry, with `skopeo`; print their digests."""
    registry, ecr = parameter(env, "registry/backend"), client("ecr")
    digests = {
        target: _push(ecr, registry, (images or BUILD) / archive(target), tag(version, target))
        for target in OUTPUTS
    }
    for target, digest in digests.items():
        output(OUTPUTS[target], digest)
    details = {OUTPUTS[target].replace("-d", "D"): digest for target, digest in digests.items()}
    text = "\n".join(f"{registry}@{digest}  {target}" for target, digest in digests.items())
    show({"registry": registry, "version": version, **details}, text, as_json=as_json)
    return digests


def tag(version: str, target: str) -> str:
    """Return the tag of a release's image."""
    return f"{version}-{target}"


def archive(target: str) -> str:
    """Return the name of the file that `make image` writes an image to."""
    return f"image-{target}.tar"


def _push(ecr: Any, registry: str, image: Path, name: str) -> str:
    """Push one image to a registry by a tag, unless it is there; return its digest."""
    ours, there = digest_of(image), pushed(ecr, registry, name)
    if there and there != ours:
        sys.exit(
            _(
                "{registry} has another image as {tag}: {there}, and {image} is {ours}. Tags can't be moved:"
                " deploy the one that is there, or push under another version."
            ).format(registry=registry, tag=name, there=there, image=image, ours=ours)
        )
    if not there:
        _copy(ecr, registry, image, name)
    return ours


def digest_of(image: Path) -> str:
    """Return the digest of an OCI archive's one image (OCI image layout, `index.json`)."""
    try:
        with tarfile.open(image) as archive:
            found = archive.extractfile("index.json")
            assert found is not None  # noqa: S101 - it is a file.
            (manifest,) = json.load(found)["manifests"]
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        sys.exit(
            _("{image} isn't an image that `make image` built: {error}").format(image=image, error=error)
        )
    digest: str = manifest["digest"]
    return digest


def pushed(ecr: Any, registry: str, tag: str) -> str | None:
    """Return the digest that a tag of a registry names already."""
    try:
        found = ecr.describe_images(repositoryName=registry.partition("/")[2], imageIds=[{"imageTag": tag}])
    except ecr.exceptions.ImageNotFoundException:
        return None
    return next((image["imageDigest"] for image in found["imageDetails"]), None)


def _copy(ecr: Any, registry: str, image: Path, tag: str) -> None:
    granted = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    with tempfile.TemporaryDirectory() as directory:
        # A file that goes at once, because the list of processes shows command lines.
        login = Path(directory, "auth.json")
        login.touch(mode=0o600)
        login.write_text(json.dumps({"auths": {registry.partition("/")[0]: {"auth": granted}}}))
        command = ["skopeo", "copy", "--preserve-digests", "--authfile", str(login)]
        try:
            subprocess.run(
                [*command, f"oci-archive:{image}", f"docker://{registry}:{tag}"],
                stdout=sys.stderr,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(_("The image couldn't be pushed: {error}").format(error=error))


@app.command()
def deploy(  # noqa: PLR0917 - Typer passes them by name.
    env: Env,
    archives: Archives = None,
    digest: Digest = None,
    functions_digest: FunctionsDigest = None,
    version: Version = None,
    delete_failed: Annotated[
        bool,
        typer.Option(
            "--delete-failed", help="Delete the stack first if its creation failed and it is empty."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deploy a release to an environment's stack, and wait; CloudFormation rolls back a failure."""
    chosen = images(digest, functions_digest)
    found = stack_of(env)
    if found.get("StackStatus") in NEVER_DEPLOYED:
        _clear(env, found["StackStatus"], delete=delete_failed)
        found = {}
    before = {p["ParameterKey"]: p["ParameterValue"] for p in found.get("Parameters", ())}
    output("previous-digest", before.get("ImageDigest", ""))
    output("previous-functions-digest", before.get("FunctionsDigest", ""))
    output("previous-version", before.get("Release", ""))
    template = archives / "template.yaml" if archives else ROOT / "template.yaml"
    overrides = [f"file://ops/sam/parameters/{env}.yaml"]
    overrides += [f"{PARAMETERS[target]}={value}" for target, value in chosen.items()]
    overrides += [f"Release={version}"] if version else []
    config = ["--config-file", str(ROOT / "samconfig.toml"), "--config-env", env]
    places = ["--s3-bucket", parameter(env, "releases/bucket")]
    if (
        not archives
    ):  # SAM asks for the registry of every function, although the template names images by digest.
        places += ["--image-repository", parameter(env, "registry/backend")]
    _sam(
        *("deploy", *config, *places, "--template-file", str(template), "--parameter-overrides", *overrides),
        as_json=as_json,
    )
    details = {
        "environment": env,
        "stack": stack(env),
        "version": version,
        "digest": digest,
        "functionsDigest": functions_digest,
        "previousVersion": before.get("Release"),
        "previousDigest": before.get("ImageDigest"),
        "previousFunctionsDigest": before.get("FunctionsDigest"),
    }
    show(details, _("{stack} is deployed.").format(stack=stack(env)), as_json=as_json)


def stack_of(env: str) -> dict[str, Any]:
    """Return an environment's stack as CloudFormation describes it; nothing where there is none."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        found: dict[str, Any] = client("cloudformation").describe_stacks(StackName=stack(env))["Stacks"][0]
    except ClientError:
        return {}  # The first deployment.
    return found


def _clear(env: str, state: str, *, delete: bool) -> None:
    """Delete a stack that was never deployed, if that is wanted; else end the program, saying why it failed."""
    reason = _first_failure(env)
    if not delete:
        sys.exit(
            _(
                "{stack} is in {state}: its first creation failed, and CloudFormation can't update such a stack."
                " First failure: {reason}. Correct that, then deploy again with --delete-failed"
                " (`make deploy ARGS=--delete-failed`), which deletes the stack first. It has no data."
            ).format(stack=stack(env), state=state, reason=reason)
        )
    print(
        _("Deleting {stack}, whose creation failed: {reason}").format(stack=stack(env), reason=reason),
        file=sys.stderr,
    )
    cloudformation = client("cloudformation")
    cloudformation.delete_stack(StackName=stack(env))
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack(env), WaiterConfig={"Delay": 5})


def _first_failure(env: str) -> str:
    """Return which resource of a stack failed first, and why; those that CloudFormation then cancels say nothing."""
    pages = client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack(env))
    events = [event for page in pages for event in page["StackEvents"]]  # The newest is the first.
    for event in reversed(events):
        why = event.get("ResourceStatusReason", "")
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in why:
            return f"{event['LogicalResourceId']} ({event['ResourceType']}): {why}"
    return _("its events have no reason")


def invoke(env: str, function: str, event: dict[str, Any], failed: str) -> Any:
    """Return what the deployed release's function answers; end the program with its words where it fails."""
    functions = client("lambda")
    for wait_s in (*THROTTLED_S, None):
        try:
            answer = functions.invoke(
                FunctionName=f"familycorp-{env}-{function}", Qualifier="live", Payload=json.dumps(event)
            )
            break
        except functions.exceptions.TooManyRequestsException:
            if wait_s is None:
                raise
            time.sleep(wait_s)
    said = json.loads(answer["Payload"].read() or b"{}")
    if "FunctionError" in answer:
        sys.exit(f"{failed}: {said.get('errorMessage', said)}")
    return said


@app.command()
def migrate(env: Env, as_json: AsJson = False) -> None:
    """Migrate an environment's database to the schema of the deployed release."""
    revision = invoke(env, "migrations", {}, _("The migration failed"))["revision"]
    said = _("{env} has schema {revision}.").format(env=env, revision=revision)
    show({"environment": env, "revision": revision}, said, as_json=as_json)


@app.command()
def restore(env: Env, as_json: AsJson = False) -> None:
    """Bring DynamoDB and the database in step after one was restored, and destroy destroyed personal data again."""
    invoke(env, "drain", {"restore": True}, _("It ended early, and may be repeated"))
    said = _("The read model of {env} is rebuilt.").format(env=env)
    show({"environment": env, "restored": True}, said, as_json=as_json)


def notify(env: str, subject: str, what: str) -> str:
    """Publish to the topic of an environment's alarms, with the run of the pipeline; return the topic's ARN."""
    topic = parameter(env, "events/alarms-topic")
    run = os.environ.get("GITHUB_RUN_ID")
    where = (
        f" {os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}/actions/runs/{run}"
        if run
        else ""
    )
    client("sns").publish(TopicArn=topic, Subject=f"familycorp-{env}: {subject}", Message=what + where)
    return topic


@app.command()
def alarm(
    env: Env, what: Annotated[str, typer.Argument(help="Text of the notification.")], as_json: AsJson = False
) -> None:
    """Notify the subscribers of an environment's alarms that a deployment failed."""
    topic = notify(env, "deployment failed", what)
    show({"environment": env, "topic": topic}, _("The alarm was raised."), as_json=as_json)


@app.command()
def delete(env: Env, as_json: AsJson = False) -> None:
    """Delete an environment's stack, functions and API, and the layers it retains. Data stays; it is Terraform's."""
    _sam("delete", "--stack-name", stack(env), "--region", REGION, "--no-prompts", as_json=as_json)
    functions, layers = client("lambda"), []
    for layer in functions.list_layers()["Layers"]:
        if layer["LayerName"].startswith(f"familycorp-{env}-"):
            for version in functions.list_layer_versions(LayerName=layer["LayerName"])["LayerVersions"]:
                number = version["Version"]
                functions.delete_layer_version(LayerName=layer["LayerName"], VersionNumber=number)
                layers.append(f"{layer['LayerName']}:{number}")
    said = _("{stack} is deleted.").format(stack=stack(env))
    show({"stack": stack(env), "layers": layers}, said, as_json=as_json)
