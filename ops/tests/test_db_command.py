"""`familycorp db` and `familycorp env`, as an operator types them."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack, client
from familycorp_ops.servers.process import clean_environment


def familycorp(*arguments: str, **environment: str) -> tuple[int, str]:
    ran = subprocess.run(
        [str(Path(sys.executable).with_name("familycorp")), *arguments],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return ran.returncode, (ran.stdout + ran.stderr).strip()


def test_a_schema_goes_up_and_back_and_says_where_it_is(tmp_path: Path) -> None:
    url = {"FAMILYCORP_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"}
    status, said = familycorp("db", "status", **url)
    assert (status, said.startswith("The schema is empty; it lacks 0001, 0002")) == (1, True)
    assert familycorp("db", "upgrade", **url) == (0, "The schema is up to date.")
    status, said = familycorp("db", "status", "--json", **url)
    newest = json.loads(said)
    assert (status, newest["lacking"]) == (0, [])

    assert familycorp("db", "downgrade", "0002", **url)[0] == 1, "it wasn't agreed to"
    assert familycorp("db", "status", **url)[0] == 0
    assert familycorp("db", "downgrade", "0002", "--yes", **url) == (0, "The schema is 0002.")
    status, said = familycorp("db", "status", "--json", **url)
    assert (status, json.loads(said)["revision"]) == (1, "0002")
    assert newest["revision"] in json.loads(said)["lacking"]
    status, said = familycorp("db", "downgrade", "nothing", "--yes", **url)
    assert (status, "Can't locate revision" in said, "Traceback" in said) == (1, True, False)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'later'")
        connection.commit()
    status, said = familycorp("db", "status", **url)
    assert (status, said) == (1, "The schema can't be read: No such revision or branch 'later'")


def test_the_settings_in_effect_are_shown_without_passwords() -> None:
    url = "mysql+aiomysql://root:secret@127.0.0.1/familycorp"
    status, said = familycorp("env", "--json", FAMILYCORP_ENV="test", FAMILYCORP_DATABASE_URL=url)
    assert status == 0, said
    shown = json.loads(said)
    assert shown["FAMILYCORP_ENV"] == "test"
    assert shown["FAMILYCORP_DATABASE_URL"] == url.replace("secret", "***")


def test_a_deployed_environments_settings_are_those_of_parameter_store(ministack: MiniStack) -> None:
    ssm = client(ministack.url, "ssm")
    name = f"shown{os.getpid()}"
    aws = {**CREDENTIALS, "AWS_ENDPOINT_URL": ministack.url}
    status, said = familycorp("env", name, **aws)
    assert (status, "was Terraform applied?" in said) == (1, True)
    ssm.put_parameter(Name=f"/familycorp/{name}/settings/SITE_URL", Value="https://x.example", Type="String")
    assert familycorp("env", name, **aws) == (0, "FAMILYCORP_SITE_URL  https://x.example")
    status, said = familycorp("env", name, **CREDENTIALS, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert (status, "can't be read" in said, "Traceback" in said) == (1, True, False)


def test_shells_complete_the_command() -> None:
    status, said = familycorp(_FAMILYCORP_COMPLETE="source_bash")
    assert (status, "_familycorp_completion" in said) == (0, True)
