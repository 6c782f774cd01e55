"""Renders the picture of docs/how-to/operations.md: the way of a commit to Prod, as the workflows define it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from familycorp_ops.deploy import infra
from familycorp_ops.markdown import with_part

DOCUMENT: Final = infra.ROOT / "docs" / "how-to" / "operations.md"
WORKFLOWS: Final = infra.ROOT / ".github" / "workflows"


def rendered() -> Mapping[Path, str]:
    """Return the page with the picture."""
    return {DOCUMENT: with_part(DOCUMENT, "pipeline", f"```mermaid\n{picture()}\n```")}


def picture() -> str:
    """Return every job of deploy.yml, with those of the workflow that it calls, as a Mermaid flow chart."""
    jobs = _jobs("deploy")
    lines = ["flowchart TB", '  commit(["commit on main"])']
    for name, job in jobs.items():
        before = job.get("needs", "commit")
        last = f"{before}_deploy" if "uses" in jobs.get(before, {}) else before
        if "uses" not in job:
            lines += [f'  {name}["{_label(name, job, {})}"]', f"  {last} --> {name}"]
            continue
        lines.append(f"  subgraph {name}_environment [{name}]")
        lines += [f"    {line}" for line in _called(name, Path(job["uses"]).stem, job["with"])]
        lines += ["  end", f"  {last} --> {name}_plan"]
    return "\n".join(lines)


def _called(env: str, workflow: str, given: Mapping[str, Any]) -> Iterator[str]:
    for name, job in _jobs(workflow).items():
        yield f'{env}_{name}["{_label(name, job, given)}<br>GitHub environment {_environment(env, job)}"]'
        needs = job.get("needs", [])
        for other in [needs] if isinstance(needs, str) else needs:
            yield f"{env}_{other} --> {env}_{name}"


def _environment(env: str, job: Mapping[str, Any]) -> str:
    return str(job["environment"]).replace("${{ inputs.env }}", env)


def _label(name: str, job: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Return a job's name and its make targets, but for those that follow a failure or that nobody asked for."""
    targets = [
        word
        for step in job["steps"]
        if step.get("run", "").startswith("make ") and "failure()" not in (on := step.get("if", ""))
        if all(given.get(wanted) for wanted in re.findall(r"^inputs\.(\w+)(?: &&|$)", on))
        for word in step["run"].split()[1:]
    ]
    return f"{name}: make {', '.join(dict.fromkeys(targets))}"


def _jobs(workflow: str) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = yaml.safe_load((WORKFLOWS / f"{workflow}.yml").read_text())["jobs"]
    return jobs
