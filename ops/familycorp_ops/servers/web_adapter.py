"""A stand-in for the AWS Lambda Web Adapter, whose binary comes from a container registry alone; for tests.

usage: web_adapter.py COMMAND...    starts COMMAND, a web server on AWS_LWA_PORT, and serves the Runtime API with it

It does what the adapter's documentation and source (awslabs/aws-lambda-web-adapter) say: asks for readiness every
10 ms, makes HTTP/1.1 of an event of API Gateway (payload format 2.0), joins cookies with `; `, overwrites the headers
`x-amzn-request-context` and `x-amzn-lambda-context`, keeps the first of repeated headers, tells cookies apart, and
encodes what is not text in base64. It needs nothing but the standard library.
"""

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

TEXT = re.compile(r"^(text/|application/(json|javascript|xml|yaml))")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
IDLE_S = 4
"""Seconds after which a connection isn't used again: uvicorn closes one after five, as the adapter expects."""


def is_healthy(status: int) -> bool:
    """Return whether an answer of this status means that the application is ready."""
    low, _, high = os.environ.get("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", "100-499").partition("-")
    return int(low) <= status <= int(high or low)


def wait_until_ready(port: int, child: subprocess.Popen[bytes]) -> None:
    """Wait until the application says that it is ready; leave if it ends."""
    path = os.environ.get("AWS_LWA_READINESS_CHECK_PATH", "/")
    while child.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            connection.request("GET", path)
            if is_healthy(connection.getresponse().status):
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.01)
    sys.exit("The web server ended while it was starting.")


def answer(
    connection: HTTPConnection, event: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    """Ask the web server what an event asks, and return its answer as API Gateway wants it."""
    body = event.get("body") or ""
    sent = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    headers = {n.lower(): v for n, v in event["headers"].items()}
    if event.get("cookies"):
        headers["cookie"] = "; ".join(event["cookies"])
    headers["x-amzn-request-context"] = json.dumps(event["requestContext"])
    headers["x-amzn-lambda-context"] = json.dumps(context)
    target = quote(event["rawPath"], safe="/!$&'()*+,;=:@~-._")
    if event["rawQueryString"]:
        target += "?" + event["rawQueryString"]
    connection.putrequest(
        event["requestContext"]["http"]["method"], target, skip_host=True, skip_accept_encoding=True
    )
    for name, value in headers.items():
        connection.putheader(name, value.encode())
    connection.endheaders(sent or None)
    got = connection.getresponse()
    content = got.read()
    cookies = [v for n, v in got.getheaders() if n.lower() == "set-cookie"]
    kept: dict[str, str] = {}
    for name, value in got.getheaders():
        if name.lower() not in {"set-cookie", *HOP_BY_HOP}:
            kept.setdefault(name.lower(), value)
    text = TEXT.match(kept.get("content-type", "")) and not kept.get("content-encoding")
    return {
        "statusCode": got.status,
        "headers": kept,
        "cookies": cookies,
        "body": content.decode() if text else base64.b64encode(content).decode(),
        "isBase64Encoded": not text,
    }


def main() -> None:
    """Do as the module says."""
    port = int(os.environ["AWS_LWA_PORT"])
    child = subprocess.Popen(sys.argv[1:])
    wait_until_ready(port, child)
    host = os.environ["AWS_LAMBDA_RUNTIME_API"]
    runtime, server = HTTPConnection(host), HTTPConnection("127.0.0.1", port)
    invocation = "/2018-06-01/runtime/invocation"
    used = time.monotonic()
    while True:
        runtime.request("GET", f"{invocation}/next")
        got = runtime.getresponse()
        identity = got.headers["Lambda-Runtime-Aws-Request-Id"]
        event = json.loads(got.read())
        if time.monotonic() - used > IDLE_S:
            server.close()  # The next request opens it anew.
        said = json.dumps(answer(server, event, {"request_id": identity}))
        used = time.monotonic()
        runtime.request("POST", f"{invocation}/{identity}/response", said)
        runtime.getresponse().read()


if __name__ == "__main__":
    main()
