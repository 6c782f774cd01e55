"""The database's users, made through the Data API: one for the application, one for the migrations."""

import json
import secrets
from typing import Any, Final

from familycorp_ops.deploy.environment import Environment, absent
from familycorp_ops.lifecycle.data_api import DataApi

APPLICATION: Final = "familycorp_app"
MIGRATIONS: Final = "familycorp_migrations"
BY_IAM: Final = "IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL"


def make(it: Environment) -> str:
    """Make the users, or bring those that are there in order; return which there are.

    With RDS Proxy the application's user has a password, which the proxy shows to the cluster. It is made here, kept
    in the proxy's secret alone, and shown to nobody.
    """
    api = DataApi(it)
    password = _password(it)
    by = BY_IAM if password is None else f"IDENTIFIED BY '{password}'"
    for user, identified, may in (
        (MIGRATIONS, BY_IAM, "ALL"),
        (APPLICATION, by, "SELECT, INSERT, UPDATE, DELETE"),
    ):
        api.run(f"CREATE USER IF NOT EXISTS {user} {identified}")
        # A user that was there may have logged in otherwise: a proxy was switched on or off, or has another password.
        api.run(f"ALTER USER {user} {identified}")
        api.run(f"GRANT {may} ON familycorp.* TO {user}")
    return f"{MIGRATIONS}, {APPLICATION}"


def _password(it: Environment) -> str | None:
    """Return the password that the proxy's secret holds, made where it holds none; None without a proxy."""
    client: Any = it.client("secretsmanager")
    name = f"{it.name}-database"
    described = absent(client.describe_secret, SecretId=name)
    if described is None:
        return None
    if described.get("VersionIdsToStages"):
        kept: str = json.loads(client.get_secret_value(SecretId=name)["SecretString"])["password"]
        return kept.replace("\\", "\\\\").replace("'", "''")
    made = secrets.token_urlsafe(32)
    value = json.dumps({"username": APPLICATION, "password": made})
    client.put_secret_value(SecretId=name, SecretString=value)
    return made
