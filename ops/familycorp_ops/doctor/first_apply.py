"""What prevents an environment's first apply: in the account, at GitHub, in DNS, on this machine."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from gettext import gettext as _
from typing import Any, Final

from botocore.exceptions import ClientError

from familycorp_ops.deploy import infra
from familycorp_ops.deploy.environment import Environment, absent
from familycorp_ops.doctor import local
from familycorp_ops.doctor.checks import DENIED, Check, Finding, checked
from familycorp_ops.messages import marked

NUMBERED_SINCE: Final = "2026-07-15"
"""Tokens of repositories that were created since name them with numbers (GitHub changelog, 2026-04-23)."""
DEFAULT_CLAIMS: Final = [["repo", "context"], ["repository", "context"]]


def checks(it: Environment) -> Iterator[Check]:
    """Look at what the first apply needs; without Terraform and variables that it accepts, at the tools alone."""
    yield tools()
    if shutil.which("terraform") is None:
        return
    yield variables(it)
    if "variables" not in vars(it):
        return
    for name, check in (
        (marked("region"), region),
        (marked("database"), database),
        (marked("domain"), domain),
        (marked("billing"), billing),
        (marked("github"), github),
    ):
        yield checked(check, it, name)


def tools() -> Check:
    """Return whether Terraform is there, and every tool new enough."""
    seen = local.tools()
    if shutil.which("terraform") is not None:
        return seen
    what, fix = _("Terraform isn't installed."), _("install 1.10 or newer, and put it on PATH.")
    return Check(seen.check, seen.seen, (*seen.findings, Finding(what, fix)))


def variables(it: Environment) -> Check:
    """Return whether Terraform accepts the environment's variables, and whether they are of this account."""
    tfvars = f"terraform/envs/{it.env}.tfvars"
    try:
        chosen = it.variables
    except infra.TerraformError as error:
        said = " ".join(str(error).split())
        finding = Finding(
            _("Terraform refuses {tfvars}: {said}").format(tfvars=tfvars, said=said),
            _("correct it there."),
        )
        return Check("variables", tfvars, (finding,))
    account, wanted = it.caller["Account"], chosen["account_id"]
    if wanted is None or wanted == account:
        return Check("variables", tfvars)
    finding = Finding(
        _("These credentials are of the account {account}, and account_id is {wanted}.").format(
            account=account, wanted=wanted
        ),
        _("use credentials of the other account, or correct account_id in {tfvars}.").format(tfvars=tfvars),
    )
    return Check("variables", tfvars, (finding,))


def region(it: Environment) -> Check:
    """Return whether the region is the commands' own, and switched on for the account."""
    wanted = it.variables["region"]
    if wanted != it.region:
        finding = Finding(
            _("region is {wanted}, and `familycorp` and samconfig.toml deploy to {region}.").format(
                wanted=wanted, region=it.region
            ),
            _("set region to {region}.").format(region=it.region),
        )
        return Check("region", wanted, (finding,))
    (described,) = it.client("ec2").describe_regions(RegionNames=[wanted], AllRegions=True)["Regions"]
    if described["OptInStatus"] == "not-opted-in":
        finding = Finding(
            _("The region {region} is switched off in this account.").format(region=wanted),
            f"`aws account enable-region --region-name {wanted}`",
        )
        return Check("region", wanted, (finding,))
    return Check("region", wanted)


def database(it: Environment) -> Check:
    """Return whether AWS offers the version of Aurora that the first apply asks for."""
    wanted = it.variables["database_engine_version"]
    pages = it.client("rds").get_paginator("describe_db_engine_versions").paginate(Engine="aurora-mysql")
    offered = [version["EngineVersion"] for page in pages for version in page["DBEngineVersions"]]
    if wanted in offered:
        return Check("database", wanted)
    fitting = ", ".join(v for v in offered if v.startswith("8.0.mysql_aurora.3.")) or _("none")
    finding = Finding(
        _("AWS doesn't offer Aurora {wanted} here.").format(wanted=wanted),
        _("set database_engine_version to one of these: {fitting}.").format(fitting=fitting),
    )
    return Check("database", wanted, (finding,))


def domain(it: Environment) -> Check:
    """Return whether the API's domain is in the hosted zone; without one, which records are entered by hand."""
    name, zone = it.variables["api_domain"], it.variables["route53_zone_id"]
    if name is None:
        return Check("domain", _("none: {url} leads to the API").format(url=it.variables["api_url"]))
    if zone is None:
        return _without_zone(it, name)
    found = absent(it.client("route53").get_hosted_zone, Id=zone)
    if found is None:
        finding = Finding(
            _("There is no hosted zone {zone} in this account.").format(zone=zone),
            _("correct route53_zone_id, or leave it out and enter the records by hand."),
        )
        return Check("domain", name, (finding,))
    zone_name = found["HostedZone"]["Name"].rstrip(".")
    if found["HostedZone"]["Config"].get("PrivateZone"):
        finding = Finding(
            _("The zone {zone} ({zone_name}) is a private one: no certificate is issued by it.").format(
                zone=zone, zone_name=zone_name
            ),
            _("set route53_zone_id to the public zone of {name}.").format(name=name),
        )
        return Check("domain", name, (finding,))
    if not f".{name}".endswith(f".{zone_name}"):
        finding = Finding(
            _("{name} isn't in the zone {zone} ({zone_name}).").format(
                name=name, zone=zone, zone_name=zone_name
            ),
            _("correct api_domain or route53_zone_id."),
        )
        return Check("domain", name, (finding,))
    return Check("domain", _("{name} in the zone {zone_name}").format(name=name, zone_name=zone_name))


def _without_zone(it: Environment, name: str) -> Check:
    pages = it.client("route53").get_paginator("list_hosted_zones").paginate()
    zones = [z for page in pages for z in page["HostedZones"] if not z["Config"].get("PrivateZone")]
    fitting = [z for z in zones if f".{name}.".endswith(f".{z['Name']}")]
    if fitting:
        best = max(fitting, key=lambda zone: len(zone["Name"]))
        zone = best["Id"].rpartition("/")[2]
        finding = Finding(
            _(
                "The account has the zone {zone_name}, and the records of {name} are to be entered by hand."
            ).format(zone_name=best["Name"].rstrip("."), name=name),
            _('set route53_zone_id = "{zone}", and the apply enters them.').format(zone=zone),
        )
        return Check("domain", name, (finding,))
    seen = _(
        "{name}, in no zone of this account: enter two CNAMEs by hand, while the apply waits the one that proves the "
        "domain to ACM, afterwards {name} itself; `terraform -chdir=terraform output dns_records` has both"
    )
    return Check("domain", seen.format(name=name))


def billing(it: Environment) -> Check:
    """Return whether budgets can be read, which root has to allow once for everybody else."""
    try:
        it.client("budgets").describe_budgets(AccountId=it.caller["Account"], MaxResults=1)
    except ClientError as error:
        if error.response["Error"]["Code"] not in DENIED:
            raise
        finding = Finding(
            _("These credentials may not see budgets."),
            _(
                "as root, switch on `IAM user and role access to Billing information` (Account page), and allow "
                "budgets:ViewBudget and budgets:ModifyBudget."
            ),
        )
        return Check("billing", _("unknown"), (finding,))
    return Check("billing", _("budgets can be read"))


def github(it: Environment) -> Check:
    """Return whether the pipeline's tokens will be trusted, by the form of their subject."""
    repository = it.variables["github_repository"]
    if repository is None:
        return Check("github", _("no repository deploys here"))
    return Check("github", repository, tuple(_subject(it, repository)))


def _subject(it: Environment, repository: str) -> Iterator[Finding]:
    described, custom = _gh(f"repos/{repository}"), _gh(f"repos/{repository}/actions/oidc/customization/sub")
    if described is None:
        yield Finding(
            _("GitHub has no information about {repository}.").format(repository=repository),
            _("install `gh`, log in (`gh auth login`), and correct github_repository if there is none."),
        )
        return
    if described["full_name"] != repository:
        yield Finding(
            _("GitHub writes {repository} as {name}.").format(
                repository=repository, name=described["full_name"]
            ),
            _('set github_repository = "{name}".').format(name=described["full_name"]),
        )
    numbers = {"owner": described["owner"]["id"], "repository": described["id"]}
    given = it.variables["github_repository_ids"]
    fix = _("set github_repository_ids = {{ owner = {owner}, repository = {repository} }}.").format(**numbers)
    if given is not None and given != numbers:
        yield Finding(_("github_repository_ids are another repository's numbers."), fix)
    if given is None and described["created_at"] >= NUMBERED_SINCE:
        yield Finding(_("Tokens of {repository} name it with numbers.").format(repository=repository), fix)
    keys = (custom or {}).get("include_claim_keys")
    if custom and not custom["use_default"] and keys is not None and keys not in DEFAULT_CLAIMS:
        yield Finding(
            _("The subject of {repository}'s tokens is made of {keys}, and no role trusts it.").format(
                repository=repository, keys=", ".join(keys)
            ),
            f"`gh api -X PUT repos/{repository}/actions/oidc/customization/sub -F use_default=true`",
        )


def _gh(path: str) -> Any:
    """Return what GitHub's API has at a path; None where `gh` is missing, refused or not answered."""
    if shutil.which("gh") is None:
        return None
    try:
        ran = subprocess.run(["gh", "api", path], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return None
    return None if ran.returncode else json.loads(ran.stdout)
