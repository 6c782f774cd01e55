"""The first admin of an environment, made on an emulator of Cognito by the command that an operator types."""

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import httpx
import pytest

from familycorp_ops.servers.ministack import CREDENTIALS, REGION, MiniStack
from familycorp_ops.servers.process import clean_environment
from familycorp_ops.testing.commands import Ran, familycorp, on_emulator

ENV = "dev"
EMAIL = "first@familycorp.example"
API = "https://api-dev.familycorp.example"


class Pool:
    """A user pool with its groups, and the parameters that name it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cognito = self.client("cognito-idp")
        self.id = self.cognito.create_user_pool(
            PoolName=f"familycorp-{ENV}-staff", UsernameAttributes=["email"]
        )["UserPool"]["Id"]
        for group in ("bosses", "editors"):
            self.cognito.create_group(UserPoolId=self.id, GroupName=group)
        self.parameter("OIDC_ISSUER", f"https://cognito-idp.{REGION}.amazonaws.com/{self.id}")
        self.parameter("ROLE_GROUPS", "editors=editor,bosses=admin")
        self.parameter("API_URL", API)

    def client(self, service: str) -> Any:
        session = botocore.session.get_session()
        session.set_credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        return session.create_client(service, region_name=REGION, endpoint_url=self.url)

    def parameter(self, name: str, value: str) -> None:
        self.client("ssm").put_parameter(
            Name=f"/familycorp/{ENV}/settings/{name}", Value=value, Type="String", Overwrite=True
        )

    def members(self, group: str) -> list[str]:
        found = self.cognito.list_users_in_group(UserPoolId=self.id, GroupName=group)["Users"]
        return [a["Value"] for user in found for a in user["Attributes"] if a["Name"] == "email"]

    def user(self, verified: str) -> str:
        """Make a user who has logged in; return their name."""
        made = self.cognito.admin_create_user(
            UserPoolId=self.id,
            Username=EMAIL,
            UserAttributes=[
                {"Name": "email", "Value": EMAIL},
                {"Name": "email_verified", "Value": verified},
            ],
        )["User"]["Username"]
        self.cognito.admin_set_user_password(
            UserPoolId=self.id, Username=made, Password="correct horse battery staple A1!", Permanent=True
        )
        return str(made)


@pytest.fixture(scope="module")
def emulator() -> Iterator[MiniStack]:
    with MiniStack() as server:
        yield server


@pytest.fixture
def pool(emulator: MiniStack) -> Pool:
    httpx.post(f"{emulator.url}/_ministack/reset").raise_for_status()
    return Pool(emulator.url)


def first_admin(pool: Pool, *arguments: str, email: str = EMAIL) -> Ran:
    command = ["members", "first-admin", "--env", ENV, "--email", email, *arguments]
    return familycorp(*command, environment=clean_environment(**on_emulator(pool.url), LANG="C"))


def test_an_invited_user_is_an_admin_from_the_first_login_on(pool: Pool) -> None:
    ran = first_admin(pool, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    made = json.loads(ran.stdout)
    assert (made["email"], made["group"], made["invited"], made["pending"]) == (EMAIL, "bosses", True, True)
    assert (made["environment"], made["url"]) == (ENV, API)
    assert pool.members("bosses") == [EMAIL]
    assert pool.members("editors") == []
    # The application takes verified addresses alone.
    user = pool.cognito.admin_get_user(UserPoolId=pool.id, Username=EMAIL)
    assert {"Name": "email_verified", "Value": "true"} in user["UserAttributes"]


def test_a_repetition_changes_nothing_and_sends_an_invitation_only_where_asked(pool: Pool) -> None:
    assert "temporary password" in first_admin(pool).stdout
    again = first_admin(pool)
    assert again.returncode == 0
    assert "--resend" in again.stdout
    assert "temporary password" not in again.stdout
    sent = first_admin(pool, "--resend")
    assert (sent.returncode, "temporary password" in sent.stdout) == (0, True)
    assert pool.members("bosses") == [EMAIL]
    assert len(pool.cognito.list_users(UserPoolId=pool.id)["Users"]) == 1


def test_a_user_who_is_there_keeps_their_password(pool: Pool) -> None:
    pool.user("true")
    ran = first_admin(pool, "--resend", "--json")
    assert (ran.returncode, json.loads(ran.stdout)["invited"]) == (0, False)
    assert pool.cognito.admin_get_user(UserPoolId=pool.id, Username=EMAIL)["UserStatus"] == "CONFIRMED"
    assert pool.members("bosses") == [EMAIL]


def test_nobody_becomes_an_admin_by_an_address_that_isnt_verified(pool: Pool) -> None:
    """A user can give themselves any address; Cognito then sends a code there, and the old one may go on."""
    pool.user("false")
    ran = first_admin(pool)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{EMAIL} isn't a verified address of the user" in ran.stderr
    assert pool.members("bosses") == []


def test_a_disabled_user_stays_disabled(pool: Pool) -> None:
    pool.cognito.admin_disable_user(UserPoolId=pool.id, Username=pool.user("true"))
    ran = first_admin(pool)
    assert ran.returncode == 1
    assert "is disabled in the user pool" in ran.stderr
    assert pool.members("bosses") == []


def test_a_name_that_isnt_an_address_makes_nobody(pool: Pool) -> None:
    for name in ("first", "a b@familycorp.example"):
        ran = first_admin(pool, email=name)
        assert (ran.returncode, "is no e-mail address" in ran.stderr) == (1, True), name
    assert pool.cognito.list_users(UserPoolId=pool.id)["Users"] == []


def test_another_provider_has_a_command_for_after_the_first_login(pool: Pool) -> None:
    pool.parameter("OIDC_ISSUER", "https://login.familycorp.example")
    ran = first_admin(pool)
    assert ran.returncode == 1
    assert f"familycorp members grant-role {EMAIL} admin --env dev" in ran.stderr


def test_an_environment_without_a_group_of_admins_or_without_settings_says_so(pool: Pool) -> None:
    pool.parameter("ROLE_GROUPS", "editors=editor")
    assert "No group gives the role admin" in first_admin(pool).stderr
    pool.client("ssm").delete_parameter(Name=f"/familycorp/{ENV}/settings/OIDC_ISSUER")
    assert "was Terraform applied?" in first_admin(pool).stderr
    assert pool.cognito.list_users(UserPoolId=pool.id)["Users"] == []
