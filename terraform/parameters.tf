# What SAM's template and the pipeline read. A name is typed once, here or in a resource, and followed from there.
locals {
  parameters = merge(
    { for name, value in local.settings : "settings/${name}" => value },
    # All of them at once: a template can't reference an absent parameter, and may reference sixty at most.
    { settings = jsonencode(local.settings) },
    { "settings/MIGRATIONS_DATABASE_URL" = local.settings_of.migrations.DATABASE_URL },
    { for name, _ in local.functions : "roles/${name}" => aws_iam_role.function[name].arn },
    {
      "network/subnets"                   = join(",", aws_subnet.private[*].id)
      "network/function-security-group"   = aws_security_group.this["function"].id
      "network/migrations-security-group" = aws_security_group.this["migrations"].id
      "uploads/bucket"                    = local.bucket_names.uploads
      "exchange/bucket"                   = local.bucket_names.exchange
      "releases/bucket"                   = local.bucket_names.releases
      "registry/backend"                  = aws_ecr_repository.backend.repository_url
      "events/stream"                     = aws_dynamodb_table.this["events"].stream_arn
      "events/notices-topic"              = aws_sns_topic.notices.arn
      "events/alarms-topic"               = aws_sns_topic.alarms.arn
      "events/dead-letters"               = aws_sqs_queue.dead_letters.arn
      "secrets/signing-key"               = aws_secretsmanager_secret.this["signing_key"].arn
      "keys/data"                         = aws_kms_key.data.arn
      "secrets/rotation-days"             = tostring(var.signing_key_rotation_days)
      "roles/codedeploy"                  = aws_iam_role.codedeploy.arn
      "api/domain"                        = var.api_domain == null ? "none" : aws_apigatewayv2_domain_name.api[0].id
      "api/cors-origins"                  = join(",", local.cors_origins)
      "api/rate"                          = tostring(var.api_rate)
      "api/burst"                         = tostring(var.api_burst)
      "deployer"                          = var.app_deployer
    },
  )
}

resource "aws_ssm_parameter" "this" {
  for_each = toset(keys(local.parameters)) # The keys are known in advance, unlike the values.

  name        = "/familycorp/${var.env}/${each.key}"
  description = "Read by the application's template"
  # Names and addresses; secrets are in Secrets Manager. CloudFormation takes lists from lists alone.
  type  = contains(["network/subnets", "api/cors-origins"], each.key) ? "StringList" : "String"
  value = local.parameters[each.key]

  tags = { Name = "${local.name}-${replace(each.key, "/", "-")}" }
}
