"""Work on an environment's database: by the functions that have just that job, or on what runs on this machine.

In AWS nothing outside the VPC reaches the database. `--env` has a command call the environment's operator functions
by their URLs, signed with the caller's AWS credentials: IAM authorizes them, and the audit trail names them.
"""

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from familycorp_ops import environment, messages
from familycorp_ops.deploy.smoke import REGION
from familycorp_ops.environment import CommandError
from familycorp_ops.output import aws_problem, known

if TYPE_CHECKING:
    from app.core.http.problems import Problem

_TIMEOUT_S: Final = 150.0
"""Longer than any of the functions may take."""
_REFUSED: Final = {401, 403}
_FAILED: Final = 500

Env = Annotated[
    str | None,
    typer.Option(help="Environment in AWS: dev, stage or prod; else what runs here.", callback=known),
]
State = Annotated[
    Path,
    typer.Option(help="Directory of what `familycorp up` runs; FAMILYCORP_* variables win.", metavar="DIR"),
]


class CallFailedError(CommandError):
    """A call ended without a response: whether its work was done isn't known."""


class RefusedError(Exception):
    """The service refuses the request.

    Args:
        code: the problem's stable code.
        detail: the problem's detail, or else its title.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail

    @classmethod
    def of(cls, problem: "Problem") -> "RefusedError":
        """Return the refusal of a service in this process."""
        language = messages.chosen()
        return cls(
            problem.code,
            problem.detail.in_language(language) if problem.detail else problem.in_language(language),
        )


class Operator:
    """The operator functions of an environment in AWS, and the bucket between them and this machine.

    Every method raises `CommandError` where AWS can't be reached or refuses.
    """

    def __init__(self, env: str) -> None:
        from botocore.session import get_session  # noqa: PLC0415 - `--help` needs no AWS.

        from app.core.clock import new_id  # noqa: PLC0415

        self.env, self.request_id = env, str(new_id())
        self._session = get_session()
        self._urls: dict[str, str] = {}

    def read(self, command: str, **arguments: Any) -> Any:
        """Ask for something; raise `RefusedError` or `CallFailedError`."""
        return self._call("operator-read", command, arguments)

    def write(self, command: str, **arguments: Any) -> Any:
        """Have something changed; raise `RefusedError` or `CallFailedError`."""
        return self._call("operator-write", command, arguments)

    def take(self, name: str) -> bytes:
        """Return an object that a function has left in the bucket."""
        with self._aws():
            found = self._client("s3").get_object(Bucket=self._bucket, Key=f"exports/{name}")
            content: bytes = found["Body"].read()
        return content

    def leave(self, name: str, content: bytes) -> None:
        """Leave an object in the bucket for a function."""
        with self._aws():
            self._client("s3").put_object(Bucket=self._bucket, Key=f"imports/{name}", Body=content)

    def _call(self, function: str, command: str, arguments: dict[str, Any]) -> Any:
        import json  # noqa: PLC0415

        import httpx  # noqa: PLC0415

        body = json.dumps({"command": command, "arguments": arguments}).encode()
        url, headers = self._signed(function, body)
        trusted = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        try:
            with httpx.Client(verify=trusted, timeout=_TIMEOUT_S) as client:
                answer = client.post(url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise CallFailedError(
                _("The function {function} doesn't respond: {error}.").format(
                    function=self._name(function), error=str(error) or type(error).__name__
                )
            ) from None
        if answer.headers.get("content-type") == "application/problem+json":
            raise _refusal(answer.json())
        if answer.status_code in _REFUSED:
            raise self._forbidden(function)
        if answer.status_code >= _FAILED or not answer.is_success:
            raise CallFailedError(
                _("The function {function} failed ({status}): its log group says why.").format(
                    function=self._name(function), status=answer.status_code
                )
            )
        return answer.json()

    def _signed(self, function: str, body: bytes) -> tuple[str, dict[str, str]]:
        """Return where a call is sent, and its headers."""
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        url = self._url(function)
        request = AWSRequest(
            "POST",
            url,
            data=body,
            headers={"Content-Type": "application/json", "X-Request-ID": self.request_id},
        )
        SigV4Auth(self._session.get_credentials().get_frozen_credentials(), "lambda", REGION).add_auth(
            request
        )
        headers = {**request.headers, "Host": url.split("/")[2]}
        # An emulator serves every name of AWS at one address.
        return os.environ.get("AWS_ENDPOINT_URL", url), headers

    def _url(self, function: str) -> str:
        if function not in self._urls:
            client = self._client("lambda")
            with self._aws(function):
                try:
                    found = client.get_function_url_config(
                        FunctionName=self._name(function), Qualifier="live"
                    )
                except client.exceptions.ResourceNotFoundException:
                    raise CommandError(
                        _(
                            "There is no function {function} with a URL: was a release deployed to {env}?"
                        ).format(function=self._name(function), env=self.env)
                    ) from None
            self._urls[function] = found["FunctionUrl"]
        return self._urls[function]

    @cached_property
    def _bucket(self) -> str:
        name = f"/familycorp/{self.env}/exchange/bucket"
        found: str = self._client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        return found

    def _client(self, service: str) -> Any:
        return self._session.create_client(service, region_name=REGION)

    def _name(self, function: str) -> str:
        return f"familycorp-{self.env}-{function}"

    @contextmanager
    def _aws(self, function: str | None = None) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            refused = (
                isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            )
            if function and refused:
                raise self._forbidden(function) from None
            raise CommandError(aws_problem(error)) from None

    def _forbidden(self, function: str) -> CommandError:
        said = _("These credentials may not call {name}: the policy of that name allows it.")
        if self.env == "prod":
            said += " " + _("In Prod it demands a role that was assumed with a second factor.")
        return CommandError(said.format(name=self._name(function)))


def _refusal(problem: dict[str, Any]) -> Exception:
    if problem["status"] == 503:
        store = _("The database") if problem["code"] == "database_unavailable" else "DynamoDB"
        return CommandError(
            _("{store} doesn't respond: run the same command again when it does.").format(store=store)
        )
    errors = "; ".join(f"{error['field']}: {error['message']}" for error in problem.get("errors", ()))
    return RefusedError(problem["code"], problem.get("detail") or errors or problem["title"])


def ask(command: str, env: str | None, state: Path, **arguments: Any) -> Any:
    """Return what a command of the operator functions answers, in AWS or, without `env`, on this machine.

    Raises `CommandError`, and `RefusedError` where the service refuses.
    """
    if env is not None:
        return Operator(env).read(command, **arguments)
    return _here(command, state, arguments)


def order(command: str, env: str | None, state: Path, **arguments: Any) -> Any:
    """Do what `ask` does, for commands that change something."""
    if env is not None:
        return Operator(env).write(command, **arguments)
    return _here(command, state, arguments)


def _here(command: str, state: Path, arguments: dict[str, Any]) -> Any:
    environment.choose(state, writes=True)
    from app.core.http.problems import Problem, Unavailable  # noqa: PLC0415 - it needs the settings.
    from app.functions.operator import done_here  # noqa: PLC0415

    answers: list[Any] = []

    async def work() -> None:
        try:
            answers.append(await done_here(command, arguments))
        except Unavailable:
            raise
        except Problem as problem:
            raise RefusedError.of(problem) from None

    environment.run(work())
    return answers[0]


@contextmanager
def reported() -> Iterator[None]:
    """End the program with one sentence where its work can't be done, or isn't wanted."""
    try:
        yield
    except CommandError as error:
        sys.exit(str(error))
    except RefusedError as error:
        sys.exit(error.detail)
