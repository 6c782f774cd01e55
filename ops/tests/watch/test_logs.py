"""`familycorp logs` and `familycorp top` on what really runs."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from familycorp_ops.local import up as local
from familycorp_ops.servers.process import LOOPBACK, Process, free_port, http_ok
from familycorp_ops.testing.commands import familycorp
from familycorp_ops.watch.logs import Tail

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Running:
    """`familycorp up` on a state directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.state, self.port = directory / "state", free_port()
        options = ["--state", str(self.state), "--port", str(self.port)]
        self.process = Process(
            "up",
            [sys.executable, "-m", "familycorp_ops", "up", *options],
            log=directory / "up.log",
            ready=lambda: http_ok(self.port, "/v1/posts"),
            ready_within_s=300,
            grace_s=20,
        )
        self.client = httpx.Client(base_url=f"http://{LOOPBACK}:{self.port}", trust_env=False)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "familycorp_ops", *arguments, "--state", str(self.state)]

    def said(self, *arguments: str) -> list[str]:
        """Return the lines that a command prints, without a terminal."""
        ran = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=300, check=True
        )
        assert ran.stderr == ""
        return ran.stdout.splitlines()

    def ask(self, path: str, request_id: str) -> None:
        self.client.get(path, headers={"X-Request-ID": request_id})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    run = Running(tmp_path_factory.mktemp("logs"))
    with run.process, run.client:
        yield run


@pytest.fixture
def terminal() -> Iterator["Terminal"]:
    # Who was started with Ctrl-C ignored, as by `nohup … &`, hands that on to its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    opened = Terminal()
    yield opened
    opened.close()


class Terminal:
    """A command at a terminal of 120 columns."""

    def start(self, command: list[str]) -> None:
        self._ours, theirs = pty.openpty()
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.output = self.seen = ""

    def wait_for(self, pattern: str, within_s: float = 120) -> re.Match[str]:
        deadline = time.monotonic() + within_s
        while not (found := re.search(pattern, ESCAPES.sub("", self.output))):
            assert time.monotonic() < deadline, self.output
            if select.select([self._ours], [], [], 0.1)[0]:
                with suppress(OSError):
                    self.output += os.read(self._ours, 65536).decode("utf-8", "replace")
        self.seen, self.output = self.seen + self.output, ""
        return found

    def interrupt(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(300)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


def test_a_line_is_readable(running: Running) -> None:
    running.ask("/v1/posts/no-such-post", "readable-1")
    (line,) = running.said("logs", "--id", "readable-1")
    assert re.match(
        r"\d\d:\d\d:\d\d\.\d{3} INFO    backend GET /v1/posts/\{id_or_slug\} 404 [\d.]+ ms .*readable-1$",
        line,
    ), line
    assert "_aws" not in line
    assert "dynamodb_ms=" in line


def test_json_is_the_line_itself(running: Running) -> None:
    running.ask("/v1/categories", "json-is-1")
    (line,) = running.said("logs", "--id", "json-is-1", "--json")
    found = json.loads(line)
    assert (found["message"], found["route"], found["status"]) == ("request", "/v1/categories", 200)
    assert line in (running.state / "logs" / "api.log").read_text().splitlines()


def test_levels_below_are_left_out(running: Running) -> None:
    running.ask("/v1/posts", "level-is-1")
    assert running.said("logs", "--id", "level-is-1", "--level", "warning") == []
    assert len(running.said("logs", "--id", "level-is-1", "--level", "info")) == 1


def test_the_last_lines_are_in_their_order(running: Running) -> None:
    for n in range(5):
        running.ask("/health", f"ordered-{n}")
    found = [json.loads(line) for line in running.said("logs", "--json", "--lines", "5")]
    assert len(found) == 5
    assert [f["timestamp"] for f in found] == sorted(f["timestamp"] for f in found)
    assert running.said("logs", "-n", "0") == []


def test_it_follows_in_colour_until_ctrl_c(running: Running, terminal: Terminal) -> None:
    terminal.start(running.command("logs", "--follow", "-n", "1"))
    terminal.wait_for(r" ms")
    for n in (1, 2):
        running.ask("/v1/posts", f"followed-{n}")
        terminal.wait_for(rf"GET /v1/posts 200 .*followed-{n}")
    assert "\x1b[32m" in terminal.seen
    assert terminal.interrupt() == 0


def test_it_follows_across_a_rotation(running: Running, terminal: Terminal) -> None:
    log = running.state / "logs" / "api.log"
    before = log.read_bytes()
    terminal.start(running.command("logs", "-f", "-n", "0", "--id", "rotated-1"))
    time.sleep(2)
    # At its largest size it is rotated; the API goes on writing to it.
    with log.open("ab") as file:
        filling = json.dumps({"timestamp": "2026-11-24T00:00:00Z", "level": "DEBUG", "message": "x" * 4000})
        file.write(f"{filling}\n".encode() * (local.LOG_BYTES // len(filling)))
    deadline = time.monotonic() + 120
    while log.stat().st_size > local.LOG_BYTES:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert log.with_suffix(".log.1").read_bytes().startswith(before[:1000])
    running.ask("/v1/posts", "rotated-1")
    terminal.wait_for(r"GET /v1/posts 200 .*rotated-1")
    assert terminal.interrupt() == 0
    assert len(running.said("logs", "--id", "rotated-1")) == 1


def test_top_says_what_is_asked_how_fast_and_from_where(running: Running) -> None:
    for _ in range(20):
        running.ask("/v1/categories", "topmost-1")
    table = running.said("top", "--once", "--window", "60")
    assert table[1].split() == ["route", "requests/s", "p50", "ms", "p99", "ms", "cache", "hits", "errors"]
    (row,) = [line.split() for line in table if line.startswith("/v1/categories")]
    rate, p50, p99, hits, _, errors = row[1:]
    assert float(rate) > 0
    assert 0 < float(p50) <= float(p99)
    assert int(hits) >= 50
    assert int(errors) == 0
    assert len([line for line in table if line.startswith("all ")]) == 1


def test_programs_get_a_sample_of_top_each_second(running: Running) -> None:
    running.ask("/v1/categories", "sampled-1")
    (once,) = running.said("top", "--once", "--json")
    sample = json.loads(once)
    assert sample["windowSeconds"] == 60
    assert sample["routes"]["all"]["requestsPerSecond"] > 0
    assert set(sample["routes"]["/v1/categories"]) == {
        *("requestsPerSecond", "p50Ms", "p99Ms", "cacheHitsPercent", "errors")
    }
    with subprocess.Popen(running.command("top", "--json"), stdout=subprocess.PIPE, text=True) as top:
        assert top.stdout is not None
        first, second = (json.loads(top.stdout.readline())["at"] for _ in range(2))
        top.send_signal(signal.SIGINT)
        assert top.wait(300) == 0
    assert first < second


def test_top_goes_on_until_ctrl_c(running: Running, terminal: Terminal) -> None:
    terminal.start(running.command("top", "--window", "5"))
    terminal.wait_for(r"all +\d")
    for _ in range(40):
        running.ask("/v1/posts?limit=3", "live-top-1")
    found = terminal.wait_for(r"/v1/posts +([\d.]+) +[\d.]+ +[\d.]+ +\d+ % +0")
    assert float(found[1]) > 0
    assert terminal.interrupt() == 0


@pytest.mark.parametrize("command", ["logs", "top"])
def test_without_logs_it_says_what_makes_some(tmp_path: Path, command: str) -> None:
    ran = familycorp(command, "--state", str(tmp_path))
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"Nothing runs on {tmp_path}: start it with `make up` in ")


def test_a_line_cannot_steer_the_terminal(tmp_path: Path) -> None:
    evil = {
        "timestamp": "2026-11-24T00:00:00Z",
        "level": "INFO",
        "message": "\x1b]0;owned\x07 [bold]m",
        "x": "\x9b1m",
    }
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").write_text(json.dumps(evil) + "\n\x1b[31mplain [/]\n")
    ran = familycorp("logs", "--state", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", ran.stdout)
    assert "[bold]m" in ran.stdout
    assert "plain [/]" in ran.stdout


def test_a_tail_returns_whole_lines_once(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    tail = Tail(file)
    assert tail.new() == []
    file.write_text("one\ntw")
    assert tail.new() == ["one"]
    with file.open("a") as appended:
        appended.write("o\nthree\n")
    assert tail.new() == ["two", "three"]
    assert tail.new() == []
    file.write_text("anew\n")
    assert tail.new() == ["anew"]
