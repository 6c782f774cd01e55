"""`familycorp environment create`: an account goes from nothing to a served site, step by step.

Each step asks AWS whether it is done, so that a run that was stopped anywhere is repeated with the same command. The
steps are the commands that also exist one by one.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from familycorp_ops.admin import first_admin
from familycorp_ops.deploy import bootstrap, release, smoke
from familycorp_ops.deploy.environment import Environment, deployed_images
from familycorp_ops.deploy.infra import BOOTSTRAP, ROOT, TerraformError, image_options
from familycorp_ops.doctor import deployed
from familycorp_ops.doctor.checks import Check, report
from familycorp_ops.lifecycle import database_users
from familycorp_ops.lifecycle.configuration import Configuration
from familycorp_ops.lifecycle.lock import Lock
from familycorp_ops.lifecycle.problem import LifecycleError
from familycorp_ops.messages import marked
from familycorp_ops.servers.process import NotInstalledError

SLOWEST_MS: Final = 1500
DEPLOYED: Final = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
POLL_S: Final = 5.0
CERTIFICATE_DAYS: Final = 30


@dataclass(frozen=True)
class Wanted:
    """What a person asks for.

    Args:
        directory: Terraform's configuration.
        version: what the release calls itself.
        archives: directory of a release of archives, built where there is none; without one it is an image.
        digests: images that are in the registry, by target; without any they are built and pushed.
        admin: e-mail address of the first admin, if there is to be one.
        accepted: names of the doctor's checks whose findings are no reason to stop.
        yes: whether plans are applied without a question.
        delete_failed: whether a stack whose creation failed is deleted.
        force_unlock: whether another run's lock is taken.
        as_json: whether standard output is for a document alone.
    """

    directory: Path
    version: str
    archives: Path | None
    digests: Mapping[str, str]
    admin: str | None
    accepted: Sequence[str]
    yes: bool
    delete_failed: bool
    force_unlock: bool
    as_json: bool


def account(it: Environment) -> str:
    """Return the account that the credentials are of; raise `LifecycleError` where it isn't the environment's.

    Everything that creates or destroys looks here first: what is typed for Dev shall not meet Prod's account.
    """
    found = it.caller["Account"]
    try:
        wanted = it.variables["account_id"]
    except NotInstalledError as error:
        raise LifecycleError(str(error)) from None
    except TerraformError as error:
        raise LifecycleError(
            _("Terraform refuses {tfvars}: {said}").format(
                tfvars=f"terraform/envs/{it.env}.tfvars", said=" ".join(str(error).split())
            )
        ) from None
    if wanted is None:
        raise LifecycleError(
            _(
                "These credentials are of the account {account}, and terraform/envs/{env}.tfvars names none. "
                'If it is the right one, write account_id = "{account}" there.'
            ).format(account=found, env=it.env)
        )
    if wanted != found:
        raise LifecycleError(
            _("These credentials are of the account {account}, and account_id is {wanted}.").format(
                account=found, wanted=wanted
            )
        )
    return f"{found}, {it.caller['Arn']}"


def apply_roles(it: Environment, directory: Path, bucket: str, *, yes: bool) -> str:
    """Apply what the pipeline may not: its own roles, the boundary of all others, and people's policies."""
    terraform = Configuration(it, directory, yes=yes, which=BOOTSTRAP)
    terraform.init(bucket)
    changed = terraform.apply()
    return _("{number} changes").format(number=changed) if changed else _("no changes")


def roles_alone(
    env: str, directory: Path, *, yes: bool, force_unlock: bool
) -> Generator[tuple[str, str], None, None]:
    """Take the steps up to the pipeline's roles; yield the name of each, and what was seen, when it is done."""
    it = Environment(env, smoke.REGION, directory)
    yield marked("account"), account(it)
    bucket = bootstrap.state_bucket(env, it.region)
    yield marked("state"), bucket
    with Lock(it, f"environment roles {env}", force=force_unlock):
        yield marked("roles"), apply_roles(it, directory, bucket, yes=yes)


class Creation:
    """The steps, in order.

    Args:
        env: dev, stage or prod.
        wanted: what a person asks for.
    """

    def __init__(self, env: str, wanted: Wanted) -> None:
        self._env, self._wanted = env, wanted
        self._it = Environment(env, smoke.REGION, wanted.directory)
        self._digests = dict(wanted.digests)
        self.url = ""

    def run(self) -> Generator[tuple[str, str], None, None]:
        """Take every step; yield the name of each, and what was seen, when it is done."""
        yield marked("account"), account(self._it)
        yield marked("doctor"), self._doctor()
        bucket = bootstrap.state_bucket(self._env, self._it.region)
        yield marked("state"), bucket
        with Lock(self._it, f"environment create {self._env}", force=self._wanted.force_unlock):
            for name, step in self._steps(bucket):
                sys.stderr.write(f"→ {_(name)}\n")
                # What the commands say on their own is progress here; standard output is the result's.
                with redirect_stdout(sys.stderr):
                    seen = step()
                yield name, seen

    def _steps(self, bucket: str) -> Iterator[tuple[str, Callable[[], str]]]:
        yield (
            marked("roles"),
            lambda: apply_roles(self._it, self._wanted.directory, bucket, yes=self._wanted.yes),
        )
        yield marked("infrastructure"), lambda: self._infrastructure(bucket)
        yield marked("signing key"), self._signing_key
        yield marked("database users"), lambda: database_users.make(self._it)
        yield marked("release"), self._release
        yield marked("deployment"), self._deploy
        yield marked("schema"), self._migrate
        yield marked("first admin"), self._first_admin
        yield marked("smoke test"), self._smoke

    # -- steps -----------------------------------------------------------------------------------------------------

    def _doctor(self) -> str:
        """Look for what stands in the way, before the first apply alone: afterwards Terraform's state knows."""
        if self._it.state is not None:
            return _("applied before")
        # That nothing was applied yet is no finding for the command that applies.
        found = [c for c in deployed.checks(self._it, CERTIFICATE_DAYS) if c.check != "state"]
        serious = [check for check in found if check.findings and check.check not in self._wanted.accepted]
        if serious:
            with redirect_stdout(sys.stderr):
                report(found, self._env, as_json=False)
            raise LifecycleError(
                _("Correct what the doctor found, or accept it by name: {names}.").format(
                    names=" ".join(f"--accept {check.check}" for check in serious)
                )
            )
        return _("{number} checks").format(number=len(found)) + _accepted(found)

    def _infrastructure(self, bucket: str) -> str:
        terraform = Configuration(self._it, self._wanted.directory, yes=self._wanted.yes)
        terraform.init(bucket)
        options = self._first_options() if self._terraform_deploys else ()
        changed = terraform.apply(*options, meanwhile=_Records(self._it).show)
        self._it = self._fresh()  # What it remembers of AWS is out of date.
        return _("{number} changes").format(number=changed) if changed else _("no changes")

    def _first_options(self) -> Sequence[str]:
        """Return the options with which Terraform, as the deployer, changes no release: that is a later step's."""
        # Everything but the functions first, whose images have no registry yet.
        return deployed_images(self._it) or ("-var=app_deployer=sam",)

    def _signing_key(self) -> str:
        written = bootstrap.write_signing_key(self._env, self._it.region)
        return _("written") if written else _("there already")

    def _release(self) -> str:
        if archives := self._wanted.archives:
            if not (archives / "template.yaml").is_file():
                release.build(to=archives.resolve(), as_json=self._wanted.as_json)
            return str(archives)
        if not self._digests:
            registry, ecr = release.parameter(self._env, "registry/backend"), release.client("ecr")
            there = {
                t: release.pushed(ecr, registry, release.tag(self._wanted.version, t))
                for t in release.OUTPUTS
            }
            self._digests = {target: digest for target, digest in there.items() if digest}
        if len(self._digests) < len(release.OUTPUTS):
            if subprocess.run(["make", "image"], cwd=ROOT, stdout=sys.stderr, check=False).returncode:
                raise LifecycleError(_("The images couldn't be built: see above."))
            self._digests = release.push(self._env, self._wanted.version, as_json=self._wanted.as_json)
        return ", ".join(self._digests.values())

    def _deploy(self) -> str:
        if self._terraform_deploys:
            terraform = Configuration(self._it, self._wanted.directory, yes=self._wanted.yes)
            changed = terraform.apply(*image_options(self._digests))
            self._it = self._fresh()
            return _("{number} changes").format(number=changed) if changed else _("there already")
        found = self._settled()
        given = {p["ParameterKey"]: p["ParameterValue"] for p in found.get("Parameters", ())}
        digests = {t: given[name] for t, name in release.PARAMETERS.items() if given.get(name)}
        same = (given.get("Release"), digests) == (self._wanted.version, self._digests)
        if same and found["StackStatus"] in DEPLOYED:
            return _("there already")
        release.deploy(
            self._env,
            archives=self._wanted.archives and self._wanted.archives.resolve(),
            digest=self._digests.get("http"),
            functions_digest=self._digests.get("functions"),
            version=self._wanted.version,
            delete_failed=self._wanted.delete_failed,
            as_json=self._wanted.as_json,
        )
        return self._wanted.version

    def _settled(self) -> dict[str, Any]:
        """Return the stack once CloudFormation does nothing to it: a run that was stopped left it at work."""
        while (found := release.stack_of(self._env)).get("StackStatus", "").endswith("IN_PROGRESS"):
            # A change set that was made and never executed; SAM makes the next one.
            if found["StackStatus"] == "REVIEW_IN_PROGRESS":
                break
            time.sleep(POLL_S)
        return found

    def _migrate(self) -> str:
        revision: str = release.invoke(self._env, "migrations", {}, _("The migration failed"))["revision"]
        return revision

    def _first_admin(self) -> str:
        if self._wanted.admin is None:
            return _("none yet: `familycorp members first-admin --env {env} --email ADDRESS`").format(
                env=self._env
            )
        try:
            made = first_admin.make(self._it, self._wanted.admin, resend=False)
        except first_admin.AnotherProviderError as error:
            return str(error)
        return "\n".join(first_admin.lines(made))

    def _smoke(self) -> str:
        if self._terraform_deploys:
            self.url, version = self._it.parameters["settings/API_URL"], None
        else:
            self.url, version = smoke.address(self._env, self._it.region), self._wanted.version
        origin = self._it.variables["cors_origins"][0]
        found = smoke.run(self.url, env=self._env, origin=origin, release=version, slowest_ms=SLOWEST_MS)
        if smoke.report(found, self.url, as_json=False):
            raise LifecycleError(
                _("The site isn't served yet at {url}. {records}").format(
                    url=self.url, records=_Records(self._it).text()
                )
            )
        return self.url

    # -- tools -----------------------------------------------------------------------------------------------------

    @property
    def _terraform_deploys(self) -> bool:
        return bool(self._it.variables["app_deployer"] == "terraform")

    def _fresh(self) -> Environment:
        """Return the environment without what was read of AWS; the variables are Terraform's files' and stay."""
        fresh = Environment(self._env, smoke.REGION, self._wanted.directory)
        fresh.variables = self._it.variables
        return fresh


class _Records:
    """The records of the API's domain that a person enters, where it is in no zone of Route 53."""

    def __init__(self, it: Environment) -> None:
        self._it = it
        self._domain = it.variables["api_domain"] if it.variables["route53_zone_id"] is None else None
        self._shown = False

    def show(self) -> None:
        """Print the record for which ACM waits, once."""
        if self._domain is None or self._shown:
            return
        acm = self._it.client("acm")
        pages = acm.get_paginator("list_certificates").paginate(CertificateStatuses=["PENDING_VALIDATION"])
        for summary in (s for page in pages for s in page["CertificateSummaryList"]):
            if summary["DomainName"] != self._domain:
                continue
            described = acm.describe_certificate(CertificateArn=summary["CertificateArn"])["Certificate"]
            for option in described.get("DomainValidationOptions", ()):
                if record := option.get("ResourceRecord"):
                    said = _("The apply waits for this record in DNS: {Name} {Type} {Value}")
                    sys.stderr.write(said.format(**record) + "\n")
                    self._shown = True

    def text(self) -> str:
        """Return which record leads to the API, as a sentence; nothing where Route 53 has it."""
        if self._domain is None:
            return ""
        found = self._it.client("apigatewayv2").get_domain_name(DomainName=self._domain)
        target = found["DomainNameConfigurations"][0]["ApiGatewayDomainName"]
        return _(
            "This record must be in DNS: {name} CNAME {target}. Then run the same command again."
        ).format(name=self._domain, target=target)


def _accepted(found: Sequence[Check]) -> str:
    names = ", ".join(check.check for check in found if check.findings)
    return _("; accepted: {names}").format(names=names) if names else ""
