"""The stand-ins that a rehearsal deploys to: an emulator of AWS, real servers, a login provider, and their names.

Everything listens on loopback: the emulator and the servers on 127.0.0.1, what functions find by a name of AWS on
another address of the same range with the real port, so that no address in any setting is changed.
"""

import json
import os
import ssl
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import botocore.session
import httpx
import trustme
from botocore.config import Config
from botocore.exceptions import ClientError

from familycorp_ops.facts import FUNCTIONS
from familycorp_ops.rehearse import container, sandbox
from familycorp_ops.rehearse.data_api import DataApi
from familycorp_ops.rehearse.fronts import Front, Fronts
from familycorp_ops.servers.mariadb import MariaDB
from familycorp_ops.servers.ministack import CREDENTIALS, REGION, MiniStack
from familycorp_ops.servers.mysql import MySQL
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.process import (
    LOOPBACK,
    NotInstalledError,
    ServerError,
    clean_environment,
    exchange,
)
from familycorp_ops.servers.sql import SqlServer
from familycorp_ops.servers.valkey import Valkey

AWS_SIDE: Final = "127.1.{}.{}".format(*divmod(os.getpid() % 65_000 + 1, 256))
"""Loopback address on which the names of the outside world lead to their stand-ins; another for each rehearsal."""
LOGIN_HOST: Final = "login.familycorp.example"
LOGIN_PORT: Final = 24_443
REPOSITORY_IDS: Final = {"owner": 10_000_001, "repository": 1_000_000_002}
"""Numbers of the repository familycorp/backend and of its owner, as tokens of newer repositories hold them."""
REPOSITORY: Final = "repo:familycorp@{owner}/backend@{repository}".format(**REPOSITORY_IDS)
"""What subjects of its tokens begin with."""
_GITHUB: Final = json.dumps(
    {
        "id": REPOSITORY_IDS["repository"],
        "owner": {"id": REPOSITORY_IDS["owner"]},
        "full_name": "familycorp/backend",
        "created_at": "2026-08-01T00:00:00Z",
    }
)
"""What GitHub says of the repository."""
CACHE_HOST: Final = "familycorp-dev-cache-rehearsal.serverless.apn2.cache.amazonaws.com"


class MiniStackWithoutGaps(MiniStack):
    """MiniStack as `launch.py` starts it: some of its gaps closed, functions started by a program of ours."""

    def __init__(
        self,
        *,
        directory: Path | None = None,
        log: Path | None = None,
        function: Path = Path("/bin/false"),
    ) -> None:
        super().__init__(directory=directory, log=log)
        self._function = function

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where there is none."""
        python, *_ = super().command()
        return [python, "-I", str(Path(__file__).with_name("launch.py")), str(self._function)]


class IsolatedMiniStack(MiniStackWithoutGaps):
    """MiniStack over TLS, with IAM enforced, which starts functions by a program of ours.

    Args:
        directory: where it works.
        log: file for its output.
        certificate: PEM file of certificate and key.
        function: program that starts functions.
        cache_host: name that it gives to caches.
    """

    def __init__(
        self, directory: Path, log: Path, certificate: Path, function: Path, cache_host: str
    ) -> None:
        super().__init__(directory=directory, log=log, function=function)
        self._certificate, self._cache_host = certificate, cache_host

    @property
    def url(self) -> str:
        """The endpoint URL for AWS clients."""
        return f"https://{LOOPBACK}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the environment of its process."""
        secure = {
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(self._certificate),
            "MINISTACK_SSL_KEY": str(self._certificate),
        }
        return super().environment() | secure | {"REDIS_HOST": self._cache_host}

    def is_ready(self) -> bool:
        """Return whether it answers."""
        try:
            return httpx.get(f"{self.url}/_ministack/ready", verify=False, timeout=1).status_code == 200  # noqa: S501 - only whether it is there.
        except httpx.HTTPError:
            return False


class Cloud:
    """All stand-ins, for the length of the block.

    Args:
        directory: where they work and log; what is in there stays.
        env: environment that is deployed.
        api_url: origin of the API, to which the login provider may send people back.
    """

    def __init__(self, directory: Path, env: str, api_url: str) -> None:
        self.directory, self.env = directory, env
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True)
        self.ca = directory / "ca.pem"
        certificate = directory / "certificate.pem"
        self._authority = trustme.CA(organization_name="Rehearsal")
        self._authority.cert_pem.write_to_path(str(self.ca))
        function = sandbox.make(directory / "sandbox", self.ca)
        self._hosts_directory = directory / "sandbox" / "hosts"
        secrets = self._authority.issue_cert(LOOPBACK, "localhost").private_key_and_cert_chain_pem
        secrets.write_to_path(str(certificate))
        self.emulator = IsolatedMiniStack(
            directory / "emulator", self.logs / "emulator.log", certificate, function, CACHE_HOST
        )
        self._programs = directory / "programs"
        self._programs.mkdir()
        self.database: SqlServer = _database(directory / "database", self.logs / "database.log")
        self.cache = Valkey(directory=directory / "cache", log=self.logs / "cache.log")
        self.provider = NanoIDP(
            api_urls=[api_url],
            issuer=f"https://{LOGIN_HOST}:{LOGIN_PORT}",
            directory=directory / "provider",
            log=self.logs / "provider.log",
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in (self.emulator, self.database, self.cache, self.provider):
                stack.enter_context(server)
            self._data_api = stack.enter_context(DataApi(self.database.port))
            self._stack = stack.pop_all()
        self.operator = self._operator()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self._keep_function_logs()
        finally:
            self._stack.close()
            container.remove(self._hosts_directory, f"{LOOPBACK}:{self.emulator.port}")

    def _keep_function_logs(self) -> None:
        """Write what functions logged to a file, before the emulator forgets it."""
        logs = self.client("logs")
        with (self.logs / "functions.log").open("w", encoding="utf-8") as file:
            for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
                pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
                for event in (event for page in pages for event in page["events"]):
                    file.write(f"{group['logGroupName']} {event['message'].rstrip()}\n")

    def name(self, database_host: str, cache_user: str | None, database: str) -> None:
        """Have the names that Terraform was given lead to the real servers, and let the users in.

        Args:
            database_host: the cluster's endpoint.
            cache_user: user of the cache, if there is one.
            database: name of the database.
        """
        certificate = self._authority.issue_cert(LOGIN_HOST, CACHE_HOST, database_host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self.database.create_database(database)
        if cache_user:
            # A token admits this user alone.
            for command in (f"ACL SETUSER {cache_user} on nopass ~* &* +@all", "ACL SETUSER default off"):
                answer = exchange(self.cache.port, f"{command}\r\n".encode())
                if not answer.startswith(b"+OK"):
                    raise ServerError(f"Valkey refuses {command}: {answer.decode()}")
        fronts = Fronts(
            context,
            Front(AWS_SIDE, 3306, self.database.port, lambda: f"{database_host}:3306"),
            Front(AWS_SIDE, 6379, self.cache.port),
            Front(AWS_SIDE, LOGIN_PORT, self.provider.port),
        )
        self.fronts = self._stack.enter_context(fronts)
        inside = {database_host: AWS_SIDE, CACHE_HOST: AWS_SIDE}
        # A function in the VPC reaches the stores and not the provider, one outside the provider and not the stores.
        for function in (name for name, function in FUNCTIONS.items() if function["vpc"]):
            sandbox.resolve(self._hosts_directory, f"familycorp-{self.env}-{function}", inside)
        sandbox.resolve(self._hosts_directory, f"familycorp-{self.env}-auth", {LOGIN_HOST: AWS_SIDE})

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the database's owner; return the last one's rows."""
        import pymysql  # type: ignore[import-untyped]  # noqa: PLC0415

        connection = pymysql.connect(host=LOOPBACK, port=self.database.port, user="root", autocommit=True)
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())
        finally:
            connection.close()

    @property
    def variables(self) -> Mapping[str, str]:
        """Variables with which AWS clients reach the emulator, and could never reach AWS."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.emulator.url, "AWS_CA_BUNDLE": str(self.ca)}

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a program that works on the emulator."""
        return clean_environment(**{**self.variables, **more})

    def _operator(self) -> Mapping[str, str]:
        """Return variables of a person who works on the account: a user who may do everything, and their `gh`."""
        iam = self.client("iam")
        iam.create_user(UserName="operator")
        everything = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
        iam.put_user_policy(
            UserName="operator", PolicyName="everything", PolicyDocument=json.dumps(everything)
        )
        key = iam.create_access_key(UserName="operator")["AccessKey"]
        gh = self._programs / "gh"
        gh.write_text(
            f"#!/bin/sh\ncase $2 in */sub) echo '{{\"use_default\": true}}';; *) echo '{_GITHUB}';; esac\n"
        )
        gh.chmod(0o755)
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_ENDPOINT_URL_RDS_DATA": self._data_api.url,
            "PATH": os.pathsep.join((str(self._programs), os.environ["PATH"])),
            "SSL_CERT_FILE": str(self.ca),
        }

    def pipeline(self, role: str, environment: str) -> dict[str, str]:
        """Return variables with what a run of the pipeline in a GitHub environment gets of a role; none if refused.

        The token says what GitHub's would; the emulator compares it with the role's trust, but checks no signature.
        """
        import jwt  # noqa: PLC0415 - only a rehearsal needs it.

        says = {
            "iss": "https://token.actions.githubusercontent.com",
            "aud": "sts.amazonaws.com",
            "sub": f"{REPOSITORY}:environment:{environment}",
        }
        try:
            return _variables(
                self.client("sts").assume_role_with_web_identity(
                    RoleArn=f"arn:aws:iam::{self.account}:role/{role}",
                    RoleSessionName="rehearsal",
                    WebIdentityToken=jwt.encode(says, "github".ljust(32), algorithm="HS256"),
                )
            )
        except ClientError:
            return {}

    def person(self, role: str, session: str, *policies: str) -> dict[str, str]:
        """Return variables of a person's session of a role of people, which has nothing but some managed policies.

        Args:
            role: name of the role, which is made here.
            session: name of the session, as IAM Identity Center makes it of the person's user name.
            policies: names of the policies.
        """
        iam, sts, account = self.client("iam"), self.client("sts"), f"arn:aws:iam::{self.account}"
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"{account}:root"}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)
        for policy in policies:
            iam.attach_role_policy(RoleName=role, PolicyArn=f"{account}:policy/{policy}")
        return _variables(sts.assume_role(RoleArn=f"{account}:role/{role}", RoleSessionName=session))

    @cached_property
    def account(self) -> str:
        """Number of the account."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def client(self, service: str) -> Any:
        """Return a client of a service, as the account's administrator."""
        session = botocore.session.get_session()
        return session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self.emulator.url,
            verify=str(self.ca),
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(read_timeout=330, retries={"total_max_attempts": 1}),
        )

    @property
    def trust(self) -> ssl.SSLContext:
        """What clients of the stand-ins trust."""
        return ssl.create_default_context(cafile=str(self.ca))


def _variables(assumed: Mapping[str, Any]) -> dict[str, str]:
    """Return variables with which programs have a role that was assumed."""
    given = assumed["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def _database(directory: Path, log: Path) -> SqlServer:
    """Return MySQL where it is installed, else MariaDB."""
    server = MySQL(directory=directory, log=log)
    try:
        server.command()
    except NotInstalledError:
        return MariaDB(directory=directory, log=log)
    return server
