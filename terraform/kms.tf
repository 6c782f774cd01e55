# One key for stored data, one for second factors: a principal that may read the tables must not be able to decrypt TOTP secrets.

data "aws_iam_policy_document" "data_key" {
  statement {
    sid       = "AccountAdministersByIam"
    actions   = ["kms:*"]
    resources = ["*"] # In a key's policy `*` is this key. Without the account's root the key could become unmanageable.

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }
  }

  statement {
    sid       = "LogsEncryptTheirGroups"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"] # This key.

    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${var.region}:${local.account}:log-group:*${local.name}*"]
    }
  }

  # Alarms, budgets and SNS publish to encrypted topics and queues.
  statement {
    sid       = "ServicesPublishToTopicsAndQueues"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"] # This key.

    principals {
      type        = "Service"
      identifiers = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com", "sns.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }

  # EventBridge sends neither account nor rule along, so any condition on them would refuse it. What a rule can publish to
  # is bounded by the topic's own policy.
  statement {
    sid       = "EventBridgePublishesToTopics"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"] # This key.

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

resource "aws_kms_key" "data" {
  description             = "${local.name}: tables, buckets, database, cache, logs, queues, secrets"
  enable_key_rotation     = true
  rotation_period_in_days = var.key_rotation_days
  deletion_window_in_days = var.env == "prod" ? 30 : 7
  policy                  = data.aws_iam_policy_document.data_key.json

  tags = { Name = "${local.name}-data" }
}

resource "aws_kms_alias" "data" {
  name          = "alias/${local.name}-data"
  target_key_id = aws_kms_key.data.key_id
}

data "aws_iam_policy_document" "factors_key" {
  statement {
    sid       = "AccountAdministersByIam"
    actions   = ["kms:*"]
    resources = ["*"] # In a key's policy `*` is this key.

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }
  }

  # An explicit denial, which no other policy can override: only the auth function uses the key.
  statement {
    sid       = "OnlyTheAuthFunctionUsesIt"
    effect    = "Deny"
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"] # This key.

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnNotEquals"
      variable = "aws:PrincipalArn"
      values   = ["arn:${local.partition}:iam::${local.account}:role/${local.name}-auth"]
    }
  }
}

resource "aws_kms_key" "factors" {
  description             = "${local.name}: TOTP secrets of members"
  enable_key_rotation     = true
  rotation_period_in_days = var.key_rotation_days
  deletion_window_in_days = 30 # Losing it would lock every member with an authenticator out.
  policy                  = data.aws_iam_policy_document.factors_key.json

  tags = { Name = "${local.name}-factors" }
}

resource "aws_kms_alias" "factors" {
  name          = "alias/${local.name}-factors"
  target_key_id = aws_kms_key.factors.key_id
}
