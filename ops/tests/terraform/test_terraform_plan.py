"""What Terraform would make, read from plans: every promise that concerns all resources, for all environments."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import PUBLIC_DOMAIN, PUBLIC_ORIGIN, PUBLIC_URL, Settings
from app.functions.notices import NO_CATEGORY
from app.main import CORS
from familycorp_ops import facts
from familycorp_ops.deploy import infra, templates
from familycorp_ops.deploy.infra import Terraform
from familycorp_ops.local import cdn, provision
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.servers import missing

CASES = list(itertools.product(("dev", "stage", "prod"), ("sam", "terraform")))
QUICK = [("dev", "sam"), ("prod", "terraform")]


@pytest.fixture(
    scope="module",
    params=[c if c in QUICK else pytest.param(c, marks=pytest.mark.infra) for c in CASES],
    ids="-".join,
)
def plan(request: pytest.FixtureRequest, terraform: Terraform) -> dict[str, Any]:
    env, deployer = request.param
    return terraform.plan(*infra.options(env, deployer)) | {"env": env, "deployer": deployer}


def of_type(plan: Mapping[str, Any], *types: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield address and values of each resource of these types."""
    for resource in infra.resources(plan):
        if resource["type"] in types:
            yield resource["address"], resource["values"]


def outputs(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {name: output.get("value") for name, output in plan["planned_values"]["outputs"].items()}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# -- the files ----------------------------------------------------------------------------------------------------


def test_the_files_are_formatted_and_valid(terraform: Terraform) -> None:
    ran = subprocess.run(
        [infra.executable(), "fmt", "-check", "-recursive", str(infra.SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    answer = json.loads(terraform.run("validate", "-json").stdout)
    assert (answer["valid"], answer["diagnostics"]) == (True, [])


def test_every_variable_and_output_says_what_it_is() -> None:
    for name in ("variables", "outputs"):
        text = (infra.SOURCE / f"{name}.tf").read_text()
        blocks = re.findall(r'^(?:variable|output) "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
        assert len(blocks) > 10
        for block, body in blocks:
            assert re.search(r'^  description += ".{15,}\."$', body, re.MULTILINE), block
            if name == "variables":
                kind = re.search(r"^  type += (.+)$", body, re.MULTILINE)
                assert kind, block
                # A bool has no wrong value; everything else is checked.
                assert "validation {" in body or kind[1] == "bool", block


def test_no_wildcard_resource_without_its_reason() -> None:
    """A `*` among resources is explained in the same line, or by the statement's reason next to it."""
    for file in infra.SOURCE.rglob("*.tf"):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.search(r'\b[rR]esources? += (\[)?"\*"', line):
                nearby = "\n".join(lines[max(0, number - 4) : number + 1])
                assert "#" in nearby or "reason" in nearby, f"{file.name}:{number + 1}"


# -- names, tags, secrets -----------------------------------------------------------------------------------------


def test_names_and_tags(plan: dict[str, Any]) -> None:
    prefix = f"familycorp-{plan['env']}-"
    for resource in infra.resources(plan):
        values = resource["values"]
        if values.get("tags_all"):
            assert {"env", "service", "owner", "cost-center", "Name"} <= set(values["tags_all"]), resource[
                "address"
            ]
            assert values["tags_all"]["Name"].startswith(prefix), resource["address"]
        named = values.get("name")
        if named and resource["type"] in {
            "aws_iam_role",
            "aws_iam_policy",
            "aws_dynamodb_table",
            "aws_ecr_repository",
            "aws_sns_topic",
            "aws_sqs_queue",
            "aws_secretsmanager_secret",
        }:
            assert named.startswith(prefix), resource["address"]


def test_no_secret_is_in_a_plan(plan: dict[str, Any]) -> None:
    kinds = {r["type"] for r in infra.resources(plan)}
    assert not kinds & {"aws_secretsmanager_secret_version", "aws_iam_access_key", "random_password"}
    for address, values in of_type(plan, "aws_rds_cluster"):
        assert values.get("master_password") is None, address
        assert values["manage_master_user_password"] is True
    assert all(v["type"] in {"String", "StringList"} for _, v in of_type(plan, "aws_ssm_parameter"))
    assert all(v["generate_secret"] is False for _, v in of_type(plan, "aws_cognito_user_pool_client"))
    assert not any(v.get("auth_token") for _, v in of_type(plan, "aws_elasticache_replication_group"))
    # DATABASE_URL and CACHE_URL name a user, never a password.
    assert not re.search(r"://[^/@\"]+:[^/@\"]+@", json.dumps(plan))


# -- network ------------------------------------------------------------------------------------------------------


def test_nothing_is_reachable_from_or_leads_to_the_internet(plan: dict[str, Any]) -> None:
    kinds = {r["type"] for r in infra.resources(plan)}
    assert not kinds & {"aws_internet_gateway", "aws_nat_gateway", "aws_route", "aws_eip", "aws_vpn_gateway"}
    assert all(not v.get("route") for _, v in of_type(plan, "aws_route_table"))
    assert all(v["map_public_ip_on_launch"] is False for _, v in of_type(plan, "aws_subnet"))
    assert all(v["publicly_accessible"] is False for _, v in of_type(plan, "aws_rds_cluster_instance"))
    rules = list(of_type(plan, "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"))
    assert rules
    for address, values in rules:
        assert values.get("cidr_ipv4") is None, address
        assert values.get("cidr_ipv6") is None, address
        assert values["ip_protocol"] == "tcp", address
        assert values["from_port"] == values["to_port"], address
    for address, values in of_type(plan, "aws_security_group", "aws_default_security_group"):
        assert not values.get("ingress"), address
        assert not values.get("egress"), address
    assert len({v["availability_zone"] for _, v in of_type(plan, "aws_subnet")}) == 2


def test_only_functions_that_need_the_database_are_in_the_vpc(plan: dict[str, Any]) -> None:
    inside = {a for a, v in of_type(plan, "aws_lambda_function") if v["vpc_config"]}
    if plan["deployer"] == "terraform":
        assert inside == {
            f'aws_lambda_function.this["{n}"]'
            for n in ("backend", "drain", "migrations", "operator-read", "operator-write", "uploads")
        }


# -- encryption, protection, limits -------------------------------------------------------------------------------


def test_everything_is_encrypted(plan: dict[str, Any]) -> None:
    config = {r["address"]: r for r in plan["configuration"]["root_module"]["resources"]}

    def has_key(resource: str, *path: str) -> bool:
        found: Any = config[resource]["expressions"]
        for part in path:
            found = found[0][part] if isinstance(found, list) else found[part]
        return "aws_kms_key.data" in json.dumps(found)

    tables = [v["server_side_encryption"][0]["enabled"] for _, v in of_type(plan, "aws_dynamodb_table")]
    assert tables == [True] * 3
    assert has_key("aws_dynamodb_table.this", "server_side_encryption", "kms_key_arn")
    for address in ("aws_cloudwatch_log_group.function", "aws_cloudwatch_log_group.database"):
        assert has_key(address, "kms_key_id")
    for address in ("aws_rds_cluster.main", "aws_secretsmanager_secret.this"):
        assert has_key(address, "kms_key_id")
    assert has_key("aws_ecr_repository.backend", "encryption_configuration", "kms_key")
    assert all(has_key(f"aws_sns_topic.{t}", "kms_master_key_id") for t in ("notices", "alarms"))
    assert has_key("aws_sqs_queue.dead_letters", "kms_master_key_id")
    assert all(v["storage_encrypted"] for _, v in of_type(plan, "aws_rds_cluster"))
    assert all(v["enable_key_rotation"] for _, v in of_type(plan, "aws_kms_key"))
    buckets = {v["bucket"] for _, v in of_type(plan, "aws_s3_bucket")}
    assert len(buckets) == len(list(of_type(plan, "aws_s3_bucket_server_side_encryption_configuration")))
    for kind in ("public_access_block", "ownership_controls", "policy", "lifecycle_configuration"):
        assert len(list(of_type(plan, f"aws_s3_bucket_{kind}"))) == len(buckets), kind
    # What operators exchange lives a day, and no version of it longer.
    versioned = {a.split('"')[1] for a, _ in of_type(plan, "aws_s3_bucket_versioning")}
    assert versioned == {"uploads", "logs", "releases"}, "a withdrawn picture is gone at once"
    ((_, exchange),) = [
        x for x in of_type(plan, "aws_s3_bucket_lifecycle_configuration") if "exchange" in x[0]
    ]
    assert [rule["expiration"][0]["days"] for rule in exchange["rule"]] == [1]


def test_pictures_are_all_that_the_cdn_serves(plan: dict[str, Any]) -> None:
    config = {r["address"]: r for r in plan["configuration"]["root_module"]["resources"]}
    distributions = list(of_type(plan, "aws_cloudfront_distribution"))
    assert bool(distributions) is (plan["env"] != "dev")
    assert (chosen(plan).media_url is not None) is bool(distributions)
    for address, values in distributions:
        origins = config["aws_cloudfront_distribution.media"]["expressions"]["origin"]
        assert [o["domain_name"]["references"][1] for o in origins] == ["aws_s3_bucket.media"], address
        assert values["default_cache_behavior"][0]["allowed_methods"] == ["GET", "HEAD"]
        assert values["default_cache_behavior"][0]["viewer_protocol_policy"] == "https-only"
        assert not values["web_acl_id"]
        assert chosen(plan).media_url == f"https://{values['aliases'][0]}"
    for _, values in of_type(plan, "aws_cloudfront_cache_policy"):
        assert values["max_ttl"] == 3600, "the CDN forgets a withdrawn picture within an hour"
    for _, values in of_type(plan, "aws_cloudfront_origin_access_control"):
        assert values["signing_behavior"] == "always"
    for _, values in of_type(plan, "aws_cloudfront_response_headers_policy"):
        (security,) = values["security_headers_config"]
        (content,) = security["content_security_policy"]
        assert content["content_security_policy"] == cdn.HEADERS["Content-Security-Policy"]
        assert security["content_type_options"]
    (media,) = [
        v for a, v in of_type(plan, "aws_s3_bucket_server_side_encryption_configuration") if "media" in a
    ]
    assert media["rule"][0]["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "AES256"


def test_prod_keeps_its_data(plan: dict[str, Any]) -> None:
    protected = plan["env"] != "dev"
    for kind in ("aws_rds_cluster", "aws_dynamodb_table"):
        for address, values in of_type(plan, kind):
            assert (
                values.get("deletion_protection", values.get("deletion_protection_enabled")) is protected
            ), address
    passing = {"aws_s3_bucket.exchange", "aws_s3_bucket.media"}  # Pictures are copied again from the uploads.
    kept = [v for a, v in of_type(plan, "aws_s3_bucket") if a not in passing]
    assert all(v["force_destroy"] is not protected for v in kept)
    assert all(v["point_in_time_recovery"][0]["enabled"] for _, v in of_type(plan, "aws_dynamodb_table"))
    expected = 2 if plan["env"] == "prod" else 1
    assert len(list(of_type(plan, "aws_rds_cluster_instance"))) == expected


def test_what_grows_has_bounds(plan: dict[str, Any]) -> None:
    for _, values in of_type(plan, "aws_rds_cluster"):
        scaling = values["serverlessv2_scaling_configuration"][0]
        assert scaling["max_capacity"] <= 16
    assert all(v["retention_in_days"] for _, v in of_type(plan, "aws_cloudwatch_log_group"))
    assert len(list(of_type(plan, "aws_budgets_budget"))) == 1


# -- one truth with the application -------------------------------------------------------------------------------


MADE_BY_AWS = {
    "DATABASE_URL": "mysql+aiomysql://familycorp_app@db.example:3306/familycorp",
    "CACHE_URL": "rediss://user@cache.example:6379",
    "OIDC_ISSUER": "https://cognito-idp.ap-northeast-2.amazonaws.com/pool",
    "OIDC_CLIENT_ID": "client",
}
"""Settings whose values are known after the apply alone."""


def stored_settings(plan: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the parameters that hold the application's settings, by name."""
    return {
        r["index"].removeprefix("settings/"): r["values"].get("value")
        for r in infra.resources(plan)
        if r["type"] == "aws_ssm_parameter" and r["index"].startswith("settings/")
    }


def chosen(plan: Mapping[str, Any]) -> Settings:
    """Return the application's settings as the parameters give them; what only AWS knows is filled in."""
    stored = stored_settings(plan)
    del stored["MIGRATIONS_DATABASE_URL"]
    return Settings.model_validate({n.lower(): v or MADE_BY_AWS[n] for n, v in stored.items()})


def test_the_application_accepts_its_settings_and_finds_every_name(plan: dict[str, Any]) -> None:
    settings = chosen(plan)
    assert settings.env == plan["env"]
    made = outputs(plan)
    assert made["tables"] == {
        "posts": settings.posts_table,
        "sessions": settings.sessions_table,
        "events": settings.events_table,
    }
    buckets = {v["bucket"] for _, v in of_type(plan, "aws_s3_bucket")}
    assert settings.uploads_bucket in buckets
    assert made["signing_key_secret"] == settings.signing_key_secret
    assert made["factors_key_alias"] == settings.factors_key


def test_a_logout_leads_where_the_user_pool_lets_it_lead(plan: dict[str, Any]) -> None:
    (client,) = [v for _, v in of_type(plan, "aws_cognito_user_pool_client")]
    assert client["logout_urls"] == [chosen(plan).oidc_post_logout_uri] == [chosen(plan).site_url]


def test_a_login_asks_for_one_second_factor(plan: dict[str, Any]) -> None:
    """The application's own: it trusts no claim of the pool's tokens, which have none about a factor."""
    settings = chosen(plan)
    assert (settings.oidc_trusted_acr, settings.oidc_trusted_amr) == ((), ())
    (pool,) = [v for _, v in of_type(plan, "aws_cognito_user_pool")]
    # AWS: "can't turn off MFA and configure an MFA together".
    assert (pool["mfa_configuration"], pool["software_token_mfa_configuration"]) == ("OFF", [])


@pytest.mark.infra
def test_the_user_pool_asks_for_a_second_factor_too_where_configured(terraform: Terraform) -> None:
    plan = terraform.plan(*infra.options("dev", "sam", user_pool_mfa=True))
    (pool,) = [v for _, v in of_type(plan, "aws_cognito_user_pool")]
    assert (pool["mfa_configuration"], pool["software_token_mfa_configuration"]) == (
        "ON",
        [{"enabled": True}],
    )


@pytest.mark.infra
@pytest.mark.parametrize("uri", [None, "https://staff.familycorp.example/"])
def test_another_provider_gets_an_address_after_logout_where_one_is_given(
    terraform: Terraform, uri: str | None
) -> None:
    other = {"oidc_issuer": "https://login.familycorp.example", "oidc_client_id": "familycorp"}
    given = {} if uri is None else {"oidc_post_logout_uri": uri}
    assert chosen(terraform.plan(*infra.options("dev", "sam", **other, **given))).oidc_post_logout_uri == uri


HOSTS = [
    *(
        "www.familycorp.example",
        "a.co",
        "x.y.z.example",
        "xn--9d0bm53a.kr",
        "www.xn--3e0b707e",
        "a1-b.example",
    ),
    *("local.familycorp.example", "x.local-net.example", "internal.example", "x.locale", "x.tests"),
    *("localhost", "x.localhost", "db.local", "x.local-net", "x.internal", "x.intranet", "x.lan", "x.home"),
    *("x.corp", "x.test", "x.invalid", "x.localdomain", "127.0.0.1", "10.0.0.1", "127.1", "2130706433"),
    *(
        "0x7f.1",
        "0x7f.0.0.0x1",
        "[::1]",
        "169.254.169.254",
        "example",
        "x..example",
        ".example",
        "x.example.",
    ),
    *("-x.example", "x-.example", "X.example", "x_y.example", "x.e", "x.1e", "*.familycorp.example", ""),
    *(f"{'a' * 63}.example", f"{'a' * 64}.example", "x.example\n", "회사.example", "user@x.example"),
]
SHAPES = (
    "{}",
    "https://{}",
    "http://{}",
    "https://{}:8443",
    "https://{}/",
    "https://{}/p?q",
    "//{}",
    "https://{}:",
)
SHAPED = {
    "domain": ("^${local.public_domain}$", PUBLIC_DOMAIN),
    "origin": ("^${local.public_origin}$", PUBLIC_ORIGIN),
    "address": ("^${local.public_origin}(?:/[!-~]*)?$", PUBLIC_URL),
}


def test_terraform_refuses_the_hosts_that_the_application_refuses(terraform: Terraform) -> None:
    given = [shape.format(host) for shape in SHAPES for host in HOSTS]
    terms = ", ".join(
        f'[for o in {json.dumps(given, ensure_ascii=False)} : can(regex("{pattern}", o)) && '
        "!can(regex(local.private_networks, o))]"
        for pattern, _ in SHAPED.values()
    )
    found = json.loads(json.loads(terraform.evaluate(f"jsonencode([{terms}])", "dev")))
    wanted = [[rule.fullmatch(text) is not None for text in given] for _, rule in SHAPED.values()]
    differing = [
        (kind, text)
        for kind, ours, theirs in zip(SHAPED, found, wanted, strict=True)
        for text, one, other in zip(given, ours, theirs, strict=True)
        if one != other
    ]
    assert differing == []
    assert all(any(row) and not all(row) for row in wanted)


def test_notices_of_an_inquiry_go_to_the_recipients_of_its_category(terraform: Terraform) -> None:
    emails = {"careers": ["people@familycorp.example"], "none": ["people@familycorp.example", "b@c.kr"]}
    address = "aws_sns_topic_subscription.inquiries"
    chosen = infra.options("dev", "sam", inquiry_emails=emails)
    subscriptions = dict(of_type(terraform.plan(*chosen, f"-target={address}"), "aws_sns_topic_subscription"))
    filters = {s["endpoint"]: json.loads(s["filter_policy"]) for s in subscriptions.values()}
    # Message attributes that `notices._send` sets; a list is any of its values.
    assert filters == {
        "people@familycorp.example": {"kind": ["inquiry.received"], "category": ["careers", "none"]},
        "b@c.kr": {"kind": ["inquiry.received"], "category": [NO_CATEGORY]},
    }
    # SNS has one subscription of an address to a topic, so the second would take its filter.
    twice = infra.options("dev", "sam", inquiry_emails=emails, notice_emails=emails["careers"])
    ran = terraform.run("plan", "-input=false", *twice, f"-target={address}", check=False)
    assert "inquiry_emails must be e-mail addresses that notice_emails" in " ".join(ran.stderr.split())


@pytest.mark.infra
@pytest.mark.parametrize("host", ["api_domain", "api_url"])
def test_a_host_that_the_application_refuses_stops_the_plan_at_each_variable(
    terraform: Terraform, host: str
) -> None:
    """Before anything is made, and not at the first request of a function that doesn't start."""
    private = {
        "site_url": "https://www.familycorp.local",
        "cors_origins": ["https://www.familycorp.example", "https://127.0.0.1"],
        "api_domain": "api.internal" if host == "api_domain" else None,
        "api_url": "https://api.internal" if host == "api_url" else None,
        "webauthn_rp_id": "familycorp.lan",
        "oidc_issuer": "https://login.corp/realm",
        "oidc_client_id": "familycorp",
        "oidc_post_logout_uri": "https://10.0.0.1/",
    }
    (terraform.directory / "private.tfvars.json").write_text(json.dumps(private))
    chosen = [*infra.options("dev", "sam"), "-var-file=private.tfvars.json"]
    ran = terraform.run("plan", "-input=false", *chosen, check=False)
    said = " ".join(ran.stderr.split())
    assert ran.returncode == 1
    for name in private.keys() - {"oidc_client_id", "api_domain", "api_url"}:
        assert f"{name} must be" in said, name
    assert {
        "api_domain": "api_domain must be a public host name",
        "api_url": "api_url as a public https:// origin",
    }[host] in said


def test_tables_are_those_of_the_one_file_that_emulators_get(plan: dict[str, Any]) -> None:
    tables = {v["name"].rpartition("-")[2]: v for _, v in of_type(plan, "aws_dynamodb_table")}
    assert tables.keys() == facts.TABLES.keys()
    for name, asked in facts.TABLES.items():
        planned = tables[name]
        assert (planned["hash_key"], planned["range_key"]) == (asked["hash"], asked.get("range"))
        found = {
            index["name"]: (
                index["hash_key"],
                index["range_key"] or None,
                index["projection_type"],
                sorted(index["non_key_attributes"] or ()),
            )
            for index in planned["global_secondary_index"]
        }
        assert found == {
            index: (keys["hash"], keys.get("range"), keys["projection"], sorted(keys.get("attributes", ())))
            for index, keys in asked.get("indexes", {}).items()
        }
        used = {planned["hash_key"], planned["range_key"], *(k for i in found.values() for k in i[:2])} - {
            None
        }
        assert {a["name"] for a in planned["attribute"]} == used
        ttl = [(t["attribute_name"], t["enabled"]) for t in planned.get("ttl", ())]
        assert ttl == ([(asked["ttl"], True)] if "ttl" in asked else [])
        assert bool(planned.get("stream_enabled")) is ("stream" in asked)
        assert (planned.get("stream_view_type") or None) == asked.get("stream")
        assert planned["billing_mode"] == "PAY_PER_REQUEST"


def test_the_bucket_forgets_and_admits_what_emulators_buckets_do(plan: dict[str, Any]) -> None:
    rules = {
        r["id"]: r
        for a, v in of_type(plan, "aws_s3_bucket_lifecycle_configuration")
        if a.endswith(".uploads")
        for r in v["rule"]
    }
    assert rules.keys() == {r["ID"] for r in provision.LIFECYCLE}
    for asked in provision.LIFECYCLE:
        rule = rules[asked["ID"]]
        assert rule["filter"][0]["prefix"] == asked["Filter"]["Prefix"]
        noncurrent = rule["noncurrent_version_expiration"][0]["noncurrent_days"]
        assert noncurrent == asked["NoncurrentVersionExpiration"]["NoncurrentDays"]
        if "Expiration" in asked:
            assert rule["expiration"][0]["days"] == asked["Expiration"]["Days"]
    (cors,) = [v["cors_rule"][0] for _, v in of_type(plan, "aws_s3_bucket_cors_configuration")]
    (asked,) = provision.cors_rules(chosen(plan))
    assert sorted(cors["allowed_origins"]) == asked["AllowedOrigins"]
    assert sorted(cors["allowed_methods"]) == sorted(asked["AllowedMethods"])
    assert sorted(cors["allowed_headers"]) == sorted(asked["AllowedHeaders"])
    assert cors["expose_headers"] == asked["ExposeHeaders"]
    assert cors["max_age_seconds"] == asked["MaxAgeSeconds"]


def test_api_gateway_says_of_cors_what_the_application_says(plan: dict[str, Any]) -> None:
    apis = [v for _, v in of_type(plan, "aws_apigatewayv2_api")]
    if not apis:
        assert plan["deployer"] == "sam"
        return
    said = apis[0]["cors_configuration"][0]
    for name in ("allow_methods", "allow_headers", "expose_headers"):
        assert sorted(said[name]) == sorted(v if name == "allow_methods" else v.lower() for v in CORS[name])
    assert sorted(said["allow_origins"]) == sorted(chosen(plan).cors_origins)
    assert said["allow_credentials"] is True
    assert said["max_age"] == CORS["max_age"]


def test_sams_template_asks_for_parameters_that_are_there(plan: dict[str, Any]) -> None:
    kept = {r["index"]: r["values"] for r in infra.resources(plan) if r["type"] == "aws_ssm_parameter"}
    looked_up = templates.parameters(templates.IMAGE) | templates.parameters(templates.ZIP)
    assert "settings" in looked_up
    assert looked_up <= kept.keys()
    for name in (infra.ROOT / "ops" / "sam" / "parameters").glob(f"{plan['env']}.yaml"):
        for line in re.findall(r"^(\w+): /familycorp/\w+/(.+)$", name.read_text(), re.MULTILINE):
            expected = "String" if line[0] in {"ApiDomain", "UploadsBucket"} else "StringList"
            assert kept[line[1]]["type"] == expected


def test_sams_template_makes_what_terraform_would(plan: dict[str, Any]) -> None:
    if plan["deployer"] != "terraform":
        return
    template = templates.load(templates.IMAGE)
    resources = template["Resources"]
    functions = templates.functions(template)
    made = {v["function_name"].split("-", 2)[2]: v for _, v in of_type(plan, "aws_lambda_function")}
    assert functions.keys() == made.keys()
    for name, ours in functions.items():
        theirs = made[name]
        assert (ours["Timeout"], ours["MemorySize"]) == (theirs["timeout"], theirs["memory_size"]), name
        assert ours["Description"] == theirs["description"]
        assert ("VpcConfig" in ours) is bool(theirs["vpc_config"]), name
        command = theirs["image_config"][0]["command"] if theirs["image_config"] else None
        assert ours.get("ImageConfig", {}).get("Command") == command
        # A new account has no concurrency to spare: AWS refuses any reservation, and the stack would roll back.
        assert ("ReservedConcurrentExecutions" in ours, theirs["reserved_concurrent_executions"]) == (
            False,
            -1,
        )
        logs = (
            {"SystemLogLevel": "INFO"}
            | template["Globals"]["Function"]["LoggingConfig"]
            | ours["LoggingConfig"]
        )
        (their_logs,) = theirs["logging_config"]
        for setting in ("LogFormat", "ApplicationLogLevel", "SystemLogLevel"):
            assert logs[setting] == their_logs[re.sub(r"(?<!^)(?=[A-Z])", "_", setting).lower()], name
        assert theirs["architectures"] == [template["Parameters"]["Architecture"]["Default"]]
        assert template["Globals"]["Function"]["Tracing"] == theirs["tracing_config"][0]["mode"]
    _same_api(plan, resources)
    _same_events(plan, functions)
    _same_alarms(plan, resources)


def _same_api(plan: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    ours = resources["Api"]["Properties"]["CorsConfiguration"]
    ((_, api),) = of_type(plan, "aws_apigatewayv2_api")
    (theirs,) = api["cors_configuration"]
    for name in ("AllowMethods", "AllowHeaders", "ExposeHeaders"):
        key = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        assert sorted(ours[name]) == sorted(theirs[key]), name
    assert (ours["MaxAge"], ours["AllowCredentials"]) == (theirs["max_age"], theirs["allow_credentials"])
    assert ours["AllowOrigins"] == {"Ref": "CorsOrigins"}

    def of(kind: str) -> list[dict[str, Any]]:
        return [r["Properties"] for r in resources.values() if r["Type"] == f"AWS::ApiGatewayV2::{kind}"]

    assert {r["RouteKey"] for r in of("Route")} == {
        v["route_key"] for _, v in of_type(plan, "aws_apigatewayv2_route")
    }
    for _, integration in of_type(plan, "aws_apigatewayv2_integration"):
        for mine in of("Integration"):
            assert mine["IntegrationType"] == integration["integration_type"]
            assert mine["PayloadFormatVersion"] == integration["payload_format_version"]
            assert mine["TimeoutInMillis"] == integration["timeout_milliseconds"]
    ((_, stage),) = of_type(plan, "aws_apigatewayv2_stage")
    log = resources["Stage"]["Properties"]["AccessLogSettings"]["Format"]
    assert json.loads(log) == json.loads(stage["access_log_settings"][0]["format"])
    kept = {
        r["index"]: r["values"].get("value")
        for r in infra.resources(plan)
        if r["type"] == "aws_ssm_parameter"
    }
    (settings,) = stage["default_route_settings"]
    assert float(kept["api/rate"]) == settings["throttling_rate_limit"]
    assert int(kept["api/burst"]) == settings["throttling_burst_limit"]
    assert sorted(kept["api/cors-origins"].split(",")) == sorted(theirs["allow_origins"])
    ((_, rotation),) = of_type(plan, "aws_secretsmanager_secret_rotation")
    assert int(kept["secrets/rotation-days"]) == rotation["rotation_rules"][0]["automatically_after_days"]
    # The first key was written before: a rotation at once would replace it.
    (schedule,) = (
        r["Properties"] for r in resources.values() if r["Type"] == "AWS::SecretsManager::RotationSchedule"
    )
    assert schedule["RotateImmediatelyOnUpdate"] is rotation["rotate_immediately"] is False


def _same_events(plan: Mapping[str, Any], functions: Mapping[str, Any]) -> None:
    ((_, stream),) = of_type(plan, "aws_lambda_event_source_mapping")
    ours = functions["events"]["Events"]["Stream"]["Properties"]
    for name, key in {
        "StartingPosition": "starting_position",
        "BatchSize": "batch_size",
        "MaximumBatchingWindowInSeconds": "maximum_batching_window_in_seconds",
        "MaximumRetryAttempts": "maximum_retry_attempts",
        "BisectBatchOnFunctionError": "bisect_batch_on_function_error",
        "FunctionResponseTypes": "function_response_types",
    }.items():
        assert ours[name] == stream[key], name
    assert ours["DestinationConfig"]["OnFailure"]["Type"] == "SQS"
    asynchronous = dict(of_type(plan, "aws_lambda_function_event_invoke_config"))
    assert {n for n, f in functions.items() if "EventInvokeConfig" in f} == {
        a.split('"')[1] for a in asynchronous
    }
    for address, theirs in asynchronous.items():
        mine = functions[address.split('"')[1]]["EventInvokeConfig"]
        assert mine["MaximumEventAgeInSeconds"] == theirs["maximum_event_age_in_seconds"]
        assert mine["MaximumRetryAttempts"] == theirs["maximum_retry_attempts"]
        assert mine["DestinationConfig"]["OnFailure"]["Type"] == "SQS"
    rules = {
        (e["Properties"].get("RuleName") or e["Properties"]["Name"])["Fn::Sub"].rpartition("-")[2]: e[
            "Properties"
        ]
        for f in functions.values()
        for e in f.get("Events", {}).values()
        if e["Type"] != "DynamoDB"
    }
    theirs = {
        v["name"].rpartition("-")[2]: v for a, v in of_type(plan, "aws_cloudwatch_event_rule") if ".this" in a
    }
    assert rules.keys() == theirs.keys()
    for name, rule in rules.items():
        assert rule.get("Schedule") == theirs[name].get("schedule_expression")
        if "Pattern" in rule:
            said = json.dumps(rule["Pattern"]).replace("${Environment}", plan["env"])
            said = re.sub(r'\{"Fn::Sub": ("[^"]+")\}', r"\1", said)
            said = said.replace('{"Ref": "UploadsBucket"}', json.dumps(chosen(plan).uploads_bucket))
            assert json.loads(said) == json.loads(theirs[name]["event_pattern"])
    targets = {a: v for a, v in of_type(plan, "aws_cloudwatch_event_target") if v.get("input_transformer")}
    ((transformer,),) = [v["input_transformer"] for v in targets.values()]
    assert rules["uploads"]["InputTransformer"] == {
        "InputPathsMap": transformer["input_paths"],
        "InputTemplate": transformer["input_template"],
    }


def _same_alarms(plan: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    made = {v["alarm_name"]: v for _, v in of_type(plan, "aws_cloudwatch_metric_alarm")}
    for ours in (resources[f"Api{name}Alarm"]["Properties"] for name in ("Errors", "Latency")):
        theirs = made[ours["AlarmName"]["Fn::Sub"].replace("${Environment}", plan["env"])]
        assert (ours["Namespace"], ours["MetricName"]) == (theirs["namespace"], theirs["metric_name"])
        assert (ours["Threshold"], ours["Period"]) == (theirs["threshold"], theirs["period"])
        assert ours["EvaluationPeriods"] == theirs["evaluation_periods"]
        assert ours["TreatMissingData"] == theirs["treat_missing_data"]
        assert ours["ComparisonOperator"] == theirs["comparison_operator"]
        statistic = ours.get("Statistic"), ours.get("ExtendedStatistic")
        assert statistic == (theirs.get("statistic"), theirs.get("extended_statistic"))
        assert ours["AlarmDescription"] == theirs["alarm_description"]


def test_handlers_exist() -> None:
    for handler in filter(None, (function["handler"] for function in facts.FUNCTIONS.values())):
        module, _, function = handler.rpartition(".")
        file = infra.ROOT / "be-app" / (module.replace(".", "/") + ".py")
        assert f"def {function}(" in file.read_text(), handler


# -- policies -----------------------------------------------------------------------------------------------------


def policies(plan: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {name: policy["Statement"] for name, policy in outputs(plan)["function_policies"].items()}


def allowed(statements: list[dict[str, Any]], service: str) -> set[str]:
    return {
        action
        for s in statements
        if s["Effect"] == "Allow"
        for action in as_list(s["Action"])
        if action.startswith(f"{service}:")
    }


def test_no_policy_has_wildcards_beyond_what_aws_demands(plan: dict[str, Any]) -> None:
    everywhere = {"NoNetworkItself", "Network", "StreamList"}
    for name, statements in policies(plan).items():
        for s in statements:
            assert not any("*" in a for a in as_list(s["Action"])), (name, s)
            if "*" in as_list(s["Resource"]):
                assert s["Sid"] in everywhere, (name, s)
            for resource in as_list(s["Resource"]):
                if resource.endswith("key/*"):
                    assert "ForAnyValue:StringEquals" in s["Condition"], (name, s)
    reasons = outputs(plan)["statement_reasons"]
    sids = {k.replace("_", " ").title().replace(" ", "") for k in reasons}
    assert {s["Sid"] for ss in policies(plan).values() for s in ss} - {"OwnLogs"} <= sids


def test_every_reason_is_used(plan: dict[str, Any]) -> None:
    if plan["env"] == "dev":
        return
    used = {s["Sid"] for ss in policies(plan).values() for s in ss}
    sids = {k.replace("_", " ").title().replace(" ", "") for k in outputs(plan)["statement_reasons"]}
    assert sids - used == {"OidcClientRead"}  # There only where another provider issued a secret.


def test_only_auth_gets_at_keys_and_secrets(plan: dict[str, Any]) -> None:
    for name, statements in policies(plan).items():
        secrets = allowed(statements, "secretsmanager")
        assert bool(secrets) is (name in {"auth", "rotation"}), name
        factors = [s for s in statements if "alias/" in json.dumps(s) and "-factors" in json.dumps(s)]
        assert bool(factors) is (name == "auth"), name
        if name not in {"auth", "rotation", "migrations", "events", "operator-read"}:
            denied = [s for s in statements if s["Sid"] == "NoPublicKeys"]
            assert denied, f"{name} could publish a public key and sign tokens with its private half"
            assert denied[0]["Effect"] == "Deny"


def test_gateway_endpoints_let_pass_what_functions_may_do(plan: dict[str, Any]) -> None:
    endpoints = {
        a: json.loads(v["policy"])
        for a, v in of_type(plan, "aws_vpc_endpoint")
        if v["vpc_endpoint_type"] == "Gateway"
    }
    assert len(endpoints) == 2
    passes = {a for p in endpoints.values() for s in p["Statement"] for a in s["Action"]}
    for name in ("backend", "drain", "operator-read", "operator-write", "uploads"):
        wanted = allowed(policies(plan)[name], "dynamodb") | allowed(policies(plan)[name], "s3")
        assert wanted <= passes, name
    for policy in endpoints.values():
        for statement in policy["Statement"]:
            assert "*" not in statement["Resource"]
            assert "aws:PrincipalAccount" in json.dumps(statement["Condition"])


SUFFIX = "kr-1"


@pytest.fixture(scope="module")
def otherwise(terraform: Terraform) -> dict[str, Any]:
    """A plan of Dev with other names of buckets, and without a zone of ours."""
    return terraform.plan(*infra.options("dev", "terraform", bucket_suffix=SUFFIX))


def test_a_suffix_ends_every_buckets_name_and_everything_follows_it(otherwise: dict[str, Any]) -> None:
    kinds = ("uploads", "media", "logs", "releases", "exchange")
    assert {v["bucket"] for _, v in of_type(otherwise, "aws_s3_bucket")} == {
        f"familycorp-dev-{kind}-{SUFFIX}" for kind in kinds
    }
    # Wherever a bucket is named, in a policy or a pattern, it has the suffix.
    text = json.dumps([r["values"] for r in infra.resources(otherwise)])
    named = set(re.findall(r"s3:::(familycorp-dev-(?:uploads|media|logs|releases|exchange)[\w-]*)", text))
    assert named
    assert {name for name in named if not name.endswith(f"-{SUFFIX}")} == set()
    parameters = {
        r["index"]: r["values"] for r in infra.resources(otherwise) if r["type"] == "aws_ssm_parameter"
    }
    for name, kind in {
        "uploads/bucket": "uploads",
        "releases/bucket": "releases",
        "settings/UPLOADS_BUCKET_NAME": "uploads",
        "settings/MEDIA_BUCKET_NAME": "media",
        "exchange/bucket": "exchange",
        "settings/EXCHANGE_BUCKET_NAME": "exchange",
    }.items():
        assert parameters[name]["value"] == f"familycorp-dev-{kind}-{SUFFIX}"
    rules = [v["event_pattern"] or "" for _, v in of_type(otherwise, "aws_cloudwatch_event_rule")]
    assert sum(f'"familycorp-dev-uploads-{SUFFIX}"' in rule for rule in rules) == 2


def test_records_to_enter_by_hand_are_an_output_where_no_zone_is_ours(otherwise: dict[str, Any]) -> None:
    unknown = otherwise["output_changes"]["dns_records"]["after_unknown"]
    known = otherwise["output_changes"]["dns_records"]["after"]
    assert len(unknown) == 2
    assert (known[1]["name"], known[1]["type"]) == ("api-dev.familycorp.example", "CNAME")
    assert unknown[1] == {"value": True}


def test_the_application_awaits_a_scan_exactly_where_there_is_a_scanner(plan: dict[str, Any]) -> None:
    scanners = [v for _, v in of_type(plan, "aws_guardduty_malware_protection_plan")]
    assert (chosen(plan).malware_scanner == "guardduty") is bool(scanners)
    assert bool(scanners) is (plan["env"] == "prod")
    for scanner in scanners:
        (bucket,) = scanner["protected_resource"][0]["s3_bucket"]
        assert bucket["object_prefixes"] == ["quarantine/"]
        ((_, policy),) = [
            (a, json.loads(v["policy"]))
            for a, v in of_type(plan, "aws_iam_role_policy")
            if a == "aws_iam_role_policy.scanner[0]"
        ]
        reads = [s for s in policy["Statement"] if "s3:GetObject" in s["Action"]]
        assert [r.rpartition(":")[2] for s in reads for r in s["Resource"]] == [
            f"familycorp-{plan['env']}-uploads/quarantine/*"
        ]
    if plan["deployer"] == "terraform":
        ((_, rule),) = [(a, v) for a, v in of_type(plan, "aws_cloudwatch_event_rule") if '"scans"' in a]
        assert chosen(plan).uploads_bucket in rule["event_pattern"]


def test_every_role_is_below_the_boundary(plan: dict[str, Any]) -> None:
    bounded = {
        r["address"]: "permissions_boundary" in r["expressions"]
        for r in plan["configuration"]["root_module"]["resources"]
        if r["type"] == "aws_iam_role"
    }
    assert bounded
    assert all(bounded.values()), bounded


# -- the promises can fail ----------------------------------------------------------------------------------------

BROKEN = [
    (
        "vpc.tf",
        "map_public_ip_on_launch = false",
        "map_public_ip_on_launch = true",
        test_nothing_is_reachable_from_or_leads_to_the_internet,
    ),
    (
        "rds.tf",
        "publicly_accessible             = false",
        "publicly_accessible = true",
        test_nothing_is_reachable_from_or_leads_to_the_internet,
    ),
    (
        "rds.tf",
        "manage_master_user_password   = true",
        'master_password = "hunter2hunter2"',
        test_no_secret_is_in_a_plan,
    ),
    (
        "rds.tf",
        "kms_key_id                          = aws_kms_key.data.arn",
        "",
        test_everything_is_encrypted,
    ),
    (
        "rds.tf",
        "deletion_protection                 = var.deletion_protection",
        "deletion_protection = false",
        test_prod_keeps_its_data,
    ),
    (
        "tables.yaml",
        "range: listedAt",
        "range: postId",
        test_tables_are_those_of_the_one_file_that_emulators_get,
    ),
    (
        "kms.tf",
        'name          = "alias/${local.name}-factors"',
        'name = "alias/${local.name}-factor"',
        test_the_application_accepts_its_settings_and_finds_every_name,
    ),
    (
        "guardduty.tf",
        'object_prefixes = ["quarantine/"]',
        'object_prefixes = ["files/"]',
        test_the_application_awaits_a_scan_exactly_where_there_is_a_scanner,
    ),
    (
        "main.tf",
        "MALWARE_SCANNER        = var.malware_scanner",
        "",
        test_the_application_awaits_a_scan_exactly_where_there_is_a_scanner,
    ),
    (
        "guardduty.tf",
        "permissions_boundary = local.boundary_arn",
        "",
        test_every_role_is_below_the_boundary,
    ),
    (
        "rds.tf",
        "max_capacity             = var.database_max_acu",
        "max_capacity = 64",
        test_what_grows_has_bounds,
    ),
    (
        "s3.tf",
        'bucket if !contains(["exchange", "media"], name) }',
        "bucket }",
        test_everything_is_encrypted,
    ),
    (
        "security_groups.tf",
        "referenced_security_group_id = aws_security_group.this[each.value.from].id",
        'cidr_ipv4 = "0.0.0.0/0"',
        test_nothing_is_reachable_from_or_leads_to_the_internet,
    ),
    (
        "vpc.tf",
        'resource "aws_route_table" "private" {',
        'resource "aws_internet_gateway" "out" {}\n\nresource "aws_route_table" "private" {',
        test_nothing_is_reachable_from_or_leads_to_the_internet,
    ),
    (
        "iam.tf",
        '"sessions_check", "no_public_keys",',
        '"sessions_check",',
        test_only_auth_gets_at_keys_and_secrets,
    ),
    (
        "endpoints.tf",
        'Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]',
        'Resource  = ["*"]',
        test_gateway_endpoints_let_pass_what_functions_may_do,
    ),
    (
        "apigateway.tf",
        "max_age           = local.cors.max_age",
        "max_age           = 60",
        test_api_gateway_says_of_cors_what_the_application_says,
    ),
]


def test_what_is_to_be_broken_is_still_written_as_it_was() -> None:
    assert [
        (name, whole) for name, whole, *_ in BROKEN if whole not in (infra.SOURCE / name).read_text()
    ] == []


@pytest.mark.infra
@pytest.mark.timeout(900)
def test_each_promise_fails_when_it_is_broken(ministack: MiniStack, tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, ministack.url)
    unnoticed = []
    for name, whole, broken, promise in BROKEN:
        file = terraform.directory / name
        before = file.read_text()
        file.write_text(before.replace(whole, broken, 1))
        try:
            plan = terraform.plan(*infra.options("prod", "terraform")) | {
                "env": "prod",
                "deployer": "terraform",
            }
            promise(plan)
            unnoticed.append((name, broken))
        except (AssertionError, KeyError):
            pass
        finally:
            file.write_text(before)
    assert unnoticed == []


@pytest.mark.infra
@pytest.mark.timeout(1200)
def test_invariants_on_a_mocked_provider(terraform: Terraform) -> None:
    assert "Success!" in terraform.run("test").stdout


@pytest.mark.infra
@pytest.mark.timeout(1200)
def test_checkov_finds_nothing_new() -> None:
    checkov = infra.ROOT / "ops" / "checkov" / ".venv" / "bin" / "checkov"
    if not checkov.is_file():
        missing("terraform", NotInstalledError("checkov isn't installed: `make infra-test` installs it."))
    ran = subprocess.run(
        [
            str(checkov), "-d", str(infra.SOURCE), "--config-file", str(infra.SOURCE / ".checkov.yaml"),
            "--skip-download", "--var-file", str(infra.SOURCE / "envs" / "prod.tfvars"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert re.search(r"Passed checks: [1-9]\d\d", ran.stdout)


def test_every_checkov_skip_has_its_reason() -> None:
    lines = (infra.SOURCE / ".checkov.yaml").read_text().splitlines()
    skips = [line for line in lines if line.strip().startswith("- CKV")]
    assert skips
    assert [s for s in skips if not re.search(r"- CKV\w+ # .{5,}\.$", s)] == []
