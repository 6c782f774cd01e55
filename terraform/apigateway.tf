locals {
  # The more specific route wins: logging in goes to its own function, everything else to the backend.
  routes = local.terraform_deploys ? {
    "$default"              = "backend"
    "ANY /v1/auth/{proxy+}" = "auth"
  } : {}
  cors_origins = length(var.cors_origins) == 0 ? [var.site_url] : var.cors_origins
}

resource "aws_apigatewayv2_api" "main" {
  count = local.terraform_deploys ? 1 : 0

  name                         = "${local.name}-api"
  description                  = "Everything behind the public site"
  protocol_type                = "HTTP"
  disable_execute_api_endpoint = var.api_domain != null # One address: cookies and CORS are made for it.

  # API Gateway answers preflights itself and replaces what the application says of CORS, so its lists are read
  # from what is rendered of it.
  cors_configuration {
    allow_origins     = local.cors_origins
    allow_credentials = true
    allow_methods     = local.cors.allow_methods
    allow_headers     = local.cors.allow_headers
    expose_headers    = local.cors.expose_headers
    max_age           = local.cors.max_age
  }

  tags = { Name = "${local.name}-api" }
}

resource "aws_apigatewayv2_integration" "function" {
  for_each = local.terraform_deploys ? toset(values(local.routes)) : []

  api_id                 = aws_apigatewayv2_api.main[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_alias.live[each.key].invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_apigatewayv2_route" "this" {
  for_each = local.routes

  api_id    = aws_apigatewayv2_api.main[0].id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.function[each.value].id}"
}

# Like the functions' log groups it is Terraform's with either deployer, and stays when the API is deleted.
resource "aws_cloudwatch_log_group" "api" {
  name              = "/aws/apigateway/${local.name}-api"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.data.arn

  tags = { Name = "${local.name}-api" }
}

resource "aws_apigatewayv2_stage" "default" {
  count = local.terraform_deploys ? 1 : 0

  api_id      = aws_apigatewayv2_api.main[0].id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_burst_limit   = var.api_burst
    throttling_rate_limit    = var.api_rate
    detailed_metrics_enabled = true
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api.arn
    # Neither query nor cookie: a query may hold a login's code.
    format = jsonencode({
      requestId = "$context.requestId", ip = "$context.identity.sourceIp", time = "$context.requestTime"
      method    = "$context.httpMethod", path = "$context.path", status = "$context.status"
      bytes     = "$context.responseLength", latency = "$context.responseLatency", error = "$context.integrationErrorMessage"
    })
  }

  tags = { Name = "${local.name}-api" }
}
