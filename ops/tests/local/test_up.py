"""`familycorp up` as a person meets it: a terminal, a browser, Ctrl-C, and what can go wrong."""

import http.client
import json
import os
import pty
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from familycorp_ops import environment
from familycorp_ops.local import up as local
from familycorp_ops.local.state import first_free
from familycorp_ops.local.steps import REINSTALL
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, Server, free_port, port_is_free
from familycorp_ops.servers.valkey import Valkey
from familycorp_ops.testing.servers import listening

STARTED = "Ctrl-C stops everything"


class Up:
    """One run of the command on a state directory."""

    def __init__(self, state: Path, port: int, *more: str) -> None:
        self.state, self.port = state, port
        command = [sys.executable, "-m", "familycorp_ops", "up", "--state", str(state), "--port", str(port)]
        command += more
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.output = ""

    def wait_started(self) -> list[psutil.Process]:
        """Read until the welcome is there; return every process that runs then."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if STARTED in line:
                return self.family()
        pytest.fail(f"it didn't start:\n{self.output}")

    def family(self) -> list[psutil.Process]:
        """Return the process and all that it started."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def child(self, part: str) -> psutil.Process:
        """Return the child whose command line has a part."""
        return next(p for p in self.family()[1:] if part in " ".join(p.cmdline()))

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        # As a terminal does: to the whole foreground group.
        os.killpg(self.process.pid, number)
        return self.finish()

    def finish(self) -> int:
        """Wait for the end and return the exit status."""
        rest, _ = self.process.communicate(timeout=300)
        self.output += rest
        return self.process.returncode

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of an answer of the API."""
        with closing(http.client.HTTPConnection(LOOPBACK, self.port, timeout=120)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()


@pytest.fixture
def start(tmp_path):
    runs = []

    def starter(state=tmp_path / "state", port=None, *more):
        runs.append(Up(state, port or free_port(), *more))
        return runs[-1]

    yield starter
    for run in runs:
        if run.process.returncode is None:
            run.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A state directory that has been used once."""
    state = tmp_path_factory.mktemp("template") / "state"
    run = Up(state, free_port())
    run.wait_started()
    assert run.end() == 0, run.output
    return state


@pytest.fixture
def used(template, tmp_path):
    state = shutil.copytree(template, tmp_path / "state")
    # Meanwhile another test's server may listen where the template's provider did.
    (state / "provider" / "port").unlink()
    return Path(state)


def test_a_second_checkout_takes_the_next_port_that_is_free():
    with socket.socket() as first, socket.socket() as second:
        first.bind((LOOPBACK, 0))
        taken = first.getsockname()[1]
        with suppress(OSError):  # If another program has it, that is as good.
            second.bind((LOOPBACK, taken + 1))
        found = first_free(taken)
        assert found >= taken + 2
        assert port_is_free(found)
        other = f"from familycorp_ops.local.state import first_free; print(first_free({found}))"
        at_once = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True)
        assert int(at_once.stdout) > found


def test_it_serves_says_so_and_stops_without_a_trace(start):
    run = start()
    family = run.wait_started()
    url = f"http://127.0.0.1:{run.port}"
    # A login wouldn't come back to 127.0.0.1.
    named = f"http://localhost:{run.port}"
    assert f"{named}/docs" in run.output
    assert "//127.0.0.1" not in run.output
    assert str(run.state / "logs") in run.output
    status, body = run.get("/health")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert run.get("/v1/posts?lang=ko")[0] == 200
    assert "--no-proxy-headers" in run.child("uvicorn").cmdline(), "nobody may speak for another address"
    assert {host for host, _ in listening(family)} == {LOOPBACK}
    # A front end in development may call it, and log in, from whatever port its own server has.
    page = "http://localhost:5173"
    for origin, allowed in ((page, page), ("http://localhost.elsewhere.example", None)):
        answer = httpx.get(f"{url}/v1/posts?lang=ko", headers={"Origin": origin}, trust_env=False)
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        back = {"returnTo": f"{origin}/"}
        login = httpx.get(f"{url}/v1/auth/login", params=back, trust_env=False)
        assert login.status_code == (303 if allowed else 422)

    # The same directory again, and another one on the same port.
    second = start(run.state)
    assert second.finish() == 0
    assert f"running already at {named} (process {run.process.pid})" in " ".join(second.output.split())
    third = start(run.state.with_name("other"), run.port)
    assert third.finish() == 1
    assert f"Port {run.port} is in use by another program: try `make up PORT=" in third.output
    with pytest.raises(SystemExit, match="nothing was deleted"):
        local.reset(run.state)

    assert run.end() == 0
    assert not psutil.wait_procs(family, timeout=120)[1]
    assert port_is_free(run.port)
    assert "Stopped. The data stays in" in run.output
    assert "Traceback" not in run.output


def test_state_survives_and_the_second_start_makes_nothing_again(start, used):
    with closing(sqlite3.connect(used / environment.DATABASE)) as connection:
        connection.execute("CREATE TABLE mine (word TEXT)")
        connection.execute("INSERT INTO mine VALUES ('가족')")
        connection.commit()
    run = start(used)
    run.wait_started()
    assert run.get("/v1/posts?lang=ko")[0] == 200
    assert "Database schema" not in run.output
    assert "Data that the emulator lost" not in run.output
    assert run.end() == 0
    with closing(sqlite3.connect(used / environment.DATABASE)) as connection:
        assert connection.execute("SELECT word FROM mine").fetchone() == ("가족",)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("app.functions.worker", "worker"),
        ("uvicorn", "API"),
        ("valkey-server", "Valkey"),
        ("ministack", "MiniStack"),
        ("serve.py", "NanoIDP"),
    ],
)
def test_when_a_process_dies_the_rest_is_stopped(start, used, part, name):
    run = start(used)
    family = run.wait_started()
    run.child(part).kill()
    assert run.finish() == 1
    assert f"{name} ended on its own (exit status -9)" in run.output
    assert ".log:" in run.output
    assert not psutil.wait_procs(family, timeout=120)[1]
    assert (used / "emulator-unsaved").exists() == (part == "ministack")


def test_the_login_provider_stays_where_it_is_and_sends_people_back(start, used, monkeypatch):
    monkeypatch.setenv("FAMILYCORP_CORS_ORIGINS", "http://localhost:5173")
    issuers, keys = set(), []
    for _ in range(2):
        run = start(used)
        run.wait_started()
        variables = environment.running_settings(used)
        issuers.add(issuer := variables["FAMILYCORP_OIDC_ISSUER"])
        keys.append(httpx.get(f"{issuer}/.well-known/jwks.json").json())
        assert variables["FAMILYCORP_API_URL"] == f"http://localhost:{run.port}"
        assert variables["FAMILYCORP_CORS_ORIGINS"] == "http://localhost:5173"
        console = f"http://localhost:{run.port}/console/"
        assert f"Console   {console}  as admin, editor or viewer" in run.output
        assert "console.js" in httpx.get(console.replace("localhost", LOOPBACK)).text
        assert run.end() == 0
    assert len(issuers) == 1, "members are known by it"
    assert keys[0] == keys[1]

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((LOOPBACK, int(issuer.rpartition(":")[2])))
        other.listen()
        refused = start(used)
        assert refused.finish() == 1
    assert "where the login provider of this data listens, is in use by another program" in refused.output


def test_killed_it_takes_everything_with_it_and_starts_again(start, used):
    run = start(used)
    family = run.wait_started()
    assert run.end(signal.SIGKILL) == -signal.SIGKILL
    assert not psutil.wait_procs(family, timeout=120)[1]
    again = start(used, run.port)
    again.wait_started()
    assert "Data that the emulator lost" in again.output
    assert again.get("/health")[0] == 200
    assert again.end(signal.SIGTERM) == 0


def test_ctrl_c_in_a_terminal_is_no_failure_for_make(used):
    # This stands for make: it ends by Ctrl-C that reaches it, and not as long as its child runs.
    parent = f"{sys.executable} -m familycorp_ops up --state {used} --port {free_port()}; echo exit status $?"
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("sh", ["sh", "-c", parent])
    output = ""
    with suppress(OSError):  # How Linux says that a terminal's last process has ended.
        while text := os.read(terminal, 4096).decode(errors="replace"):
            output += text
            if STARTED in output and "^C" not in output:
                os.write(terminal, b"\x03")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert "exit status 0" in output
    assert "✓ Cache" in re.sub(r"\x1b\[[0-9;]*m", "", output.replace("\x1b[2K", "")), "progress is shown"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_it_starts_it_leaves_nothing(start, number):
    run = start()
    while not (run.state / "logs" / "emulator.log").exists():
        time.sleep(0.01)
    family = run.family()
    assert run.end(number) == 0
    assert not psutil.wait_procs(family, timeout=120)[1]
    assert "Traceback" not in run.output


def _overwrite(offset: int, text: bytes = b"\xa5" * 4096) -> Callable[[Path], None]:
    def damage(state: Path) -> None:
        with (state / environment.DATABASE).open("r+b") as file:
            file.seek(offset)
            file.write(text)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_overwrite(0), "The database in {state}/familycorp.db is damaged"),
        (_overwrite(8192), "The database in {state}/familycorp.db is damaged"),
        (
            lambda state: (state / environment.DATABASE).write_text("hello"),
            "The database in {state}/familycorp.db is damaged",
        ),
        (
            lambda state: (state / "emulator" / "state" / "dynamodb.json").write_text('{"payl'),
            "The emulator's state in {state}/emulator/state/dynamodb.json is damaged",
        ),
    ],
    ids=["header", "page", "text", "emulator"],
)
def test_damaged_data_is_named_with_its_fix(used, capfd, damage, message):
    damage(used)
    assert local.up(used, free_port()) == 1
    error = capfd.readouterr().err
    assert message.format(state=used) in error
    assert f"`make reset STATE={used}` deletes the local data" in error
    assert len(error.splitlines()) == 1
    local.reset(used)
    assert not used.exists()


def test_programs_get_one_line_when_it_is_ready(used, start):
    run = start(used, free_port(), "--json")
    ready = next(line for line in run.process.stdout if line.startswith("{"))
    told = json.loads(ready)
    assert told["url"] == f"http://localhost:{run.port}"
    assert run.get("/health")[0] == 200
    assert json.loads(Path(told["settings"]).read_text())["FAMILYCORP_API_URL"] == told["url"]
    again = start(used, run.port, "--json")
    assert again.finish() == 0
    assert f"process {run.process.pid}" in json.loads(again.output)["already"]
    taken = start(used.with_name("other"), run.port, "--json")
    assert taken.finish() == 1
    assert "is in use by another program" in json.loads(taken.output)["error"]
    assert run.end() == 0


def test_a_migration_that_fails_is_one_sentence(used, capfd):
    with closing(sqlite3.connect(used / environment.DATABASE)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
        connection.commit()
    assert local.up(used, free_port()) == 1
    error = capfd.readouterr().err
    assert "Database schema failed" in error
    assert "schema.log" in error
    assert len(error.splitlines()) == 1


def test_a_setting_that_breaks_a_rule_is_one_sentence(used, capfd, monkeypatch):
    monkeypatch.setenv("FAMILYCORP_CORS_ORIGINS", "*")
    assert local.up(used, free_port()) == 1
    error = capfd.readouterr().err
    assert "FAMILYCORP_CORS_ORIGINS" in error
    assert error.endswith("set that variable right, or unset it.\n")
    assert len(error.splitlines()) == 1


def test_a_state_directory_that_cannot_be_one_is_one_sentence(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    for state in (tmp_path / "file", tmp_path / "file" / "state"):
        assert local.up(state, free_port()) == 1
        error = capfd.readouterr().err
        assert f"{state} can't be written" in error
        assert "`make up STATE=DIR`" in error
        assert len(error.splitlines()) == 1


@pytest.mark.parametrize("kind", [Valkey, MiniStack, NanoIDP])
def test_a_broken_installation_is_one_sentence(used, capfd, monkeypatch, kind):
    def missing(_: Server) -> list[str]:
        raise NotInstalledError("It isn't installed.")

    monkeypatch.setattr(kind, "command", missing)
    assert local.up(used, free_port()) == 1
    assert capfd.readouterr().err.strip() == f"✗ It isn't installed. {REINSTALL}."

    monkeypatch.setattr(kind, "command", lambda _: ["false"])
    assert local.up(used, free_port()) == 1
    assert "failed, see" in capfd.readouterr().err


def test_reset_deletes_only_what_it_knows(tmp_path, capfd):
    local.reset(tmp_path / "nothing")
    assert "nothing to delete" in capfd.readouterr().out
    with pytest.raises(SystemExit, match="isn't a directory that `make up` made"):
        local.reset(tmp_path)
    assert tmp_path.exists()
