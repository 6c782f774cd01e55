"""What a deployment left behind in the emulator."""

from collections.abc import Callable, Iterator
from typing import Any, Final

LISTS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("lambda", "list_layers", "Layers", "LayerName"),
    ("apigatewayv2", "get_apis", "Items", "Name"),
    ("dynamodb", "list_tables", "TableNames", ""),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("sqs", "list_queues", "QueueUrls", ""),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("secretsmanager", "list_secrets", "SecretList", "Name"),
    ("kms", "list_aliases", "Aliases", "AliasName"),
    ("ssm", "describe_parameters", "Parameters", "Name"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("events", "list_rules", "Rules", "Name"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
    ("elasticache", "describe_serverless_caches", "ServerlessCaches", "ServerlessCacheName"),
    ("cloudformation", "list_stacks", "StackSummaries", "StackName"),
)
"""Service, operation, member of its response, and what names an entry (nothing: the entry itself)."""


def remains(client: Callable[[str], Any], prefix: str) -> Iterator[str]:
    """Yield `service name` of everything whose name has `prefix` in it."""
    for service, operation, member, key in LISTS:
        entries = getattr(client(service), operation)().get(member, ())
        for entry in entries:
            if isinstance(entry, dict) and entry.get("StackStatus") == "DELETE_COMPLETE":
                continue
            name = entry[key] if key else entry
            if prefix in name:
                yield f"{service} {name}"
