"""Imports that wait until they are needed.

Cold start is a feature with a budget: importing `app.main` must not import SQLAlchemy, botocore or redis. A
router names its service with `lazy_import`; the service module itself imports at its top, as usual.
"""

import importlib.util
import sys
from types import ModuleType

_waiting: list[ModuleType] = []


def lazy_import(name: str) -> ModuleType:
    """Return module `name`, which is executed when its first attribute is read.

    This is the standard library's own recipe ("Implementing lazy imports", importlib documentation).
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    spec.loader = loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    _waiting.append(module)
    return module


def load_all() -> None:
    """Execute every module that still waits: for a start in the background."""
    while _waiting:
        vars(_waiting.pop())  # Asked anything, a lazy module is executed.
