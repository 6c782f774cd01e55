"""Runs an OPA policy that was compiled to WebAssembly, by OPA's ABI 1.2 or newer.

The ABI is documented in "WebAssembly" of OPA's documentation: the module imports its memory and a few host
functions; `opa_eval` takes JSON at an address and returns the address of JSON that ends with a zero byte. A policy is
data, not a program to be trusted: an evaluation has bounded fuel and memory, no function of the host to call, and
starts from a heap that is put back before each. An instance that trapped is thrown away.

wasmtime's store belongs to one thread at a time, so a lock lets one evaluation in.
"""

import hashlib
import logging
import platform
import threading
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self
from weakref import WeakMethod

import orjson
import wasmtime

PAGE: Final = 65_536
MAX_PAGES: Final = 64
"""4 MB: what a policy and one evaluation may take."""

MAX_INPUT: Final = 64 * 1024
MAX_FUEL: Final = 20_000_000
"""Some thousand times what a decision takes; about 20 ms."""

PRECOMPILED = "policy.cwasm"
_HOST_CALLS = 5  # opa_builtin0 to opa_builtin4, by number of arguments
_FIRST_READ = 512

logger = logging.getLogger(__name__)


class PolicyError(Exception):
    """The policy can't be loaded or evaluated; nothing follows from it but a denial."""


class _Instance:
    """A policy in its own memory, ready to be evaluated."""

    def __init__(
        self, engine: wasmtime.Engine, module: wasmtime.Module, data: bytes, entrypoints: Sequence[str]
    ) -> None:
        self._store = wasmtime.Store(engine)
        self._store.set_fuel(MAX_FUEL)
        self._memory = wasmtime.Memory(
            self._store, wasmtime.MemoryType(wasmtime.Limits(_least_pages(module), MAX_PAGES))
        )
        exports = self._link(engine, module).instantiate(self._store, module).exports(self._store)
        self._call: dict[str, Any] = {name: exports[name] for name in _FUNCTIONS}
        if builtins := self._described("builtins"):
            raise PolicyError(f"the policy needs built-ins of the host: {', '.join(builtins)}")
        known = self._described("entrypoints")
        if missing := [name for name in entrypoints if name not in known]:
            raise PolicyError(f"the policy has no entrypoint {missing[0]}")
        address = self._parsed(data)
        self._heap = self._run("opa_heap_ptr_get")
        functions = (
            _FUNCTION.format(
                name=name, heap=self._heap, document=self._heap + 4, entrypoint=known[name], data=address
            )
            for name in entrypoints
        )
        caller = wasmtime.Module(engine, _CALLER.format(functions="".join(functions)))
        linked = wasmtime.Instance(self._store, caller, [self._memory, self._call["opa_eval"]])
        self._callers: Any = linked.exports(self._store)

    def _link(self, engine: wasmtime.Engine, module: wasmtime.Module) -> wasmtime.Linker:
        linker = wasmtime.Linker(engine)
        linker.define(self._store, "env", "memory", self._memory)
        # wasmtime keeps a function's callback until its store goes, and the store would never go if the callback held
        # this instance: each that trapped would stay in memory.
        refused = WeakMethod(self._refuse)

        def refuse(name: str, *arguments: int) -> None:
            if method := refused():
                method(name, *arguments)
            raise PolicyError(f"the policy called {name}")

        for needed in module.imports:
            if isinstance(needed.type, wasmtime.FuncType):
                function = wasmtime.Func(self._store, needed.type, partial(refuse, needed.name or ""))
                linker.define(self._store, needed.module, needed.name or "", function)
        return linker

    def _refuse(self, name: str, *arguments: int) -> None:
        """Stand for every function of the host: `opa_abort`, or a built-in that nothing here implements."""
        said = self._text(arguments[0]).decode(errors="replace") if name == "opa_abort" else ""
        raise PolicyError(f"the policy called {name} {said}".strip())

    def _run(self, name: str, *arguments: int) -> Any:
        return self._call[name](self._store, *arguments)

    def _described(self, name: str) -> Any:
        return orjson.loads(self._text(self._run("opa_json_dump", self._run(name))))

    def _parsed(self, document: bytes) -> int:
        address = self._run("opa_malloc", len(document))
        self._memory.write(self._store, document, address)
        parsed: int = self._run("opa_json_parse", address, len(document))
        if not parsed:
            raise PolicyError("the policy's data is not JSON")
        return parsed

    def _text(self, address: int) -> bytes:
        """Return the zero-terminated text at an address."""
        end, size = address + _FIRST_READ, self._memory.data_len(self._store)
        while True:
            read = self._memory.read(self._store, address, min(end, size))
            found = read.find(b"\0")
            if found >= 0:
                return bytes(read[:found])
            if end >= size:
                raise PolicyError("the policy's answer has no end")
            end = address + 2 * (end - address)

    def evaluate(self, entrypoint: str, document: bytes) -> bytes:
        """Return the JSON of the result set that `opa_eval` gives for a JSON input."""
        given = len(document).to_bytes(4, "little") + document
        missing = self._heap + len(given) - self._memory.data_len(self._store)
        if missing > 0:
            self._memory.grow(self._store, -(-missing // PAGE))
        self._memory.write(self._store, given, self._heap)
        self._store.set_fuel(MAX_FUEL)
        return self._text(self._callers[entrypoint](self._store))


_CALLER = """
(module
  (import "env" "memory" (memory 0))
  (import "opa" "opa_eval" (func $eval (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  {functions})
"""
_FUNCTION = """
  (func (export "{name}") (result i32) (local $length i32)
    (local.set $length (i32.load (i32.const {heap})))
    (call $eval
      (i32.const 0) (i32.const {entrypoint}) (i32.const {data}) (i32.const {document}) (local.get $length)
      (i32.add (i32.const {document}) (local.get $length)) (i32.const 0)))
"""
"""Calls `opa_eval` for one entrypoint on a document that stands on the heap after its length.

Without arguments, because wasmtime-py converts each of them in Python, at 6 µs apiece.
"""

_FUNCTIONS = (
    "builtins",
    "entrypoints",
    "opa_eval",
    "opa_heap_ptr_get",
    "opa_json_dump",
    "opa_json_parse",
    "opa_malloc",
)


def _least_pages(module: wasmtime.Module) -> int:
    for needed in module.imports:
        if isinstance(needed.type, wasmtime.MemoryType):
            return needed.type.limits.min
    raise PolicyError("the policy doesn't import its memory")


class Policy:
    """A compiled policy with its data; `evaluate` may be called from any thread."""

    def __init__(
        self, wasm: bytes, data: bytes, entrypoints: Sequence[str], precompiled: Path | None = None
    ) -> None:
        """Load a policy.

        Args:
            wasm: the module.
            data: the policy's data document, as JSON.
            entrypoints: the rules that `evaluate` may be called for, for example `authz/decision`.
            precompiled: where a precompiled form may be; it is used when it fits (see `precompile`).
        """
        self._engine = wasmtime.Engine(_configuration())
        try:
            self._module = _precompiled(self._engine, wasm, precompiled) or wasmtime.Module(
                self._engine, wasm
            )
        except wasmtime.WasmtimeError as error:
            raise PolicyError("the policy is no WebAssembly module") from error
        self._lock = threading.Lock()
        self._default = entrypoints[0]
        self._make = partial(_Instance, self._engine, self._module, data, entrypoints)
        self._instance: _Instance | None = self._new()

    def _new(self) -> _Instance:
        try:
            return self._make()
        except (wasmtime.WasmtimeError, wasmtime.Trap, KeyError) as error:
            raise PolicyError("the policy doesn't keep to OPA's ABI") from error

    def evaluate(self, document: bytes, entrypoint: str = "") -> Any:
        """Return an entrypoint's value for a JSON input, or `UNDEFINED`; raise `PolicyError` if it fails.

        Without a name it is the first entrypoint.
        """
        if len(document) > MAX_INPUT:
            raise PolicyError(f"the input exceeds {MAX_INPUT} bytes")
        with self._lock:
            instance, self._instance = self._instance or self._new(), None
            try:
                results = orjson.loads(instance.evaluate(entrypoint or self._default, document))
                value = results[0]["result"] if results != [] else UNDEFINED
            except (wasmtime.WasmtimeError, wasmtime.Trap, ValueError, TypeError, LookupError) as error:
                raise PolicyError("the evaluation failed") from error
            self._instance = instance  # Only one that answered is used again.
        return value


class _Undefined:
    """The type of `UNDEFINED`."""

    _only: Self | None = None


UNDEFINED: Final = _Undefined()
"""Value of an undefined rule: neither true nor false, and no error."""


def target() -> str:
    """Return the target that modules are compiled for: this architecture, without this machine's own extras.

    Left out, the features of the building machine's CPU would be recorded, and another one refuse the module.
    """
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    system = {"Linux": "unknown-linux-gnu", "Darwin": "apple-darwin"}.get(
        platform.system(), "unknown-unknown"
    )
    return f"{machine}-{system}"


def _configuration() -> wasmtime.Config:
    configuration = wasmtime.Config()
    configuration.consume_fuel = True
    configuration.target = target()
    return configuration


def precompile(wasm: Path) -> Path:
    """Compile a module for this architecture and write it beside, with its digest; return where.

    For packaging: loading it takes a fraction of compiling. It is native code, so it must come from one's own build.
    """
    native = bytes(wasmtime.Module(wasmtime.Engine(_configuration()), wasm.read_bytes()).serialize())
    made = wasm.with_name(PRECOMPILED)
    made.write_bytes(native)
    made.with_suffix(".json").write_bytes(orjson.dumps(_label(wasm.read_bytes(), native)))
    return made


def _label(wasm: bytes, native: bytes) -> dict[str, str]:
    return {
        "target": target(),
        "wasmtime": version("wasmtime"),
        "policy": hashlib.sha256(wasm).hexdigest(),
        "sha256": hashlib.sha256(native).hexdigest(),
    }


def _precompiled(engine: wasmtime.Engine, wasm: bytes, made: Path | None) -> wasmtime.Module | None:
    """Return the precompiled form of a module, if there is one of this very module, made for here, and intact."""
    if made is None or not made.exists():
        return None
    try:
        native, label = made.read_bytes(), orjson.loads(made.with_suffix(".json").read_bytes())
        # wasmtime checks version and target itself, but never that the code was compiled from this module.
        if label == _label(wasm, native):
            return wasmtime.Module.deserialize(engine, native)
        reason = "it is of another policy, machine or version, or was altered"
    except (OSError, ValueError, wasmtime.WasmtimeError) as error:
        reason = type(error).__name__
    logger.warning("policy_precompiled_rejected", extra={"reason": reason})
    return None
