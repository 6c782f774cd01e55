"""`make fuzz` in short: each target gets its seeds, some of them mutated, and earlier finds."""

import base64
import random
import time
from collections.abc import Iterator

import pytest

from support.fuzzed import NAMES, Target, target

FOUND: dict[str, tuple[str, ...]] = {
    "policy": ("eyJhIjoi/yJ9",),  # Kept memory: test_policy.py counts what is left of it.
}
"""Inputs that broke a target's promise once, in Base64, as `make fuzz` prints them."""


def inputs(name: str, fuzzed: Target) -> Iterator[bytes]:
    """Yield a target's seeds as they are, and cut and mixed the same way every time, and its finds."""
    yield b""
    luck = random.Random(name)
    for seed in fuzzed.seeds():
        yield seed
        for _ in range(12):
            at, span = luck.randrange(len(seed) + 1), luck.choice([0, 1, 4, len(seed)])
            yield seed[:at] + luck.choice([*fuzzed.WORDS, luck.randbytes(3)]) + seed[at + span :]
    yield from map(base64.b64decode, FOUND.get(name, ()))


@pytest.mark.slow  # Each target gets hundreds of inputs.
@pytest.mark.parametrize("name", NAMES)
def test_no_input_breaks_what_a_target_promises(name: str) -> None:
    fuzzed = target(name)
    fuzzed.check(fuzzed.seeds()[0])  # What the first input loads isn't the time that an input takes.
    for data in inputs(name, fuzzed):
        try:
            # A collection of garbage may fall on one call, and isn't the time of its input.
            assert any(cpu_s(fuzzed, data) < fuzzed.WITHIN_S for _ in range(3))
        except Exception as error:
            error.add_note(f"make fuzz TARGET={name} REPRODUCE={base64.b64encode(data).decode()}")
            raise


def cpu_s(fuzzed: Target, data: bytes) -> float:
    """Return the seconds of CPU that an input took."""
    began = time.process_time()
    fuzzed.check(data)
    return time.process_time() - began
