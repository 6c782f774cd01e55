output "parameters" {
  description = "Name of each parameter that SAM's template and the pipeline read."
  value       = { for key, parameter in aws_ssm_parameter.this : key => parameter.name }
}

output "settings" {
  description = "The application's settings, without their prefix FAMILYCORP_."
  value       = local.settings
}

output "tables" {
  description = "Name of each DynamoDB table."
  value       = { for name, table in aws_dynamodb_table.this : name => table.name }
}

output "uploads_bucket" {
  description = "Bucket that browsers upload to."
  value       = aws_s3_bucket.uploads.id
}

output "media_bucket" {
  description = "Bucket of public posts' pictures."
  value       = aws_s3_bucket.media.id
}

output "signing_key_secret" {
  description = "Secret that holds the private key of access tokens."
  value       = aws_secretsmanager_secret.this["signing_key"].name
}

output "factors_key_alias" {
  description = "Alias of the key that encrypts TOTP secrets."
  value       = aws_kms_alias.factors.name
}

output "registry_url" {
  description = "Where the pipeline pushes images."
  value       = aws_ecr_repository.backend.repository_url
}

output "function_role_arns" {
  description = "Role of each function."
  value       = { for name, role in aws_iam_role.function : name => role.arn }
}

output "function_policies" {
  description = "What each function's role allows, as it is known before the database exists."
  value       = local.policies
}

output "statement_reasons" {
  description = "Why each statement of the functions' policies is there."
  value       = { for key, statement in local.statements : key => statement.reason }
}

output "database_cluster" {
  description = "Cluster and master secret, for the operator who creates the database's users."
  value = {
    arn        = aws_rds_cluster.main.arn
    secret_arn = try(aws_rds_cluster.main.master_user_secret[0].secret_arn, null)
  }
}

output "alarms_topic_arn" {
  description = "Topic to which every alarm goes."
  value       = aws_sns_topic.alarms.arn
}

output "api_endpoint" {
  description = "Address of the HTTP API where Terraform deploys it; with SAM it is an output of its stack."
  value       = one(aws_apigatewayv2_api.main[*].api_endpoint)
}

output "dns_records" {
  description = "Records to enter by hand where api_domain and media_domain are in no hosted zone of Route 53: for each, one proves the domain to ACM and one leads there. Empty with route53_zone_id."
  value = var.route53_zone_id != null ? [] : concat(
    var.api_domain == null ? [] : concat(
      [for o in aws_acm_certificate.api[0].domain_validation_options : { name = o.resource_record_name, type = o.resource_record_type, value = o.resource_record_value }],
      [{ name = var.api_domain, type = "CNAME", value = aws_apigatewayv2_domain_name.api[0].domain_name_configuration[0].target_domain_name }],
    ),
    var.media_domain == null ? [] : concat(
      [for o in aws_acm_certificate.media[0].domain_validation_options : { name = o.resource_record_name, type = o.resource_record_type, value = o.resource_record_value }],
      [{ name = var.media_domain, type = "CNAME", value = aws_cloudfront_distribution.media[0].domain_name }],
    ),
  )
}
