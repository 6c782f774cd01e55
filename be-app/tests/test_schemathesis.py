"""The running service against its own OpenAPI document: generated requests, valid, invalid and in sequences."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from contract import ok
from stack import EDITOR, Stack, published

# Checks that are off or relaxed stand in the configuration, each with its reason.
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = {"editor": 14, "visitor": 8}  # for each operation and phase
PROGRAM = str(Path(sys.executable).with_name("schemathesis"))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("caller", EXAMPLES)
def test_no_generated_request_gets_an_answer_that_is_not_documented(
    staff_stack: Stack, tmp_path: Path, caller: str
) -> None:
    stack = staff_stack
    with stack.client() as client:
        published(client, tags=["a"])
        published(client, lang="en")
        document = ok(client.get("/openapi.json"))
    # A header names the caller here, so what the document says of cookies doesn't hold; test_guard.py asks every
    # guarded route without a caller.
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        operation.pop("security", None)
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(document))
    headers = [f"--header={name}:{value}" for name, value in EDITOR.items()] if caller == "editor" else []
    command = [
        *(
            PROGRAM,
            f"--config-file={CONFIGURATION}",
            "run",
            str(described),
            f"--url={stack.processes[0].url}",
        ),
        *(
            *headers,
            "--checks=all",
            f"--max-examples={EXAMPLES[caller]}",
            "--continue-on-failure",
            "--no-color",
        ),
        "--generation-deterministic",  # A failure of one change must not depend on another's luck.
    ]
    # It keeps notes in its working directory.
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "Tested: 71" in done.stdout
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases
    assert int(cases[1]) > 300
    assert not [line for line in stack.processes[0].log.read_text().splitlines() if "unhandled_error" in line]
