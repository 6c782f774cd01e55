# With SAM as the deployer (the default) only the log groups are made here; functions and aliases are its own.

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${local.name}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.data.arn

  tags = { Name = "${local.name}-${each.key}" }
}

locals {
  # The Web Adapter is in the image of the functions that serve HTTP alone: an extension starts wherever it is.
  image_digests = {
    for name, function in local.functions : name => coalesce(function.handler == null ? var.image_digest : var.functions_image_digest, "none")
  }
}

resource "aws_lambda_function" "this" {
  for_each = local.terraform_deploys ? local.functions : {}

  function_name = "${local.name}-${each.key}"
  description   = "Function that ${each.value.purpose}"
  role          = aws_iam_role.function[each.key].arn
  package_type  = "Image"
  # By digest: a tag, even an immutable one, says nothing of the image's content.
  image_uri     = "${aws_ecr_repository.backend.repository_url}@${local.image_digests[each.key]}"
  architectures = ["x86_64"] # The precompiled policy is made for it.
  memory_size   = each.value.memory
  timeout       = each.value.timeout
  kms_key_arn   = aws_kms_key.data.arn
  publish       = true

  # Nothing is reserved: a new account has 10 concurrent executions, and AWS refuses to leave fewer than that unreserved.
  # Drains may run side by side (docs/decisions/0002-outbox.md), and migrations take a lock in the database.

  # Without a handler the image's own command serves HTTP; the others start Lambda's runtime client.
  dynamic "image_config" {
    for_each = each.value.handler == null ? [] : [each.value.handler]

    content {
      entry_point = ["python", "-m", "awslambdaric"]
      command     = [image_config.value]
    }
  }

  environment {
    variables = merge(
      { for name, value in local.settings_of[each.key] : "FAMILYCORP_${name}" => value },
      { OPA_BUNDLE_PATH = "/opt/opa/bundle" },
    )
  }

  dynamic "vpc_config" {
    for_each = each.value.vpc ? [1] : []

    content {
      subnet_ids         = aws_subnet.private[*].id
      security_group_ids = [aws_security_group.this[each.key == "migrations" ? "migrations" : "function"].id]
    }
  }

  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    application_log_level = "DEBUG" # Which lines are written the application decides; by default Lambda drops those at DEBUG.
    # The application's line about a request says more than Lambda's two, which cost half as much again. A call that fails,
    # runs out of time or of memory still has its report (docs/decisions/0019-lambda-lines.md).
    system_log_level = each.value.handler == null ? "WARN" : "INFO"
  }

  tracing_config {
    mode = "PassThrough"
  }

  tags = { Name = "${local.name}-${each.key}" }

  lifecycle {
    precondition {
      condition     = local.image_digests[each.key] != "none"
      error_message = "app_deployer = \"terraform\" needs image_digest and functions_image_digest: apply with \"sam\" first, push the images to the registry, then give their sha256:… digests."
    }
  }

  depends_on = [aws_iam_role_policy.function, aws_ecr_repository_policy.backend]
}

resource "aws_lambda_alias" "live" {
  for_each = aws_lambda_function.this

  name             = "live"
  description      = "What callers use"
  function_name    = each.value.function_name
  function_version = each.value.version
}

# Operators call these two, each with a permission of its own (bootstrap/operators.tf). Lambda verifies the caller's signature and
# names them in the event.
resource "aws_lambda_function_url" "operator" {
  for_each = local.terraform_deploys ? toset(local.operator_functions) : []

  function_name      = aws_lambda_function.this[each.key].function_name
  qualifier          = aws_lambda_alias.live[each.key].name
  authorization_type = "AWS_IAM"
}

# Asynchronous calls are tried twice more, then left in the queue.
resource "aws_lambda_function_event_invoke_config" "this" {
  for_each = local.terraform_deploys ? toset(["drain", "uploads"]) : []

  function_name                = aws_lambda_function.this[each.key].function_name
  qualifier                    = aws_lambda_alias.live[each.key].name
  maximum_event_age_in_seconds = 3600
  maximum_retry_attempts       = 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}

resource "aws_lambda_event_source_mapping" "events" {
  count = local.terraform_deploys ? 1 : 0

  event_source_arn                   = aws_dynamodb_table.this["events"].stream_arn
  function_name                      = aws_lambda_alias.live["events"].arn
  starting_position                  = "LATEST"
  batch_size                         = 25
  maximum_batching_window_in_seconds = 1
  maximum_retry_attempts             = 5
  bisect_batch_on_function_error     = true
  function_response_types            = ["ReportBatchItemFailures"]

  tags = { Name = "${local.name}-events" }

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.dead_letters.arn
    }
  }
}

# Wake-up markers are in the same table. They are for the scheduler, so they needn't start this function.

resource "aws_lambda_permission" "api" {
  for_each = local.terraform_deploys ? toset(["backend", "auth"]) : []

  statement_id  = "HttpApi"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.key].function_name
  qualifier     = aws_lambda_alias.live[each.key].name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.main[0].execution_arn}/*/*"
}

resource "aws_lambda_permission" "rule" {
  for_each = local.terraform_deploys ? local.rules : {}

  statement_id  = "EventBridge-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.value.function].function_name
  qualifier     = aws_lambda_alias.live[each.value.function].name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.key].arn
}

resource "aws_lambda_permission" "rotation" {
  count = local.terraform_deploys ? 1 : 0

  statement_id   = "SecretsManager"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.this["rotation"].function_name
  qualifier      = aws_lambda_alias.live["rotation"].name
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.account
  source_arn     = aws_secretsmanager_secret.this["signing_key"].arn
}
