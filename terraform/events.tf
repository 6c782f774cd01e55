# Notices for people, alarms for operators, and what failed for good.
resource "aws_sns_topic" "notices" {
  name              = "${local.name}-notices"
  kms_master_key_id = aws_kms_key.data.arn

  tags = { Name = "${local.name}-notices" }
}

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = aws_kms_key.data.arn

  tags = { Name = "${local.name}-alarms" }
}

data "aws_iam_policy_document" "alarms" {
  statement {
    sid       = "ServicesTellOfAlarms"
    actions   = ["sns:Publish"]
    resources = ["arn:${local.partition}:sns:${var.region}:${local.account}:${local.name}-alarms"]

    principals {
      type        = "Service"
      identifiers = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }

  # EventBridge sends neither account nor rule along ("Troubleshooting Amazon EventBridge", user guide): with a condition the
  # alarm of a failed deployment would never arrive.
  statement {
    sid       = "EventBridgePublishesAlarms"
    actions   = ["sns:Publish"]
    resources = ["arn:${local.partition}:sns:${var.region}:${local.account}:${local.name}-alarms"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = toset(var.alarm_emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_sns_topic_subscription" "notices" {
  for_each = toset(var.notice_emails)

  topic_arn = aws_sns_topic.notices.arn
  protocol  = "email"
  endpoint  = each.value
}

locals {
  inquiry_recipients = {
    for email in distinct(flatten(values(var.inquiry_emails))) :
    email => [for category, emails in var.inquiry_emails : category if contains(emails, email)]
  }
}

resource "aws_sns_topic_subscription" "inquiries" {
  for_each = local.inquiry_recipients

  topic_arn     = aws_sns_topic.notices.arn
  protocol      = "email"
  endpoint      = each.key
  filter_policy = jsonencode({ kind = ["inquiry.received"], category = each.value })
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${local.name}-dead-letters"
  message_retention_seconds = 1209600 # Two weeks, the longest there is.
  kms_master_key_id         = aws_kms_key.data.arn

  tags = { Name = "${local.name}-dead-letters" }
}

locals {
  rules = {
    minute = {
      function = "drain"
      schedule = "rate(1 minute)"
      pattern  = null
    }
    uploads = {
      function = "uploads"
      schedule = null
      pattern = jsonencode({
        source      = ["aws.s3"]
        detail-type = ["Object Created"]
        detail      = { bucket = { name = [local.bucket_names.uploads] }, object = { key = [{ prefix = "quarantine/" }] } }
      })
    }
    scans = {
      function = "uploads"
      schedule = null
      pattern = jsonencode({
        source      = ["aws.guardduty"]
        detail-type = ["GuardDuty Malware Protection Object Scan Result"]
        detail      = { s3ObjectDetails = { bucketName = [local.bucket_names.uploads] } }
      })
    }
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.terraform_deploys ? local.rules : {}

  name                = "${local.name}-${each.key}"
  description         = "Starts the ${each.value.function} function"
  schedule_expression = each.value.schedule
  event_pattern       = each.value.pattern

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.terraform_deploys ? local.rules : {}

  rule = aws_cloudwatch_event_rule.this[each.key].name
  arn  = aws_lambda_alias.live[each.value.function].arn

  # The function reads S3's own notifications; EventBridge's have another format.
  dynamic "input_transformer" {
    for_each = each.key == "uploads" ? [1] : []

    content {
      input_paths    = { bucket = "$.detail.bucket.name", key = "$.detail.object.key" }
      input_template = "{\"Records\":[{\"eventSource\":\"aws:s3\",\"eventName\":\"ObjectCreated:Put\",\"s3\":{\"bucket\":{\"name\":<bucket>},\"object\":{\"key\":<key>}}}]}"
    }
  }
}

# A deployment that fails is an alarm like any other.
resource "aws_cloudwatch_event_rule" "deployment_failed" {
  name        = "${local.name}-deployment-failed"
  description = "A stack of this environment was rolled back. What to do: docs/how-to/runbook.md#deployment-failed"

  event_pattern = jsonencode({
    source      = ["aws.cloudformation"]
    detail-type = ["CloudFormation Stack Status Change"]
    resources   = [{ prefix = "arn:${local.partition}:cloudformation:${var.region}:${local.account}:stack/${local.name}-" }]
    detail      = { status-details = { status = ["CREATE_FAILED", "ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"] } }
  })

  tags = { Name = "${local.name}-deployment-failed" }
}

resource "aws_cloudwatch_event_target" "deployment_failed" {
  rule = aws_cloudwatch_event_rule.deployment_failed.name
  arn  = aws_sns_topic.alarms.arn
}
