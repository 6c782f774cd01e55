"""The servers that everything else stands on: started, broken and stopped for real."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psutil
import pymysql  # type: ignore[import-untyped]
import pytest
import redis
from botocore.session import get_session

from app.core.settings import Settings
from familycorp_ops.local.provision import provision
from familycorp_ops.servers import process
from familycorp_ops.servers.dynamodb_local import DynamoDBLocal
from familycorp_ops.servers.mariadb import MariaDB
from familycorp_ops.servers.ministack import MiniStack, client
from familycorp_ops.servers.mysql import MySQL
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.process import NotInstalledError, Process, ServerError, exchange
from familycorp_ops.servers.radosgw import RadosGW
from familycorp_ops.servers.sql import SqlServer
from familycorp_ops.servers.valkey import Valkey
from familycorp_ops.testing.servers import listening, missing

SERVERS = [Valkey, MiniStack, MariaDB, MySQL, DynamoDBLocal, RadosGW]


# One of each for the whole module, because MySQL takes seconds to make its data directory.
@pytest.fixture(params=SERVERS, ids=lambda kind: kind.__name__, scope="module")
def server(request):
    try:
        with request.param() as started:
            yield started
    except NotInstalledError as error:
        pytest.skip(str(error))


def test_a_server_keeps_its_port_through_stop_kill_and_suspension(server):
    port, url, pid = server.port, server.url, server.pid
    assert server.is_ready()
    assert os.getsid(pid) == pid, "the terminal's Ctrl-C must not reach it"

    server.stop()
    assert not server.running
    assert not server.is_ready()
    assert process.port_is_free(port)
    server.start()
    assert (server.port, server.url) == (port, url)
    assert server.is_ready()
    assert server.pid != pid

    server.kill()
    assert server.returncode == -signal.SIGKILL
    server.start()
    assert server.is_ready()

    server.suspend()
    assert not server.is_ready()
    server.resume()
    assert server.is_ready()

    server.suspend()
    server.stop()
    assert not server.running
    server.start()


@pytest.mark.parametrize("server", [Valkey, MiniStack, MariaDB, MySQL], indirect=True)
def test_a_server_listens_on_loopback_only(server):
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert listening(family) == {("127.0.0.1", server.port)}


@pytest.mark.parametrize("server", [MariaDB, MySQL], indirect=True)
def test_what_was_committed_survives_a_crash(server):
    server.create_database("crash")
    with closing(_connect(server)) as connection:
        connection.cursor().execute("CREATE TABLE word (text VARCHAR(20))")
        connection.cursor().execute("INSERT INTO word VALUES ('가족')")
        connection.commit()
    server.kill()
    server.start()
    with closing(_connect(server)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT text, @@collation_database FROM word")
        assert cursor.fetchone() == ("가족", server.collation)


@pytest.mark.parametrize("kind", [Valkey, MiniStack])
def test_a_server_leaves_nothing_behind(kind):
    with kind() as server:
        assert server.directory.exists()
    assert not server.directory.exists()
    assert not server.running


def test_the_emulator_saves_its_state_only_when_stopped(tmp_path):
    with MiniStack(directory=tmp_path, persist=True) as emulator:
        provision(Settings(env="test", aws_endpoint_url=emulator.url))
        emulator.kill()
        assert not list(emulator.state.glob("*.json"))
        emulator.start()
        settings = Settings(env="test", aws_endpoint_url=emulator.url)
        assert len(provision(settings)) == 7
        with closing(_kms(emulator)) as kms:
            sealed = kms.encrypt(
                KeyId=settings.factors_key, Plaintext=b"secret", EncryptionContext={"m": "1"}
            )
    assert emulator.returncode == 0
    with emulator, closing(_kms(emulator)) as kms:
        assert provision(settings) == []
        opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"m": "1"})
        assert opened["Plaintext"] == b"secret"


def test_a_process_ends_with_the_one_that_started_it_even_by_sigkill():
    program = (
        "import os, signal\n"
        "from familycorp_ops.servers.valkey import Valkey\n"
        "valkey = Valkey(); valkey.start(); valkey.suspend()\n"
        "print(valkey.pid, valkey.directory, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = _run(program)
    assert ended.returncode == -signal.SIGKILL
    pid, directory = ended.stdout.split()
    try:
        _wait_until(lambda: not _alive(int(pid)))
    finally:
        subprocess.run(["rm", "-rf", directory], check=True)


def test_a_cluster_listens_on_loopback_only_and_ends_with_the_process_that_started_it():
    program = (
        "import os, signal\n"
        "from familycorp_ops.servers.radosgw import RadosGW\n"
        "gateway = RadosGW(); gateway.start()\n"
        "print(gateway.directory, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert parent.stdout
    try:
        directory = parent.stdout.readline().strip()
        if not directory:
            assert "NotInstalledError" in (failure := parent.communicate()[1]), failure
            missing("radosgw", NotInstalledError("radosgw isn't installed"))
        members = [p for p in psutil.process_iter() if any(directory in word for word in _command(p))]
        assert {p.name() for p in members} == {"ceph-mon", "ceph-osd", "radosgw"}
        assert {host for host, _ in listening(members)} == {"127.0.0.1"}
    finally:
        parent.kill()
        parent.communicate()
    try:
        _wait_until(lambda: not any(_alive(p.pid) for p in members))
    finally:
        subprocess.run(["rm", "-rf", directory], check=True)


def test_a_process_that_forgets_its_servers_ends_them_when_it_ends():
    program = (
        "from familycorp_ops.servers.process import Process\n"
        "from pathlib import Path\n"
        "p = Process('sleeper', ['sleep', '60'], log=Path('/dev/null')); p.start()\n"
        "print(p.pid, flush=True)\n"
    )
    ended = _run(program)
    assert ended.returncode == 0, ended.stderr
    _wait_until(lambda: not _alive(int(ended.stdout)))


def test_a_process_that_fails_says_why(tmp_path):
    broken = Process(
        "The broken one", ["sh", "-c", "echo no such luck; exit 3"], log=tmp_path / "log", ready=_never
    )
    with pytest.raises(ServerError, match="The broken one stopped while it was starting:\nno such luck"):
        broken.start()
    assert broken.returncode == 3


def test_a_process_that_is_never_ready_is_given_up(tmp_path):
    slow = Process("The slow one", ["sleep", "60"], log=tmp_path / "log", ready=_never, ready_within_s=0.2)
    with pytest.raises(ServerError, match="wasn't ready after"):
        slow.start()
    assert not slow.running


def test_a_program_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(ServerError, match="can't be executed"):
        Process("Nothing", ["/nonexistent/program"], log=tmp_path / "log").start()


def test_sigterm_that_is_ignored_is_followed_by_sigkill_of_the_whole_group(tmp_path):
    deaf = ["sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"]
    stubborn = Process("The stubborn one", deaf, log=tmp_path / "log", grace_s=0.3)
    with stubborn:
        _wait_until(lambda: bool(stubborn.tail()))
    assert stubborn.returncode == -signal.SIGKILL
    _wait_until(lambda: not _alive(int(stubborn.tail())))


def test_a_process_that_was_waited_for_is_never_signalled_again(tmp_path, monkeypatch):
    """Its number may by then be another program's."""
    told, signalled = [], []
    monkeypatch.setattr(process._guardian, "notify", lambda *said: told.append(said))
    kill = os.killpg

    def noted(*asked):
        signalled.append(asked)
        kill(*asked)

    ended = Process("sh", ["sh", "-c", "exit 3"], log=tmp_path / "log")
    ended.spawn()
    assert ended.wait(300) == 3
    monkeypatch.setattr(os, "killpg", noted)
    ended.kill()
    ended.stop()
    assert signalled == []
    assert [sign for sign, _ in told] == ["+", "-"]


def test_children_see_no_aws_profile_and_no_proxy_for_loopback(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("NO_PROXY", "intranet")
    environment = process.clean_environment(GREETING="hello")
    assert not [name for name in environment if name.startswith("AWS_")]
    assert environment["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    assert environment["GREETING"] == "hello"


def test_the_fixtures_give_running_servers(valkey, ministack):
    assert valkey.is_ready()
    assert ministack.is_ready()


def _connect(server: SqlServer) -> Any:
    return pymysql.connect(host="127.0.0.1", port=server.port, user="root", database="crash")


def _kms(emulator: MiniStack) -> Any:
    return get_session().create_client("kms", region_name="ap-northeast-2", endpoint_url=emulator.url)


def _run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # It ended meanwhile, or is another's.
        return []


def _never() -> bool:
    return False


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.02)


OURS, FOREIGN = "http://localhost:8001", "https://elsewhere.example"
RESET = ("POST", "/_ministack/reset")


def _status(port: int, method: str, path: str, **headers: str) -> int:
    """Return how a server answers exactly these headers; a Host that isn't among them is its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        return connection.getresponse().status


def test_pages_of_other_origins_cannot_use_the_emulator(tmp_path):
    with MiniStack(directory=tmp_path, persist=True, origins=[OURS]) as emulator:
        settings = Settings(env="test", aws_endpoint_url=emulator.url, cors_origins=(OURS,))
        assert len(provision(settings)) == 7
        bucket = f"/{settings.uploads_bucket}/x"
        s3 = client(emulator.url, "s3")
        read = s3.generate_presigned_url("get_object", {"Bucket": settings.uploads_bucket, "Key": "x"})
        read = read.removeprefix(emulator.url)
        sqs = read.replace("%2Fs3%2Faws4_request", "%2Fsqs%2Faws4_request")
        cross = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
        refused = [
            *(
                (*RESET, {"Origin": origin})
                for origin in (FOREIGN, "null", "http://localhost:8002", f"{OURS}.x", "")
            ),
            (*RESET, {"Origin": emulator.url}),
            (*RESET, {"Origin": "http://localhost:8001 https://elsewhere.example"}),
            (*RESET, cross),
            (*RESET, {"Sec_Fetch_Site": "same-site"}),
            (*RESET, {"Sec_Fetch_Site": "same-origin", "Host": "elsewhere.example"}),
            (*RESET, {"Host": f"elsewhere.example:{emulator.port}"}),
            (*RESET, {"Host": f"127.0.0.1.elsewhere.example:{emulator.port}"}),
            (*RESET, {"Host": "localhost.elsewhere.example"}),
            ("POST", "/_ministack/config", {"Origin": FOREIGN}),
            ("GET", "/_ministack/sqs/messages", cross),
            ("GET", "/_ministack/health", cross | {"Sec_Fetch_Site": "same-origin"}),
            ("GET", "/?Action=DeleteTopic", cross),
            ("GET", "/000000000000/queue?Action=PurgeQueue", cross),
            ("GET", f"{bucket}?action=PurgeQueue&Version=1", cross),
            ("GET", sqs, cross),
            ("OPTIONS", "/", {"Origin": FOREIGN, "Access_Control_Request_Method": "POST"}),
            ("POST", "/", {"Origin": FOREIGN, "X_Amz_Target": "DynamoDB_20120810.DeleteTable"}),
            ("DELETE", bucket, cross),
            ("GET", bucket, {"Origin": FOREIGN}),
        ]
        for method, path, headers in refused:
            assert _status(emulator.port, method, path, **headers) == 403, (method, path, headers)
        assert provision(settings) == [], "everything is there still"
        # Programs, links and pictures of presigned objects, and pages that are named.
        assert _status(emulator.port, "GET", "/_ministack/ready") == 200
        for headers in (
            {},
            cross,
            {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
            {"Origin": OURS},
        ):
            assert _status(emulator.port, "GET", read, **headers) == 404, headers
        for origin in ("http://localhost:8002", "http://localhost"):
            assert _status(emulator.port, "GET", read, Origin=origin) == 403, origin
        asked = {"Origin": OURS, "Access_Control_Request_Method": "POST", "Sec_Fetch_Site": "same-site"}
        assert _status(emulator.port, "OPTIONS", f"/{settings.uploads_bucket}", **asked) == 200
        assert _status(emulator.port, *RESET, Host=f"localhost:{emulator.port}") == 200


def test_pages_of_every_port_may_use_an_emulator_that_is_told_so(tmp_path):
    with MiniStack(directory=tmp_path, origins=["http://localhost:*"]) as emulator:
        for origin in ("http://localhost:5173", "http://localhost"):
            assert _status(emulator.port, "GET", "/_ministack/ready", Origin=origin) == 200, origin
        for origin in (
            "http://localhost.elsewhere.example:80",
            "https://localhost:5173",
            "http://localhost:x",
        ):
            assert _status(emulator.port, "GET", "/_ministack/ready", Origin=origin) == 403, origin


def test_pages_of_other_origins_cannot_use_the_login_provider():
    with NanoIDP(api_urls=["http://localhost:8000"]) as provider:
        own = f"127.0.0.1:{provider.port}"
        for headers in (
            {"Origin": FOREIGN},
            {"Origin": "null"},
            {"Origin": own},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site", "Origin": f"http://{own}"},
            {"Host": f"elsewhere.example:{provider.port}"},
        ):
            for path in ("/login", "/token", "/register", "/api/users/editor/token"):
                assert _status(provider.port, "POST", path, **headers) == 403, (path, headers)
        rebound = {"Host": f"elsewhere.example:{provider.port}"}
        assert _status(provider.port, "GET", "/api/users", **rebound) == 403
        for name in (own, own.replace("127.0.0.1", "localhost")):
            assert _status(provider.port, "GET", "/.well-known/openid-configuration", Host=name) == 200
        form = {"Sec_Fetch_Site": "same-origin", "Origin": "null"}
        assert _status(provider.port, "POST", "/login", **form) != 403
        assert _status(provider.port, "POST", "/token") in {400, 401}


def test_valkey_takes_no_http():
    with Valkey() as valkey, closing(redis.Redis.from_url(valkey.url)) as kept:
        kept.set("word", "가족")
        for first in (b"POST / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"):
            exchange(valkey.port, first + b"\r\nFLUSHALL\r\n")
            assert kept.get("word") == "가족".encode()
