"""Checks recorded requests to AWS against the service models: `python check_requests.py <recorded.jsonl`.

Each line of the input is a request as it was sent: method, path with its query, headers, and the body in base64.
moto's routers and parsers turn it back into an operation's parameters. Each line of the output is JSON: service,
operation, parameters, and what AWS's model has against them; or `unread`, where no operation of the service fits.
"""

import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

sys.path.insert(0, str(Path(__file__).parents[1] / "familycorp_ops" / "testing"))
from aws_models import faults

SIGNED_AS = {"apigateway": ["apigatewayv2", "apigateway"], "monitoring": ["cloudwatch"]}
"""botocore's names of services, by the name in a signature's scope, where it isn't the same."""


def read(recorded: dict[str, Any]) -> tuple[str, str, dict[str, Any], Any]:
    """Return service, operation, parameters and input shape of a request; raise `LookupError` where none fits."""
    headers = {k: v for k, v in recorded["headers"].items() if k.lower() != "content-length"}
    signature = next((v for k, v in headers.items() if k.lower() == "authorization"), "")
    scope = re.search(r"Credential=[^/]+/\d+/[\w-]+/([\w-]+)/", signature)
    signed_as = scope[1] if scope else "sts"  # A token of a login provider alone is shown without signature.
    body = base64.b64decode(recorded["body"])
    path = recorded["path"].partition("?")[0]
    for service in SIGNED_AS.get(signed_as, [signed_as]):
        request = Request.from_primitives(
            recorded["method"], f"http://localhost{recorded['path']}", headers, body
        )
        try:
            operation, labels = get_service_router(service).match(request)
        except NotFound:
            continue
        protocol = determine_request_protocol(get_service_model(service), request.content_type)
        raw = {"method": request.method, "values": request.values, "headers": request.headers}
        given = PROTOCOL_PARSERS[protocol](operation).parse(
            {**raw, "body": body, "url_path": path, "url_params": labels}
        )
        return service, operation.name, given, operation.input_shape
    raise LookupError(f"{signed_as} {recorded['method']} {path}")


def main() -> None:
    """Check every request of standard input."""
    for line in sys.stdin:
        try:
            service, operation, given, shape = read(json.loads(line))
        except LookupError as error:
            print(json.dumps({"unread": str(error)}))
            continue
        against = list(faults(shape, given)) if shape else []
        found = {"service": service, "operation": operation, "given": given, "faults": against}
        print(json.dumps(found, default=str))


if __name__ == "__main__":
    main()
