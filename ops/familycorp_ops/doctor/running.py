"""Running parts of an environment: the stack, the release and its functions, the schema, and alarms that ring."""

import json
from collections.abc import Callable
from gettext import gettext as _
from typing import Any, Final

from familycorp_ops import facts
from familycorp_ops.deploy.environment import Environment, absent
from familycorp_ops.doctor.checks import Check, Finding, checked, deploy
from familycorp_ops.doctor.drift import stack_faults
from familycorp_ops.messages import marked

Facts = dict[str, Any]

ALL: Final = tuple(facts.FUNCTIONS)


def look(it: Environment) -> tuple[list[Check], Facts]:
    """Check what runs; return the problems, and everything that was read, for programs."""
    facts: Facts = {}

    def named(name: str, check: Callable[[Environment, Facts], Check]) -> Check:
        facts[name] = None  # It stays so where it can't be read.
        return checked(lambda e: check(e, facts), it, name)

    looks = (
        (marked("stack"), _stack),
        (marked("release"), _release),
        (marked("schema"), _schema),
        (marked("ringing"), _ringing),
    )
    return [named(*pair) for pair in looks], facts


def _stack(it: Environment, facts: Facts) -> Check:
    found = tuple(stack_faults(it))
    if it.stack is None:
        seen = _("none: {deployer} deploys").format(deployer=it.parameters.get("deployer", "?"))
        return Check("stack", seen, found)
    at = it.stack.get("LastUpdatedTime") or it.stack["CreationTime"]
    facts["stack"] = {
        "name": it.stack["StackName"],
        "status": it.stack["StackStatus"],
        "deployedAt": at.isoformat(),
    }
    seen = _("{name} is {status}, deployed at {at:%Y-%m-%d %H:%M} UTC")
    return Check(
        "stack", seen.format(name=it.stack["StackName"], status=it.stack["StackStatus"], at=at), found
    )


def _release(it: Environment, facts: Facts) -> Check:
    """Check the functions themselves, since either tool may have deployed them."""
    functions, found = [], []
    for key in ALL:
        name = f"{it.name}-{key}"
        answer = absent(it.client("lambda").get_function, FunctionName=name, Qualifier="live")
        if answer is None:
            found.append(Finding(_("There is no function {name}.").format(name=name), deploy(it)))
            continue
        own = answer["Configuration"]
        variables = own.get("Environment", {}).get("Variables", {})
        functions.append(
            {
                "name": name,
                "version": own["Version"],
                "release": variables.get("FAMILYCORP_VERSION"),
                "digest": answer["Code"].get("ResolvedImageUri", "").partition("@")[2] or None,
                "codeSha256": own["CodeSha256"],
                "deployedAt": own["LastModified"],
            }
        )
    facts["functions"] = functions
    releases = {f["release"] for f in functions}
    if len(releases) > 1:
        each = ", ".join(f"{f['name'].removeprefix(it.name + '-')} {f['release'] or '?'}" for f in functions)
        found.append(
            Finding(
                _("The functions are of different releases: {releases}.").format(releases=each),
                deploy(it),
            )
        )
    facts["release"] = first = next((f["release"] for f in functions), None)
    facts["digest"] = digest = next((f["digest"] for f in functions if f["digest"]), None)
    seen = _("{release} ({digest}), {number} functions")
    return Check(
        "release",
        seen.format(release=first or "?", digest=digest or _("archives"), number=len(functions)),
        tuple(found),
    )


def _schema(it: Environment, facts: Facts) -> Check:
    """Ask the deployed release: it alone knows its newest revision, and alone reaches the database."""
    answer = absent(
        it.client("lambda").invoke,
        FunctionName=f"{it.name}-migrations",
        Qualifier="live",
        Payload=json.dumps({"look": True}),
    )
    if answer is None:
        return Check("schema", _("unknown"))  # That there is no function is found above.
    said = json.loads(answer["Payload"].read() or b"{}")
    if "FunctionError" in answer:
        fix = _("read its log group, /aws/lambda/{name}-migrations.").format(name=it.name)
        what = _("The schema can't be read: {error}.").format(error=said.get("errorMessage", said))
        return Check("schema", _("unknown"), (Finding(what, fix),))
    facts["schema"] = said
    if not said["known"]:  # After a rollback; a release works on the schema of the next one.
        return Check("schema", _("{revision}, of a later release").format(revision=said["revision"]))
    if not said["lacking"]:
        newest = _("{revision}, the newest that the release knows").format(revision=said["revision"])
        return Check("schema", newest)
    what = _("The database lacks {lacking}.").format(lacking=", ".join(said["lacking"]))
    finding = Finding(what, f"`make migrate ENV={it.env}`")
    return Check("schema", said["revision"] or _("empty"), (finding,))


def _ringing(it: Environment, facts: Facts) -> Check:
    kinds = {"MetricAlarms": "MetricAlarm", "CompositeAlarms": "CompositeAlarm"}
    pages = (
        it.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=f"{it.name}-", AlarmTypes=list(kinds.values()))
    )
    there = [alarm for page in pages for kind in kinds for alarm in page.get(kind, ())]
    rings = [alarm for alarm in there if alarm["StateValue"] == "ALARM"]
    facts["ringing"] = [
        {
            "name": a["AlarmName"],
            "since": a["StateUpdatedTimestamp"].isoformat(),
            "reason": a.get("StateReason", ""),
        }
        for a in rings
    ]
    what = _("The alarm {name} has been ringing since {at:%Y-%m-%d %H:%M} UTC: {reason}")
    found = tuple(
        Finding(
            what.format(name=a["AlarmName"], at=a["StateUpdatedTimestamp"], reason=a.get("StateReason", "")),
            _("docs/how-to/runbook.md says what to do."),
        )
        for a in rings
    )
    return Check("ringing", _("{number} of {all} alarms").format(number=len(rings), all=len(there)), found)
