"""The command, the Makefile and the scripts around them."""

import hashlib
import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from familycorp_ops.local import totp
from familycorp_ops.testing.commands import familycorp

ROOT = Path(__file__).parents[2]


def test_the_command_and_the_supervisor_stay_light():
    program = "import sys, familycorp_ops.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    modules = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert not {
        "alembic",
        "botocore",
        "cryptography",
        "fastapi",
        "httpx",
        "pydantic",
        "redis",
        "sqlalchemy",
    } & set(modules)


def test_help_names_every_command():
    text = familycorp("--help", COLUMNS="100", TERM="dumb").stdout
    for name in ("up", "reset", "db", "code"):
        assert re.search(rf"\b{name}\b", text)


def test_codes_are_those_of_the_standard(monkeypatch, capsys):
    # RFC 6238, appendix B, of which six digits are shown; people type secrets in groups and in lower case.
    secret = "gezd gnbv gy3t qojq GEZD-GNBV-GY3T-QOJQ"
    assert [totp.code(secret, at) for at in (59, 1111111109, 20000000000)] == ["287082", "081804", "353130"]
    monkeypatch.setattr("time.time", lambda: 59)
    totp.show(secret, as_json=False)
    assert capsys.readouterr().out == "287082\n"
    with pytest.raises(SystemExit, match="isn't a base32 secret"):
        totp.show("not base32!", as_json=False)


def test_a_broken_installation_is_one_sentence():
    program = "import sys, runpy; sys.modules['typer'] = None; runpy.run_module('familycorp_ops')"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("The installation is broken (")
    assert len(ended.stderr.splitlines()) == 1


def test_make_explains_every_target():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    targets = set(phony[1].split())
    text = subprocess.check_output(["make", "-C", ROOT], text=True)
    assert set(re.findall(r"^  make ([\w-]+) +\w", text, re.MULTILINE)) == targets


def test_migrations_and_models_agree():
    ended = familycorp("db", "check")
    assert ended.returncode == 0, ended.stderr


def test_a_database_that_cannot_be_migrated_is_one_sentence(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/nowhere/x.db"
    ended = familycorp("db", "upgrade", FAMILYCORP_DATABASE_URL=url)
    assert ended.returncode == 1
    assert ended.stderr.startswith("The schema couldn't be upgraded: ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.fixture
def bring_uv(tmp_path, monkeypatch):
    """The script, with a lock file that names one wheel in the file system."""
    spec = importlib.util.spec_from_file_location("bring_uv", ROOT / "scripts" / "bring_uv.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    wheel = tmp_path / f"uv-1.2-py3-none-{'_'.join(module.platform_tags())}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("uv-1.2.data/scripts/uv", "#!/bin/sh\necho fine\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = tmp_path / "uv.lock"
    monkeypatch.setattr(module, "LOCK", lock)
    wheels = f'[{{ url = "{wheel.as_uri()}", hash = "sha256:{digest}" }}]'
    lock.write_text(f'[[package]]\nname = "uv"\nversion = "1.2"\nwheels = {wheels}\n')
    monkeypatch.setattr(sys, "argv", ["bring_uv.py", str(tmp_path / "tools")])
    return module


def test_uv_is_brought_from_the_lock_file(bring_uv, tmp_path):
    assert bring_uv.main() is None
    assert subprocess.check_output([tmp_path / "tools" / "uv"], text=True) == "fine\n"


def test_a_uv_that_is_not_the_pinned_one_is_refused(bring_uv, tmp_path, monkeypatch):
    def no_pip(*_):
        raise OSError

    monkeypatch.setattr(bring_uv, "by_pip", no_pip)
    bring_uv.LOCK.write_text(bring_uv.LOCK.read_text().replace("sha256:", "sha256:0"))
    message = bring_uv.main()
    assert "isn't what the lock file pins" in message
    assert not (tmp_path / "tools").exists()
