#!/usr/local/bin/python3 -IS
"""A stand-in for the AWS Lambda Web Adapter 1.x, whose binary comes from a container registry alone.

usage: web_adapter.py    an extension of Lambda: it serves the Runtime API with the web server on AWS_LWA_PORT

It behaves as the adapter did in a comparison of 45 requests, and as its source says (aws/aws-lambda-web-adapter and
lambda_http of aws/aws-lambda-rust-runtime):

- it starts no web server, registers as the extension `lambda-adapter`, and asks for readiness every 10 ms for as long
  as it lives;
- its log level is RUST_LOG, else AWS_LAMBDA_LOG_LEVEL; at DEBUG it writes each request's URL and headers;
- a request is HTTP/1.1 with the event's path, whose `%` stays as it is; cookies are joined by `;`;
  `content-length: 0` is added where there is no body; `x-amzn-request-context` and `x-amzn-lambda-context` are
  overwritten;
- of repeated response headers the first is kept, cookies go apart, and bodies are base64 but for text (`_is_text`).

Standard library alone: in the image's slot it runs on the image's Python.
"""

import base64
import json
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

TEXT = re.compile(r"(text|application/(json|javascript|xml|yaml))|[^;]*\+(xml|yaml|json)\s*(;|$)")
"""Types whose bodies are text: prefixes, and suffixes of what stands before parameters."""
IDLE_S = 4
"""Seconds after which a connection isn't used again: uvicorn closes one after five, as the adapter expects."""
LEVELS = ("trace", "debug", "info", "warn", "error")


def log(level: str, message: str, **fields: object) -> None:
    """Write a line, where the level is enabled."""
    chosen = (os.environ.get("RUST_LOG") or os.environ.get("AWS_LAMBDA_LOG_LEVEL") or "info").lower()
    if LEVELS.index(level) >= LEVELS.index(chosen if chosen in LEVELS else "info"):
        print(json.dumps({"level": level.upper(), "message": message, **fields}), flush=True)


def register(host: str) -> None:
    """Register as an extension that wants no events, and wait for the first in a thread, as one must."""
    connection = HTTPConnection(host)
    path, name = "/2020-01-01/extension", {"Lambda-Extension-Name": "lambda-adapter"}
    connection.request("POST", f"{path}/register", '{"events": []}', name)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        sys.exit(f"The extension wasn't registered: {answer.status}.")
    identity = {"Lambda-Extension-Identifier": answer.headers["Lambda-Extension-Identifier"]}

    def wait() -> None:
        connection.request("GET", f"{path}/event/next", headers=identity)
        connection.getresponse()

    threading.Thread(target=wait, daemon=True).start()


def is_healthy(status: int) -> bool:
    """Return whether a response of this status means that the application is ready."""
    low, _, high = os.environ.get("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", "100-499").partition("-")
    return int(low) <= status <= int(high or low)


def wait_until_ready(port: int) -> None:
    """Wait until the application says that it is ready."""
    path = os.environ.get("AWS_LWA_READINESS_CHECK_PATH", "/")
    checkpoint_s = time.monotonic() + 2
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            connection.request("GET", path)
            if is_healthy(connection.getresponse().status):
                return
        except OSError:
            pass
        finally:
            connection.close()
        if time.monotonic() > checkpoint_s:
            log("info", "app is not ready", url=f"http://127.0.0.1:{port}{path}")
            checkpoint_s += 2
        time.sleep(0.01)


def invocation_context(headers: Message | Mapping[str, str]) -> dict[str, Any]:
    """Return what the adapter passes to the application about an invocation: `lambda_runtime::Context`."""
    return {
        "request_id": headers["Lambda-Runtime-Aws-Request-Id"],
        "deadline": int(headers.get("Lambda-Runtime-Deadline-Ms", "0")),
        "invoked_function_arn": headers.get("Lambda-Runtime-Invoked-Function-Arn", ""),
        "xray_trace_id": headers.get("Lambda-Runtime-Trace-Id"),
        "client_context": None,
        "identity": None,
        "env_config": {
            "function_name": os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
            "memory": int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")),
            "version": os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
            "log_stream": os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""),
            "log_group": os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", ""),
        },
    }


def answer(
    connection: HTTPConnection, event: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    """Ask the web server what an event asks, and return its response as API Gateway wants it.

    Raises:
        UnicodeDecodeError: a response header isn't UTF-8.
    """
    body = event.get("body") or ""
    sent = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    headers = {n.lower(): v for n, v in event["headers"].items()}
    if event.get("cookies"):
        headers["cookie"] = ";".join(event["cookies"])
    headers["x-amzn-request-context"] = json.dumps(event["requestContext"])
    headers["x-amzn-lambda-context"] = json.dumps(context)
    headers.setdefault("content-length", str(len(sent)))
    target = quote(event["rawPath"], safe="/!$%&'()*+,;=:@~-._[]|^\\")
    if event["rawQueryString"]:
        target += "?" + event["rawQueryString"]
    log("debug", "sending request to app server", app_url=target, req_headers=headers)
    connection.putrequest(
        event["requestContext"]["http"]["method"], target, skip_host=True, skip_accept_encoding=True
    )
    for name, value in headers.items():
        connection.putheader(name, value.encode())
    connection.endheaders(sent or None)
    got = connection.getresponse()
    content = got.read()
    # http.client decodes headers as Latin-1.
    decoded = [(n.lower(), v.encode("latin-1").decode()) for n, v in got.getheaders()]
    log("debug", "responding to lambda event", status=got.status, app_headers=decoded)
    kept: dict[str, str] = {}
    for name, value in decoded:
        if name not in {"set-cookie", "transfer-encoding"}:
            kept.setdefault(name, value)
    text = _is_text(kept)
    return {
        "statusCode": got.status,
        "headers": kept,
        "cookies": [v for n, v in decoded if n == "set-cookie"],
        "body": _decoded(content) if text else base64.b64encode(content).decode(),
        "isBase64Encoded": not text,
    }


def _is_text(headers: Mapping[str, str]) -> bool:
    """Return whether a body is handed on as text: it has no encoding, and no type or a textual one."""
    kind = headers.get("content-type")
    return "content-encoding" not in headers and (kind is None or bool(TEXT.match(kind.strip())))


def _decoded(content: bytes) -> str:
    """Return text; what isn't UTF-8 is lost as a whole."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return ""


def main() -> None:
    """Do as the module says."""
    port, host = int(os.environ.get("AWS_LWA_PORT", "8080")), os.environ["AWS_LAMBDA_RUNTIME_API"]
    register(host)
    wait_until_ready(port)
    runtime, server = HTTPConnection(host), HTTPConnection("127.0.0.1", port)
    invocation = "/2018-06-01/runtime/invocation"
    used = time.monotonic()
    while True:
        runtime.request("GET", f"{invocation}/next")
        got = runtime.getresponse()
        context = invocation_context(got.headers)
        event = json.loads(got.read())
        if time.monotonic() - used > IDLE_S:
            server.close()  # The next request opens it again.
        try:
            outcome, said = "response", answer(server, event, context)
        except UnicodeDecodeError as error:  # API Gateway makes a 502 of it.
            outcome, said = "error", {"errorType": "InvalidHeader", "errorMessage": str(error)}
        used = time.monotonic()
        runtime.request("POST", f"{invocation}/{context['request_id']}/{outcome}", json.dumps(said))
        runtime.getresponse().read()


if __name__ == "__main__":
    main()
