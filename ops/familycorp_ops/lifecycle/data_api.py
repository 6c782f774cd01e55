"""The database, through the RDS Data API: nothing outside its VPC can connect to it."""

import time
from collections.abc import Sequence
from gettext import gettext as _
from typing import Any, Final

from botocore.exceptions import ClientError

from familycorp_ops.deploy.environment import Environment, absent
from familycorp_ops.lifecycle.problem import LifecycleError

WAKING: Final = {"DatabaseResumingException", "DatabaseUnavailableException"}
WAKING_S: Final = (0.5, 2.0, 5.0, 10.0, 15.0, 15.0, 15.0, 15.0)
"""Waits after which a cluster is asked again that wakes up, which takes it up to half a minute."""


class DataApi:
    """An environment's cluster, as its master user, whose password stays in Secrets Manager.

    Args:
        it: the environment. Raises `LifecycleError` where it has no cluster.
    """

    def __init__(self, it: Environment) -> None:
        self.cluster = f"{it.name}-database"
        found = absent(it.client("rds").describe_db_clusters, DBClusterIdentifier=self.cluster)
        if found is None:
            raise LifecycleError(_("There is no cluster {name}.").format(name=self.cluster))
        (cluster,) = found["DBClusters"]
        self.protected: bool = cluster.get("DeletionProtection", False)
        self._client = it.client("rds-data")
        self._where = {
            "resourceArn": cluster["DBClusterArn"],
            "secretArn": cluster.get("MasterUserSecret", {}).get("SecretArn", ""),
            "database": cluster.get("DatabaseName") or "familycorp",
        }

    def run(self, sql: str) -> Sequence[Sequence[Any]]:
        """Run one statement; return its rows. Waits for a database that sleeps."""
        for wait_s in (*WAKING_S, None):
            try:
                answer = self._client.execute_statement(sql=sql, **self._where)
                break
            except ClientError as error:
                if wait_s is None or error.response["Error"]["Code"] not in WAKING:
                    raise
                time.sleep(wait_s)
        return [[next(iter(field.values())) for field in row] for row in answer.get("records", ())]
