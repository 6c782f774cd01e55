"""The entry point of the functions that serve HTTP: `app` behind the Web Adapter, `handler` behind Mangum.

It tunes the start of a process and then imports the application, which `app.main` serves untuned.
"""

import gc

# Disable the garbage collector during imports: it cost 10 % of a cold start (`make bench-cold`).
gc.disable()

import os
import sys
from typing import Any

# FastAPI compares each annotation with models of Pydantic 1, and takes an ImportError as "there are none": importing
# `pydantic.v1` for that costs 5 % of a start.
sys.modules["pydantic.v1"] = None  # type: ignore[assignment]

from app import main
from app.core import lazy

app = main.app

# Lambda initialises these environments ahead of requests (Lambda developer guide, "Defined runtime environment
# variables"), so that no request waits for an import.
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") in {"snap-start", "provisioned-concurrency"}:
    lazy.load_all()
elif main.AUTH_ALONE:
    # Each of its requests verifies or signs a token, decides by the policy and reads DynamoDB; a visitor's request
    # of the backend function may need none of these.
    import botocore.session  # noqa: F401
    import jwt.algorithms  # noqa: F401
    import wasmtime  # noqa: F401
# What the imports allocated is never freed: exempt it from later collections.
gc.freeze()
gc.enable()


def __getattr__(name: str) -> Any:
    """Return Mangum's `handler`; other servers never import Mangum."""
    if name == "handler":
        return main.handler
    raise AttributeError(name)
