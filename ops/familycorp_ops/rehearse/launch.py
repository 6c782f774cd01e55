"""Starts MiniStack in its own environment, with its gaps closed; see `cloud.IsolatedMiniStack`.

The first argument is the program that functions of Python are started with.
"""

import io
import json
import os
import re
import runpy
import sys
import zipfile
from typing import Any
from urllib.parse import unquote


def _close_gaps() -> None:
    _know_callers_of_function_urls()
    _run_images()
    _keep_endpoints_of_clusters()
    _list_versions_with_values()
    _resolve_conditions()
    _authorize_by_names_of_aws()
    _name_resources()
    _translate_with_parameters()


def _keep_endpoints_of_clusters() -> None:
    from ministack.services import rds  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    # Once a cluster has an instance it would call the endpoint `localhost`. With the name that it gave first, as AWS
    # gives it, functions look up and verify a name as they do there.
    rds._sync_cluster_endpoints = lambda _: None  # noqa: SLF001 - a gap of the emulator, closed from outside.


def _list_versions_with_values() -> None:
    from ministack.services import secretsmanager  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    staged = secretsmanager._vid_to_stages  # noqa: SLF001

    def with_value(secret: Any) -> dict[str, list[str]]:
        """List the versions that have a value: a secret that nobody gave one has no version in AWS."""
        versions = secret["Versions"]
        has = {v for v in versions if versions[v]["SecretString"] or versions[v]["SecretBinary"]}
        return {version: stages for version, stages in staged(secret).items() if version in has}

    secretsmanager._vid_to_stages = with_value  # noqa: SLF001


def _resolve_conditions() -> None:
    from ministack.core import iam_evaluator  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
    from ministack.services import kms  # noqa: PLC0415

    known = iam_evaluator._resolve_condition_key  # noqa: SLF001

    def resolve(condition: str, context: Any) -> Any:
        """Answer two conditions that our policies use as AWS does, without which it would refuse what AWS allows."""
        name = condition.lower()
        if name == "aws:principalarn" and ":assumed-role/" in context.principal_arn:
            # A session's principal is its role, not the session.
            account, role = context.principal_arn.split(":")[4], context.principal_arn.split("/")[1]
            return f"arn:aws:iam::{account}:role/{role}"
        if name == "kms:resourcealiases":
            key = kms._resolve_key(context.resource_arn) or {}  # noqa: SLF001
            aliases = kms._aliases.items()  # noqa: SLF001
            return [arn.rpartition(":")[2] for arn, key_id in aliases if key_id == key.get("KeyId")] or None
        return known(condition, context)

    iam_evaluator._resolve_condition_key = resolve  # noqa: SLF001


def _authorize_by_names_of_aws() -> None:
    from ministack.core import iam_evaluator  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
    from ministack.services import kms  # noqa: PLC0415

    enforces = iam_evaluator.enforce

    def enforce(
        access_key_id: str, action: str, service: str, region: str, resource_arn: str = "*", **more: Any
    ) -> Any:
        """Ask of a key by its own ARN where the caller named its alias, and of budgets by AWS's two actions."""
        if service == "budgets" and not action.endswith("Resource"):
            action = f"budgets:{'View' if ':Describe' in action else 'Modify'}Budget"
        if service == "kms" and ":alias/" in resource_arn:
            resource_arn = (kms._resolve_key(resource_arn) or {"Arn": resource_arn})["Arn"]  # noqa: SLF001
        return enforces(access_key_id, action, service, region, resource_arn, **more)

    iam_evaluator.enforce = enforce


def _name_resources() -> None:
    from ministack.core import iam_actions  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    names = iam_actions.extract_resource_arn

    def name(service: str, method: str, path: str, headers: Any, body: bytes, *more: Any) -> Any:
        """Name the resource whose tags a call asks for, and a budget, where the emulator would say `*`."""
        named = names(service, method, path, headers, body, *more)
        if named == "*" and re.search(rb"(?i)resourcearn", body):
            named = re.search(r"arn:aws:[\w:/.-]+", unquote(body.decode(errors="replace")))[0]  # type: ignore[index]
        elif named == "*" and service == "budgets":
            named = f"arn:aws:budgets::{more[-1]}:budget/{json.loads(body).get('BudgetName')}"
        return named

    iam_actions.extract_resource_arn = name


def _translate_with_parameters() -> None:
    from ministack.services.cloudformation import engine  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
    from samtranslator.translator import transform  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    translate = transform.transform

    def translated(template: Any, _: Any, *more: Any) -> Any:
        """Give SAM's translator the stack's parameters, as AWS does: by them it knows when to publish a version."""
        operation = sys._getframe(1).f_locals  # noqa: SLF001 - the emulator has them there, and doesn't hand them on.
        given, before = operation.get("provided_params"), operation.get("previous_params")
        parameters = engine._transform_parameters(template, given, before)  # noqa: SLF001
        return _as_served(translate(template, parameters, *more))

    transform.transform = translated


def _as_served(template: Any) -> Any:
    """Take out what the emulator refuses to make, schedules of rotations, and name the API as it serves it."""
    refused = "AWS::SecretsManager::RotationSchedule"
    template["Resources"] = {k: v for k, v in template["Resources"].items() if v["Type"] != refused}
    if "Api" in template["Resources"] and (address := template.get("Outputs", {}).get("HttpApiUrl")):
        address["Value"] = {"Fn::Sub": f"https://{_here()}/_aws/execute-api/${{Api}}/$default"}
    return template


def _here() -> str:
    """Return where the emulator listens."""
    return f"127.0.0.1:{os.environ['GATEWAY_PORT']}"


def _run_images() -> None:
    """Start functions of images by the program that starts those of archives, and refuse an image that isn't there.

    The emulator is its own registry, whose name in AWS leads nowhere here.
    """
    from ministack.services import ecr, lambda_svc  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    updates = lambda_svc._update_code  # noqa: SLF001 - as above.

    def run(function: Any, event: Any, request_id: str) -> Any:
        config = function["config"]
        given = config.get("ImageConfigResponse", {}).get("ImageConfig", {})
        command = [*given.get("EntryPoint", ()), *given.get("Command", ())]
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("image.json", json.dumps({"uri": config["ImageUri"], "command": command}))
        as_archive = {**config, "PackageType": "Zip", "Runtime": "python3.12", "Handler": "image.handler"}
        code = {"config": as_archive, "code_zip": archive.getvalue()}
        return lambda_svc._execute_function_warm(code, event, request_id)  # noqa: SLF001

    def update(name: str, code: Any) -> Any:
        repository, _, digest = code.get("ImageUri", "").rpartition("/")[2].partition("@")
        if digest and digest not in ecr._manifest_blobs.get(repository, {}):  # noqa: SLF001
            return lambda_svc.error_response_json(
                "InvalidParameterValueException", f"Source image {code['ImageUri']} does not exist.", 400
            )
        return updates(name, code)

    lambda_svc._execute_function_docker, lambda_svc._update_code = run, update  # noqa: SLF001
    ecr._repo_uri = lambda name: f"{_here()}/{name}"  # noqa: SLF001


def _know_callers_of_function_urls() -> None:
    """Ask for both permissions on a call of a function URL, and name its caller in the event, as AWS does."""
    from ministack import app  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
    from ministack.core import iam_evaluator  # noqa: PLC0415
    from ministack.services import lambda_svc  # noqa: PLC0415

    enforces, builds = app._enforce_data_plane, lambda_svc._build_function_url_event  # noqa: SLF001 - as above.

    def enforce(service: str, action: str, *given: Any, service_context: Any = None, **more: Any) -> Any:
        denied = enforces(service, action, *given, service_context=service_context, **more)
        if denied or action != "lambda:InvokeFunctionUrl":
            return denied
        by_url = {"lambda:InvokedViaFunctionUrl": "true"}
        return enforces(service, "lambda:InvokeFunction", *given, service_context=by_url, **more)

    def build(*given: Any, **more: Any) -> Any:
        event = builds(*given, **more)
        *_, headers, _body, query = given
        identity = iam_evaluator.resolve_caller_identity(app.extract_access_key_id(headers, query))
        if identity and not more.get("anonymous"):
            named = {name: identity[name] for name in ("accessKey", "accountId", "userArn", "userId")}
            event["requestContext"]["authorizer"] = {"iam": {**named, "callerId": identity["userId"]}}
        return event

    app._enforce_data_plane, lambda_svc._build_function_url_event = enforce, build  # noqa: SLF001


if __name__ == "__main__":
    # MiniStack would run functions in this very interpreter, among its own packages.
    sys.executable = sys.argv.pop(1)
    _close_gaps()
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
