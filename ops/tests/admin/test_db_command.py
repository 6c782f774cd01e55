"""`familycorp db` and `familycorp env`, as an operator types them."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from familycorp_ops.servers.ministack import MiniStack, client
from familycorp_ops.servers.process import clean_environment
from familycorp_ops.testing.commands import familycorp, on_emulator


def said_by(*arguments: str, **variables: str) -> tuple[int, str]:
    ran = familycorp(*arguments, environment=clean_environment(**variables))
    return ran.returncode, (ran.stdout + ran.stderr).strip()


def test_a_schema_goes_up_and_back_and_says_where_it_is(tmp_path: Path) -> None:
    url = {"FAMILYCORP_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"}
    status, said = said_by("db", "status", **url)
    assert (status, said.startswith("The schema is empty; it lacks 0001, 0002")) == (1, True)
    assert said_by("db", "upgrade", **url) == (0, "The schema is up to date.")
    status, said = said_by("db", "status", "--json", **url)
    newest = json.loads(said)
    assert (status, newest["lacking"]) == (0, [])

    assert said_by("db", "downgrade", "0002", **url)[0] == 1, "it wasn't agreed to"
    assert said_by("db", "status", **url)[0] == 0
    assert said_by("db", "downgrade", "0002", "--yes", **url) == (0, "The schema is 0002.")
    status, said = said_by("db", "status", "--json", **url)
    assert (status, json.loads(said)["revision"]) == (1, "0002")
    assert newest["revision"] in json.loads(said)["lacking"]
    status, said = said_by("db", "downgrade", "nothing", "--yes", **url)
    assert (status, "Can't locate revision" in said, "Traceback" in said) == (1, True, False)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'later'")
        connection.commit()
    status, said = said_by("db", "status", **url)
    assert (status, said) == (1, "The schema can't be read: No such revision or branch 'later'")


def test_the_settings_in_effect_are_shown_without_passwords() -> None:
    url = "mysql+aiomysql://root:secret@127.0.0.1/familycorp"
    status, said = said_by("env", "--json", FAMILYCORP_ENV="test", FAMILYCORP_DATABASE_URL=url)
    assert status == 0, said
    shown = json.loads(said)
    assert shown["FAMILYCORP_ENV"] == "test"
    assert shown["FAMILYCORP_DATABASE_URL"] == url.replace("secret", "***")


def test_a_deployed_environments_settings_are_those_of_parameter_store(ministack: MiniStack) -> None:
    ssm = client(ministack.url, "ssm")
    name = f"shown{os.getpid()}"
    aws = on_emulator(ministack.url)
    status, said = said_by("env", name, **aws)
    assert (status, "was Terraform applied?" in said) == (1, True)
    ssm.put_parameter(Name=f"/familycorp/{name}/settings/SITE_URL", Value="https://x.example", Type="String")
    assert said_by("env", name, **aws) == (0, "FAMILYCORP_SITE_URL  https://x.example")
    status, said = said_by("env", name, **on_emulator("http://127.0.0.1:1"))
    assert (status, "can't be read" in said, "Traceback" in said) == (1, True, False)


def test_shells_complete_the_command() -> None:
    # Shells run the program that the installation made; it and its variables have the command's name.
    ran = subprocess.run(
        [str(Path(sys.executable).with_name("familycorp"))],
        env=clean_environment(_FAMILYCORP_COMPLETE="source_bash"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (ran.returncode, "_familycorp_completion" in ran.stdout) == (0, True)
