# Every environment with either deployer, against a mocked provider: no credentials, no network.
# Tests that need all resources at once (encryption, ingress, tags, …) are in ops/tests/terraform/test_terraform_plan.py.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012", arn = "arn:aws:iam::123456789012:user/test", user_id = "test" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_availability_zones" {
    defaults = { names = ["ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c"] }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:ap-northeast-2:123456789012:key/11111111-1111-1111-1111-111111111111" }
  }

  mock_resource "aws_ecr_repository" {
    override_during = plan
    defaults        = { repository_url = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/mocked" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mocked" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:ap-northeast-2:123456789012:mocked" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:ap-northeast-2:123456789012:mocked" }
  }

  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:mocked-AbCdEf" }
  }

  mock_resource "aws_db_proxy" {
    defaults = { arn = "arn:aws:rds:ap-northeast-2:123456789012:db-proxy:prx-0123456789", endpoint = "proxy.example" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:ap-northeast-2:123456789012:log-group:mocked" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:ap-northeast-2:123456789012:function:mocked", version = "1" }
  }

  mock_resource "aws_lambda_alias" {
    defaults = {
      arn        = "arn:aws:lambda:ap-northeast-2:123456789012:function:mocked:live"
      invoke_arn = "arn:aws:apigateway:ap-northeast-2:lambda:path/2015-03-31/functions/mocked/invocations"
    }
  }

  mock_resource "aws_apigatewayv2_api" {
    defaults = { execution_arn = "arn:aws:execute-api:ap-northeast-2:123456789012:mocked" }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:ap-northeast-2:123456789012:rule/mocked" }
  }

  mock_resource "aws_acm_certificate" {
    defaults = { arn = "arn:aws:acm:ap-northeast-2:123456789012:certificate/11111111-1111-1111-1111-111111111111" }
  }

  mock_resource "aws_acm_certificate_validation" {
    defaults = { certificate_arn = "arn:aws:acm:ap-northeast-2:123456789012:certificate/11111111-1111-1111-1111-111111111111" }
  }

  mock_resource "aws_dynamodb_table" {
    defaults = { stream_arn = "arn:aws:dynamodb:ap-northeast-2:123456789012:table/mocked/stream/2026" }
  }

  mock_resource "aws_cognito_user_pool" {
    defaults = { arn = "arn:aws:cognito-idp:ap-northeast-2:123456789012:userpool/ap-northeast-2_mocked", id = "ap-northeast-2_mocked" }
  }

  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:ap-northeast-2:123456789012:regional/webacl/mocked/1" }
  }
}

variables {
  # What dev.tfvars says; other runs name what differs.
  env                 = "dev"
  site_url            = "https://dev.familycorp.example"
  cors_origins        = ["https://dev.familycorp.example"]
  api_domain          = "api-dev.familycorp.example"
  webauthn_rp_id      = "familycorp.example"
  github_repository   = "familycorp/backend"
  alarm_emails        = ["ops@familycorp.example"]
  monthly_budget_usd  = 60
  deletion_protection = false
  database_min_acu    = 0
  database_max_acu    = 2
}

run "dev_sam" {
  command = plan

  assert {
    condition     = length(aws_lambda_function.this) == 0 && length(aws_apigatewayv2_api.main) == 0
    error_message = "With SAM, Terraform must make neither functions nor API."
  }
  assert {
    condition     = length(aws_iam_role.function) == length(local.functions) && length(aws_cloudwatch_log_group.function) == length(local.functions)
    error_message = "Every function has a role and a log group of its own."
  }
  assert {
    condition     = length(aws_db_proxy.main) == 0 && one(aws_rds_cluster.main.serverlessv2_scaling_configuration).seconds_until_auto_pause == 300
    error_message = "Dev's database pauses, so nothing may keep it awake."
  }
  assert {
    condition     = one(aws_rds_cluster.main.serverlessv2_scaling_configuration).max_capacity >= 1
    error_message = "db.serverless needs scaling bounds: AWS refuses the instance without."
  }
  assert {
    condition     = alltrue([for reason in values(output.statement_reasons) : length(reason) >= 20 && endswith(reason, ".")])
    error_message = "Each IAM statement says in a sentence why it is there."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.function : role.permissions_boundary != null])
    error_message = "Every role has the permission boundary."
  }
  assert {
    condition     = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.this : length(alarm.alarm_actions) == (startswith(name, "most-") ? 0 : 1)])
    error_message = "Every alarm goes to the topic, but for the parts of site-down, which goes itself."
  }
  assert {
    condition     = aws_cognito_user_pool.staff[0].mfa_configuration == "OFF" && aws_cognito_user_pool_client.backend[0].generate_secret == false
    error_message = "The application asks for the second factor, so the user pool doesn't ask for another; its client has no secret that state would hold."
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_vpc_endpoint.gateway) == 2
    error_message = "Interface endpoints bill by the hour: none unless asked for."
  }
}

run "dev_terraform" {
  command = plan

  variables {
    app_deployer           = "terraform"
    image_digest           = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    functions_image_digest = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
  }

  assert {
    condition     = length(aws_lambda_function.this) == length(local.functions) && length(aws_lambda_alias.live) == length(local.functions)
    error_message = "Terraform makes every function and its alias."
  }
  assert {
    condition     = alltrue([for name, f in aws_lambda_function.this : endswith(f.image_uri, "@${contains(["backend", "auth"], name) ? var.image_digest : var.functions_image_digest}")])
    error_message = "Images are deployed by digest, and the Web Adapter's by the functions that serve HTTP alone."
  }
  assert {
    condition     = length(aws_lambda_function.this["auth"].vpc_config) == 0 && length(aws_lambda_function.this["backend"].vpc_config) == 1
    error_message = "Auth must reach the OpenID provider, backend the database."
  }
  assert {
    condition     = toset(keys(aws_apigatewayv2_route.this)) == toset(["$default", "ANY /v1/auth/{proxy+}"])
    error_message = "Logging in goes to auth, everything else, the root too, to backend."
  }
}

run "stage_sam" {
  command = plan

  variables {
    env                 = "stage"
    deletion_protection = true
    database_min_acu    = 0.5
    database_proxy      = true
    cache_mode          = "replication_group"
  }

  assert {
    condition     = aws_db_proxy.main[0].require_tls && alltrue([for a in aws_db_proxy.main[0].auth : a.iam_auth == "REQUIRED"])
    error_message = "The proxy takes TLS and IAM tokens alone."
  }
  assert {
    condition     = aws_elasticache_replication_group.main[0].transit_encryption_enabled && tobool(aws_elasticache_replication_group.main[0].at_rest_encryption_enabled)
    error_message = "The cache is encrypted in transit and at rest."
  }
}

run "stage_terraform" {
  command = plan

  variables {
    env                    = "stage"
    database_min_acu       = 0.5
    database_proxy         = true
    cache_mode             = "replication_group"
    app_deployer           = "terraform"
    image_digest           = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    functions_image_digest = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
  }

  assert {
    condition     = length(aws_lambda_function.this) == length(local.functions)
    error_message = "Terraform makes every function."
  }
}

run "prod_sam" {
  command = plan

  variables {
    env                  = "prod"
    deletion_protection  = true
    database_min_acu     = 0.5
    database_max_acu     = 16
    database_instances   = 2
    database_backup_days = 35
    database_proxy       = true
    cache_mode           = "replication_group"
    flow_logs            = true
    waf                  = true
  }

  assert {
    condition = alltrue([
      aws_rds_cluster.main.deletion_protection, !aws_rds_cluster.main.skip_final_snapshot,
      alltrue([for table in aws_dynamodb_table.this : table.deletion_protection_enabled]), !aws_s3_bucket.uploads.force_destroy,
      !aws_ecr_repository.backend.force_delete, aws_cognito_user_pool.staff[0].deletion_protection == "ACTIVE",
    ])
    error_message = "Nothing that holds data can be deleted in Prod."
  }
  assert {
    condition     = length(aws_rds_cluster_instance.main) == 2
    error_message = "Prod has a second instance in the other zone."
  }
}

run "prod_terraform" {
  command = plan

  variables {
    env                    = "prod"
    deletion_protection    = true
    database_min_acu       = 0.5
    database_instances     = 2
    database_backup_days   = 35
    database_proxy         = true
    cache_mode             = "replication_group"
    app_deployer           = "terraform"
    image_digest           = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    functions_image_digest = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
  }

  assert {
    condition     = length(aws_lambda_function.this) == length(local.functions)
    error_message = "Terraform makes every function."
  }
}

run "everything_optional" {
  command = plan

  variables {
    cache_mode             = "serverless"
    interface_endpoints    = ["sqs", "sns", "secretsmanager", "sts", "logs", "ssm", "kms"]
    oidc_issuer            = "https://login.example/realms/staff"
    oidc_client_id         = "backend"
    oidc_client_has_secret = true
    route53_zone_id        = null
    malware_scanner        = "guardduty"
  }

  assert {
    condition     = length(aws_guardduty_malware_protection_plan.uploads) == 1 && output.settings["MALWARE_SCANNER"] == "guardduty"
    error_message = "The application waits for the scanner that is there."
  }

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 7
    error_message = "Each interface endpoint can be switched on."
  }
  assert {
    condition     = length(aws_cognito_user_pool.staff) == 0 && length(aws_secretsmanager_secret.this) == 2
    error_message = "With another issuer there is no user pool, and its client's secret has a container."
  }
}

# -- what is refused ----------------------------------------------------------------------------------------------

run "refuses_an_environment_that_does_not_exist" {
  command = plan
  variables { env = "production" }
  expect_failures = [var.env]
}

run "refuses_prod_without_protection" {
  command = plan
  variables {
    env                  = "prod"
    database_instances   = 2
    database_backup_days = 35
  }
  expect_failures = [var.deletion_protection]
}

run "refuses_any_origin" {
  command = plan
  variables { cors_origins = ["*"] }
  expect_failures = [var.cors_origins]
}

run "refuses_a_proxy_before_a_database_that_pauses" {
  command = plan
  variables { database_proxy = true }
  expect_failures = [aws_rds_cluster.main]
}

run "refuses_functions_without_an_image" {
  command = plan
  variables { app_deployer = "terraform" }
  expect_failures = [aws_lambda_function.this]
}

run "refuses_a_tag_instead_of_a_digest" {
  command = plan
  variables { image_digest = "latest" }
  expect_failures = [var.image_digest]
}

run "refuses_few_alarms_in_prod" {
  command = plan
  variables {
    env                  = "prod"
    deletion_protection  = true
    database_instances   = 2
    database_backup_days = 35
    alarms               = "few"
  }
  expect_failures = [var.alarms]
}

run "refuses_alarms_that_nobody_hears" {
  command = plan
  variables { alarm_emails = [] }
  expect_failures = [var.alarm_emails]
}
