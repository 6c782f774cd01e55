"""Billed quantities of each kind of resource: units of the price table, a month."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from familycorp_ops.cost.prices import Usage
from familycorp_ops.cost.resources import Resource

HOURS: Final = 730
"""Hours of a month, as AWS's calculator counts them."""
KB: Final = 1024
GB: Final = 1024**3
PROXY_FLOOR_ACU: Final = 8
"""RDS Proxy before Aurora Serverless v2 bills at least so much (https://aws.amazon.com/rds/proxy/pricing/)."""
VALKEY_FLOOR_GB: Final = 0.1
"""ElastiCache Serverless for Valkey bills at least so much (https://aws.amazon.com/elasticache/pricing/)."""
ROUTE_METRICS: Final = 6
"""Count, 4xx, 5xx, latency, integration latency and bytes of each route, where a stage has detailed metrics."""
BILLED_ROTATIONS: Final = 2
"""KMS bills the material of a key's first and second rotation like a key, later ones not ("AWS KMS pricing")."""
ROTATED_WITHIN_DAYS: Final = 3 * 365
"""The bill has the rotations of so many days."""
KEPT_SHARE: Final = 0.15
"""Share of stored logs after compression ("Amazon CloudWatch pricing")."""


class Line(NamedTuple):
    """A line of the bill, before it is priced."""

    component: str
    what: str
    price: str
    quantity: float


class Plan(NamedTuple):
    """Context of a rule beside its own resource."""

    resources: Sequence[Resource]
    usage: Usage

    def count(self, kind: str) -> int:
        """Return how many resources of a kind there are."""
        return sum(r.type == kind for r in self.resources)

    @property
    def quiet(self) -> set[str]:
        """Functions of whose calls Lambda says nothing unless they fail."""
        return {
            r.named()
            for r in self.resources
            if _first(r.values, "logging_config").get("system_log_level") == "WARN"
        }

    @property
    def rendered(self) -> float:
        """Requests that no cache answers."""
        cached = self.count("aws_elasticache_replication_group") + self.count(
            "aws_elasticache_serverless_cache"
        )
        return self.usage.requests * (1 - self.usage.cache_hit * bool(cached))

    @property
    def pictures(self) -> float:
        """Pictures that visitors' browsers fetch."""
        return self.usage.pages * self.usage.pictures * (1 - self.usage.picture_kept)

    @property
    def redirects(self) -> float:
        """Pictures to which the API redirects, where there is no CDN."""
        return 0 if self.count("aws_cloudfront_distribution") else self.pictures

    @property
    def staff_share(self) -> float:
        """Share of the month in which somebody works."""
        return self.usage.staff_hours / HOURS

    def invocations(self, function: str) -> float:
        """Return how often a function runs."""
        if function == "backend":
            return self.usage.requests + self.usage.staff_requests + self.redirects
        if function == "auth":
            return self.usage.logins * 6 + self.usage.staff_requests / 10  # A login's steps, and renewals.
        return self.usage.invocations.get(function, 0)

    def milliseconds(self, function: str) -> float:
        """Return what a function bills for in all."""
        usage, runs = self.usage, self.invocations(function)
        if function == "backend":
            visitors = usage.requests - self.rendered
            work = visitors * usage.cached_ms + self.rendered * usage.rendered_ms
            work += usage.staff_requests * usage.staff_ms + self.redirects * usage.cached_ms
            return work + runs * usage.cold_share * usage.cold_ms
        if function == "auth":
            return runs * usage.staff_ms
        return runs * usage.durations.get(function, 0)


Rule = Callable[[Resource, Plan], Iterator[Line]]
Values = Mapping[str, Any]


def _first(values: Values, name: str) -> Values:
    found = values.get(name)
    return found[0] if isinstance(found, list) and found else {}


def _function(it: Resource, plan: Plan) -> Iterator[Line]:
    name, memory = it.named(), it.values["memory_size"] / KB
    yield Line("Lambda", f"{name}: requests", "lambda-request", plan.invocations(name))
    yield Line(
        "Lambda", f"{name}: {memory:g} GB", "lambda-gb-second", plan.milliseconds(name) / 1000 * memory
    )


def _logs(it: Resource, plan: Plan) -> Iterator[Line]:
    usage, name, path = plan.usage, it.named(), it.values.get("name", "")
    if path.startswith("/aws/lambda/"):
        system = usage.platform_log_bytes * (name not in plan.quiet)
        written = plan.invocations(name) * (usage.app_log_bytes + system) / GB
    elif path.startswith("/aws/apigateway/"):
        runs = plan.invocations("backend") + plan.invocations("auth")
        written = runs * usage.access_log_bytes / GB
    else:
        written = usage.refused_gb if "flow" in path or "flow" in it.address else 0
    kept = written * KEPT_SHARE * it.values["retention_in_days"] * 24 / HOURS
    yield Line("CloudWatch", f"logs of {name}", "logs-gb", written)
    yield Line(
        "CloudWatch", f"logs of {name}, kept {it.values['retention_in_days']} days", "logs-kept-gb", kept
    )


def _alarm(it: Resource, _: Plan) -> Iterator[Line]:
    # An alarm on an expression bills for each metric in it.
    metrics = [m for query in it.values.get("metric_query") or () for m in query.get("metric") or ()]
    fast = min((m.get("period") or 60 for m in metrics), default=it.values.get("period") or 60) < 60
    yield Line("CloudWatch", "alarms", "alarm-fast" if fast else "alarm", max(1, len(metrics)))


def _composite(_: Resource, __: Plan) -> Iterator[Line]:
    yield Line("CloudWatch", "alarms of alarms", "alarm-composite", 1)


def _api(_: Resource, plan: Plan) -> Iterator[Line]:
    usage = plan.usage
    requests = plan.invocations("backend") + plan.invocations("auth")
    yield Line("API Gateway", "requests", "api-request", requests)
    yield Line("Data transfer", "answers", "transfer-gb", requests * usage.response_kb * KB / GB)


def _stage(it: Resource, plan: Plan) -> Iterator[Line]:
    if _first(it.values, "default_route_settings").get("detailed_metrics_enabled"):
        # Two routes: one of everybody, one of the staff. A metric is billed by the hour in which it is used.
        used = (1 if plan.usage.requests else plan.staff_share) + plan.staff_share
        yield Line("CloudWatch", "metrics of the API's routes", "metric", ROUTE_METRICS * used)


def _cluster(it: Resource, plan: Plan) -> Iterator[Line]:
    usage = plan.usage
    kept = usage.database_gb * (1 + usage.database_change * it.values["backup_retention_period"])
    yield Line("Aurora", "storage", "aurora-gb", usage.database_gb)
    yield Line("Aurora", "reads and writes of storage", "aurora-io", usage.database_io)
    # As much as the cluster holds is free.
    yield Line("Aurora", "backups", "aurora-backup-gb", max(0, kept - usage.database_gb))
    if it.values.get("manage_master_user_password"):
        yield Line("Secrets Manager", "master password", "secret", 1)


def _instance(_: Resource, plan: Plan) -> Iterator[Line]:
    cluster = next(r for r in plan.resources if r.type == "aws_rds_cluster")
    least = _first(cluster.values, "serverlessv2_scaling_configuration")["min_capacity"]
    # Visitors never reach the database, so it follows the staff alone. Both instances grow and pause together.
    used = plan.usage.staff_hours * max(least, plan.usage.awake_acu)
    hours = used + (HOURS - plan.usage.staff_hours) * least
    what = f"instances, at least {least:g} ACU" if least else "instances, paused when nobody works"
    yield Line("Aurora", what, "aurora-acu-hour", hours)


def _proxy(_: Resource, __: Plan) -> Iterator[Line]:
    yield Line("RDS Proxy", f"at least {PROXY_FLOOR_ACU} ACU", "proxy-acu-hour", PROXY_FLOOR_ACU * HOURS)


def _nodes(it: Resource, _: Plan) -> Iterator[Line]:
    kind, nodes = it.values["node_type"], it.values["num_cache_clusters"]
    yield Line("ElastiCache", f"nodes, {kind}", f"{kind}-hour", nodes * HOURS)


def _cache(_: Resource, plan: Plan) -> Iterator[Line]:
    usage = plan.usage
    yield Line(
        "ElastiCache",
        "serverless, at least 100 MB",
        "cache-gb-hour",
        max(VALKEY_FLOOR_GB, usage.cache_gb) * HOURS,
    )
    # A GET is one for each KB; a limit's script is one.
    units = (usage.requests + usage.staff_requests) * (1 + usage.response_kb)
    yield Line("ElastiCache", "serverless, use", "cache-ecpu", units)


def _table(it: Resource, plan: Plan) -> Iterator[Line]:
    usage, name = plan.usage, it.named()
    held = {"posts": 0.6, "sessions": 0.1, "events": 0.3}.get(name, 0) * usage.tables_gb
    reads = {
        # Before a view counts, its post's item is read, eventually consistent: half a unit for each 4 KB.
        "posts": plan.rendered * usage.reads + usage.requests * usage.views * usage.post_kb / 8,
        "sessions": usage.staff_requests,
        "events": plan.invocations("drain"),
    }
    writes = {
        "posts": usage.requests * usage.views + usage.events * usage.post_kb,
        "sessions": usage.logins * 12 + usage.staff_requests / 10,
        "events": usage.events * 3,
    }
    yield Line("DynamoDB", f"{name}: reads", "dynamodb-read", reads.get(name, 0))
    yield Line("DynamoDB", f"{name}: writes", "dynamodb-write", writes.get(name, 0))
    yield Line("DynamoDB", f"{name}: storage", "dynamodb-gb", held)
    if _first(it.values, "point_in_time_recovery").get("enabled"):
        yield Line("DynamoDB", f"{name}: to be restored to any second", "dynamodb-pitr-gb", held)


def _bucket(it: Resource, plan: Plan) -> Iterator[Line]:
    usage = plan.usage
    if it.named() == "media":
        yield from _pictures(plan)
    if it.named() != "uploads":
        return  # Lines of access, templates, and what operators exchange for a day: cents at the most.
    yield Line("S3", "storage", "s3-gb", usage.files_gb)
    yield Line("S3", "writes", "s3-write", usage.uploads * 8)  # A file, its copy, its thumbnails, their tags.
    yield Line("S3", "reads", "s3-read", usage.uploads * 8 + usage.downloads_gb * KB)  # Files of a MB.
    yield Line("Data transfer", "files", "transfer-gb", usage.downloads_gb)
    yield Line("EventBridge", "arrivals", "event", usage.uploads * 2)


def _pictures(plan: Plan) -> Iterator[Line]:
    """Yield what the bucket of public pictures costs: by redirects its own traffic, else what CloudFront lacks."""
    read = plan.redirects or plan.pictures * (1 - plan.usage.cdn_hit)
    yield Line("S3", "pictures: reads", "s3-read", read)
    yield Line("Data transfer", "pictures", "transfer-gb", plan.redirects * plan.usage.picture_kb * KB / GB)


def _distribution(_: Resource, plan: Plan) -> Iterator[Line]:
    # From S3 to CloudFront traffic is free.
    yield Line("CloudFront", "pictures: requests", "cdn-request", plan.pictures)
    yield Line("CloudFront", "pictures: traffic", "cdn-gb", plan.pictures * plan.usage.picture_kb * KB / GB)


def _web_acl(it: Resource, plan: Plan) -> Iterator[Line]:
    yield Line("WAF", "list", "waf-acl", 1)
    yield Line("WAF", "rules", "waf-rule", len(it.values.get("rule", ())))
    yield Line("WAF", "requests", "waf-request", plan.usage.logins * 6)


def _pool(it: Resource, plan: Plan) -> Iterator[Line]:
    tier = it.values.get("user_pool_tier", "ESSENTIALS").lower()
    yield Line("Cognito", "people who log in", f"cognito-{tier}-user", plan.usage.staff)


def _scans(_: Resource, plan: Plan) -> Iterator[Line]:
    yield Line("GuardDuty", "scanned", "scan-gb", plan.usage.upload_gb)
    yield Line("GuardDuty", "scanned objects", "scan-object", plan.usage.uploads)


def _endpoint(it: Resource, plan: Plan) -> Iterator[Line]:
    if it.values.get("vpc_endpoint_type") == "Interface":
        zones = plan.count("aws_subnet")  # Their ids aren't known before the apply; it is in each.
        yield Line(
            "VPC endpoints", it.values["service_name"].rpartition(".")[2], "endpoint-hour", zones * HOURS
        )


def _key(it: Resource, plan: Plan) -> Iterator[Line]:
    yield Line("KMS", "keys", "kms-key", 1)
    if it.values.get("enable_key_rotation"):
        rotations = ROTATED_WITHIN_DAYS // (it.values.get("rotation_period_in_days") or 365)
        yield Line("KMS", "rotated material, in the third year", "kms-key", min(BILLED_ROTATIONS, rotations))
    uses = plan.usage.logins * 2 + plan.invocations("drain") / 60  # Data keys are kept for minutes.
    yield Line("KMS", "uses", "kms-request", uses)


def _secret(_: Resource, __: Plan) -> Iterator[Line]:
    yield Line("Secrets Manager", "secrets", "secret", 1)


def _registry(_: Resource, plan: Plan) -> Iterator[Line]:
    yield Line("ECR", "images", "ecr-gb", plan.usage.images_gb)


def _topic(it: Resource, plan: Plan) -> Iterator[Line]:
    yield Line(
        "SNS, SQS", f"mails of {it.named()}", "sns-mail", plan.usage.events if "notices" in it.address else 0
    )


def _queue(_: Resource, plan: Plan) -> Iterator[Line]:
    yield Line("SNS, SQS", "messages", "sqs-request", plan.usage.events / 100)


def _application_metrics(plan: Plan) -> Iterator[Line]:
    if not plan.count("aws_lambda_function"):
        return
    quantity = plan.usage.metrics_always + plan.usage.metrics_staff * plan.staff_share
    yield Line("CloudWatch", "metrics of the application", "metric", quantity)


RULES: Final[Mapping[str, Rule]] = {
    "aws_apigatewayv2_api": _api,
    "aws_apigatewayv2_stage": _stage,
    "aws_cloudfront_distribution": _distribution,
    "aws_cloudwatch_composite_alarm": _composite,
    "aws_cloudwatch_log_group": _logs,
    "aws_cloudwatch_metric_alarm": _alarm,
    "aws_cognito_user_pool": _pool,
    "aws_db_proxy": _proxy,
    "aws_dynamodb_table": _table,
    "aws_ecr_repository": _registry,
    "aws_elasticache_replication_group": _nodes,
    "aws_elasticache_serverless_cache": _cache,
    "aws_guardduty_malware_protection_plan": _scans,
    "aws_kms_key": _key,
    "aws_lambda_function": _function,
    "aws_rds_cluster": _cluster,
    "aws_rds_cluster_instance": _instance,
    "aws_s3_bucket": _bucket,
    "aws_secretsmanager_secret": _secret,
    "aws_sns_topic": _topic,
    "aws_sqs_queue": _queue,
    "aws_vpc_endpoint": _endpoint,
    "aws_wafv2_web_acl": _web_acl,
}

_PART = "part of a resource that is billed"
_ACCESS = "access control is free"
UNPRICED: Final[Mapping[str, str]] = {
    "aws_acm_certificate": "public certificates are free",
    "aws_acm_certificate_validation": "public certificates are free",
    "aws_apigatewayv2_api_mapping": _PART,
    "aws_apigatewayv2_domain_name": "HTTP APIs' domain names are free",
    "aws_apigatewayv2_integration": _PART,
    "aws_apigatewayv2_route": _PART,
    "aws_budgets_budget": "budgets without actions are free",
    "aws_cloudfront_cache_policy": _PART,
    "aws_cloudfront_origin_access_control": _ACCESS,
    "aws_cloudfront_response_headers_policy": _PART,
    "aws_cloudwatch_dashboard": "an account's first three are free for good, and an environment has one",
    "aws_cloudwatch_event_rule": "events of AWS and schedules are free; S3's are counted with the bucket",
    "aws_cloudwatch_event_target": _PART,
    "aws_cloudwatch_log_metric_filter": "free; its metric exists only in hours in which something is refused",
    "aws_cloudwatch_query_definition": "saved queries are free; running one bills what it reads",
    "aws_codedeploy_app": "CodeDeploy is free for Lambda",
    "aws_codedeploy_deployment_group": "CodeDeploy is free for Lambda",
    "aws_cognito_user_group": _PART,
    "aws_cognito_user_pool_client": _PART,
    "aws_cognito_user_pool_domain": _PART,
    "aws_db_proxy_default_target_group": _PART,
    "aws_db_proxy_target": _PART,
    "aws_db_subnet_group": _PART,
    "aws_default_security_group": _ACCESS,
    "aws_ecr_lifecycle_policy": _PART,
    "aws_ecr_repository_policy": _ACCESS,
    "aws_elasticache_parameter_group": _PART,
    "aws_elasticache_subnet_group": _PART,
    "aws_elasticache_user": _ACCESS,
    "aws_elasticache_user_group": _ACCESS,
    "aws_flow_log": "billed as its log group",
    "aws_iam_openid_connect_provider": _ACCESS,
    "aws_iam_policy": _ACCESS,
    "aws_iam_role": _ACCESS,
    "aws_iam_role_policy": _ACCESS,
    "aws_iam_role_policy_attachment": _ACCESS,
    "aws_kms_alias": _PART,
    "aws_lambda_alias": _PART,
    "aws_lambda_event_source_mapping": "reading a table's stream is free for Lambda",
    "aws_lambda_function_event_invoke_config": _PART,
    "aws_lambda_function_url": _PART,
    "aws_lambda_layer_version": "75 GB of code and layers are free",
    "aws_lambda_permission": _ACCESS,
    "aws_rds_cluster_parameter_group": _PART,
    "aws_route53_record": "records are free, their hosted zone is paid for elsewhere",
    "aws_route_table": "the VPC itself is free; there is no NAT gateway and no public address",
    "aws_route_table_association": "the VPC itself is free",
    "aws_s3_bucket_cors_configuration": _PART,
    "aws_s3_bucket_lifecycle_configuration": _PART,
    "aws_s3_bucket_logging": _PART,
    "aws_s3_bucket_notification": _PART,
    "aws_s3_bucket_ownership_controls": _ACCESS,
    "aws_s3_bucket_policy": _ACCESS,
    "aws_s3_bucket_public_access_block": _ACCESS,
    "aws_s3_bucket_server_side_encryption_configuration": _PART,
    "aws_s3_bucket_versioning": _PART,
    "aws_secretsmanager_secret_policy": _ACCESS,
    "aws_secretsmanager_secret_rotation": _PART,
    "aws_security_group": _ACCESS,
    "aws_sns_topic_policy": _ACCESS,
    "aws_sns_topic_subscription": _PART,
    "aws_sqs_queue_policy": _ACCESS,
    "aws_ssm_parameter": "standard parameters are free",
    "aws_subnet": "the VPC itself is free",
    "aws_vpc": "the VPC itself is free",
    "aws_vpc_security_group_egress_rule": _ACCESS,
    "aws_vpc_security_group_ingress_rule": _ACCESS,
    "aws_wafv2_web_acl_association": _PART,
}
"""Kinds of resources that bill nothing of their own, each with the reason."""


def unknown(resources: Sequence[Resource]) -> list[str]:
    """Return the kinds that have neither a rule nor a reason to have none."""
    return sorted({r.type for r in resources} - RULES.keys() - UNPRICED.keys())


def lines(plan: Plan) -> Iterator[Line]:
    """Yield all lines of a bill; those of one price for one thing come apart."""
    for resource in plan.resources:
        if rule := RULES.get(resource.type):
            yield from rule(resource, plan)
    yield from _application_metrics(plan)
