"""Whether an environment in AWS, or an emulator, is as Terraform made it and as it should be."""

from collections.abc import Iterator
from gettext import gettext as _
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from familycorp_ops.deploy.environment import Environment, absent
from familycorp_ops.doctor import first_apply
from familycorp_ops.doctor.checks import Check, Finding, apply_command, checked
from familycorp_ops.doctor.drift import drift, infrastructure, names
from familycorp_ops.doctor.upkeep import alarms, backups, certificates, quotas, vpcs
from familycorp_ops.messages import marked

ACTIONS: Final = (
    "cloudformation:CreateChangeSet",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "ecr:GetAuthorizationToken",
    "lambda:InvokeFunction",
    "sns:Publish",
    "ssm:GetParameter",
)
"""Actions that a deployment of a release and its checks need."""


def checks(it: Environment, certificate_days: int) -> Iterator[Check]:
    """Look at an environment; without credentials at nothing but them."""
    first = checked(credentials, it, marked("credentials"))
    yield first
    if "caller" not in vars(it):
        return
    yield checked(state, it, marked("state"))
    if _never_applied(it):
        yield from first_apply.checks(it)
        for name, check in ((marked("names"), names), (marked("quotas"), quotas), (marked("vpcs"), vpcs)):
            yield checked(check, it, name)
        return
    for name, check in (
        (marked("permissions"), permissions),
        (marked("names"), names),
        (marked("infrastructure"), infrastructure),
        (marked("drift"), drift),
        (marked("backups"), backups),
        (marked("alarms"), alarms),
        (marked("quotas"), quotas),
        (marked("vpcs"), vpcs),
        (marked("certificates"), lambda e: certificates(e, certificate_days)),
    ):
        yield checked(check, it, name)


def _never_applied(it: Environment) -> bool:
    try:
        return it.state is None
    except (BotoCoreError, ClientError):  # The check of the state says so.
        return False


def credentials(it: Environment) -> Check:
    """Return whose credentials these are."""
    arn = it.caller["Arn"]
    fix = _("log in as a role of your own: nothing limits root.")
    found = [Finding(_("These are credentials of the account's root."), fix)] if arn.endswith(":root") else []
    return Check("credentials", arn, tuple(found))


def permissions(it: Environment) -> Check:
    """Return whether a release could be deployed with these credentials, as IAM's simulator says."""
    arn = it.caller["Arn"]
    if arn.endswith(":root"):
        return Check("permissions", _("root may do everything"))
    if ":assumed-role/" in arn:
        account, role = it.caller["Account"], arn.split("/")[1]
        arn = f"arn:{arn.split(':')[1]}:iam::{account}:role/{role}"
    answer = it.client("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(ACTIONS))
    denied = [r["EvalActionName"] for r in answer["EvaluationResults"] if r["EvalDecision"] != "allowed"]
    found = tuple(
        Finding(
            _("{action} isn't allowed.").format(action=action),
            _("allow it to {arn}, or let the pipeline deploy.").format(arn=arn),
        )
        for action in denied
    )
    return Check(
        "permissions",
        _("{allowed} of {all} that a release needs").format(
            allowed=len(ACTIONS) - len(denied), all=len(ACTIONS)
        ),
        found,
    )


def state(it: Environment) -> Check:
    """Return whether there is a state, and whether it has been applied."""
    bucket = it.bucket
    if absent(it.client("s3").head_bucket, Bucket=bucket) is None:
        finding = Finding(
            _("There is no bucket {bucket} for Terraform's state.").format(bucket=bucket),
            f"`make infra-bootstrap ENV={it.env}`",
        )
        return Check("state", _("none"), (finding,))
    if it.state is None:
        fix = apply_command(it)
        return Check("state", bucket, (Finding(_("Nothing has been applied yet."), fix),))
    count = sum(len(r["instances"]) for r in it.state["resources"] if r["mode"] == "managed")
    return Check("state", _("{count} resources in {bucket}").format(count=count, bucket=bucket))
