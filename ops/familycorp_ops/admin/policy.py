"""`familycorp policy`: builds, tests and explains the authorisation policy."""

import hashlib
import json
import logging
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from enum import StrEnum
from gettext import gettext as _
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from familycorp_ops.output import AsJson, show

app = typer.Typer(help="Build, test and explain the authorisation policy.", no_args_is_help=True)

ENTRYPOINTS = ("authz/decision", "authz/allowed")
LEAST_COVERAGE = 95.0
BUILTINS = (
    "count",
    "eq",
    "equal",
    "internal.member_2",
    "is_boolean",
    "is_number",
    "is_string",
    "lte",
    "minus",
    "neq",
    "sort",
)
"""Built-in functions that the policy may use: OPA's WASM has all of them; others fail the build."""


class As(StrEnum):
    """Whom a question is asked for."""

    anonymous = "anonymous"
    member = "member"
    viewer = "viewer"
    editor = "editor"
    admin = "admin"
    system = "system"


def home() -> Path:
    """Return the directory of policies, data and bundle, beside the package `app`."""
    spec = find_spec("app")
    assert spec is not None  # noqa: S101 - this package depends on it.
    assert spec.origin is not None  # noqa: S101
    return Path(spec.origin).parents[1] / "opa"


def sources(directory: Path) -> list[Path]:
    """Return the files that a bundle is made of, without tests."""
    rego = [p for p in directory.glob("policies/**/*.rego") if not p.name.endswith("_test.rego")]
    return sorted([*rego, directory / "data" / "data.json"])


def source_digest(directory: Path) -> str:
    """Return one digest of all sources: names and contents, in the order of names."""
    digest = hashlib.sha256()
    for path in sources(directory):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(directory).as_posix()} {content}\n".encode())
    return digest.hexdigest()


@app.command()
def build(
    output: Annotated[Path | None, typer.Option(help="Directory of the bundle.", metavar="DIR")] = None,
    as_json: AsJson = False,
) -> None:
    """Compile the policy to WebAssembly: policy.wasm, data.json and manifest.json."""
    directory = home()
    bundle = output or directory / "build" / "opa" / "bundle"
    with tempfile.TemporaryDirectory() as work:
        capabilities, archive = Path(work, "capabilities.json"), Path(work, "bundle.tar.gz")
        known = json.loads(_opa("capabilities", "--current"))
        known["builtins"] = [b for b in known["builtins"] if b["name"] in BUILTINS]
        capabilities.write_text(json.dumps(known))
        entrypoints = [f"--entrypoint={name}" for name in ENTRYPOINTS]
        options = ["--target=wasm", *entrypoints, f"--capabilities={capabilities}"]
        _opa("build", *options, "--ignore=*_test.rego", f"--output={archive}", "policies", "data")
        bundle.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as packed:
            for name in ("policy.wasm", "data.json"):
                member = packed.extractfile(f"/{name}")
                assert member is not None  # noqa: S101 - OPA's bundles hold both.
                (bundle / name).write_bytes(member.read())
    for stale in ("policy.cwasm", "policy.json"):  # Precompiled from the module that was here.
        (bundle / stale).unlink(missing_ok=True)
    files = {n: hashlib.sha256((bundle / n).read_bytes()).hexdigest() for n in ("policy.wasm", "data.json")}
    sources_are = source_digest(directory)
    manifest = {
        "revision": sources_are[:12],
        "sources": sources_are,
        "files": files,
        "opa": re.search(r"Version: (\S+)", _opa("version"))[1],  # type: ignore[index]
    }
    (bundle / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    said = _("Revision {revision} is in {directory}.").format(revision=manifest["revision"], directory=bundle)
    show(manifest | {"directory": str(bundle)}, said, as_json=as_json)


@app.command("test")
def run_tests(as_json: AsJson = False) -> None:
    """Check format, strictness, tests and coverage of the policy's sources."""
    unformatted = _opa("fmt", "--list", "policies").split()
    if unformatted:
        sys.exit(_("{files}: `opa fmt --write` formats it.").format(files=", ".join(unformatted)))
    _opa("check", "--strict", "policies", "data")
    # OPA gives a test 5 s, which a busy machine exceeds.
    test = ("test", "--timeout=5m")
    _opa(*test, "policies", "data")
    report = json.loads(_opa(*test, "--coverage", "--format=json", "policies", "data"))
    covered = _coverage(report)
    said = _("The policy's tests pass and cover {covered:.1f} % of its lines.").format(covered=covered)
    show({"covered": round(covered, 2), "least": LEAST_COVERAGE}, said, as_json=as_json)
    if covered < LEAST_COVERAGE:
        sys.exit(_("At least {least:g} % must be covered.").format(least=LEAST_COVERAGE))


def _coverage(report: dict[str, Any]) -> float:
    """Return the share of covered lines, in per cent, of what isn't itself a test."""
    files = [f for name, f in report["files"].items() if not name.endswith("_test.rego")]
    covered = sum(f.get("covered_lines", 0) for f in files)
    missed = sum(f.get("not_covered_lines", 0) for f in files)
    return float(100 * covered / (covered + missed))


@app.command()
def precompile(
    bundle: Annotated[Path | None, typer.Argument(help="The bundle; else the built one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compile a bundle's policy for this architecture, so that a process loads it in a moment."""
    from app.authz import wasm  # noqa: PLC0415

    made = wasm.precompile((bundle or home() / "build" / "opa" / "bundle") / "policy.wasm")
    said = _("{file} is for {target}.").format(file=made, target=wasm.target())
    show({"file": str(made), "target": wasm.target()}, said, as_json=as_json)


@app.command()
def explain(
    *,
    action: Annotated[str, typer.Option(help="Action, as post:publish.")],
    role: Annotated[As, typer.Option("--as", help="Role of the caller.")] = As.anonymous,
    identity: Annotated[str, typer.Option("--id", help="Id of the member.", metavar="ID")] = "me",
    resource: Annotated[
        str | None,
        typer.Option(help="Object of the action, as JSON; without it the object is unknown.", metavar="JSON"),
    ] = None,
    mfa_age: Annotated[int, typer.Option(help="Seconds since they proved their second factor.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Explain a decision of the built policy: its reasons and rules."""
    from app.authz import policy  # noqa: PLC0415

    logging.getLogger("app.authz").setLevel(logging.CRITICAL)
    try:
        known = None if resource is None else json.loads(resource)
    except ValueError as error:
        sys.exit(_("--resource is not JSON: {error}.").format(error=error))
    now = int(time.time())
    subject: dict[str, Any] = {"authenticated": False}
    if role is not As.anonymous:
        named = None if role is As.member else role.value
        subject = {"authenticated": True, "id": identity, "role": named, "mfaAt": now - mfa_age}
    decision = policy.decide(subject, action, known, now=now)
    rules = _rules(decision.reasons) if decision.reasons else _permission(role.value, action)
    said = {**decision._asdict(), "rules": rules, "revision": policy.revision()}
    show(said, _told(decision, [*rules], said["revision"]), as_json=as_json)
    sys.exit(0 if decision.allow else 1)


def _told(decision: Any, rules: Sequence[str], revision: str) -> str:
    lines = [f"decision     {_('allowed') if decision.allow else _('denied')}"]
    if decision.reasons:
        lines.append(f"reasons      {', '.join(decision.reasons)}")
    if decision.roles:
        lines.append(f"roles        {', '.join(decision.roles)}")
    if decision.obligations:
        lines.append(f"obligations  {json.dumps(decision.obligations)}")
    return "\n".join([*lines, *(f"rule         {rule}" for rule in rules), f"revision     {revision}"])


def _rules(reasons: Sequence[str]) -> list[str]:
    """Return where the rules that give these reasons stand."""
    return [
        f"{path.relative_to(home().parent)}:{number}: {line.strip()}"
        for path in sources(home())
        if path.suffix == ".rego"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(line.startswith(f'reasons contains "{reason}"') for reason in reasons)
    ]


def _permission(role: str, action: str) -> list[str]:
    """Return which role's permission allows an action, of those that a role has or inherits."""
    path = home() / "data" / "data.json"
    data = json.loads(path.read_text())
    return [
        _("{file}: roles.{role} permits {action}").format(
            file=path.relative_to(home().parent), role=inherited, action=action
        )
        for inherited in data["inherits"][role]
        if action in data["roles"][inherited]
    ]


def _opa(*arguments: str) -> str:
    """Run OPA on the sources and return its output; on failure exit with its message, or how to install it."""
    program = shutil.which("opa")
    if program is None:
        sys.exit(
            _(
                "There is no `opa` on PATH: put OPA's release 1.4 or newer there (the built bundle needs none)."
            )
        )
    ran = subprocess.run([program, *arguments], cwd=home(), capture_output=True, text=True, check=False)
    if ran.returncode:
        said = (ran.stdout + ran.stderr).rstrip()
        sys.exit(_("opa {command} failed:\n{said}").format(command=arguments[0], said=said))
    return ran.stdout
