# What no role of this environment can go beyond, with any policy that is attached to it later.
resource "aws_iam_policy" "boundary" {
  name        = "${local.name}-boundary"
  description = "The most that any role of this environment may ever do"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "OwnResources"
        Effect = "Allow"
        Action = ["dynamodb:*", "logs:*", "s3:*", "secretsmanager:*", "sns:*", "sqs:*"] # Each role's own policy names actions.
        Resource = [
          "arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${local.name}-*",
          "${local.arn.logs}:*${local.name}*",
          "arn:${local.partition}:s3:::${local.name}-*",
          "arn:${local.partition}:secretsmanager:${var.region}:${local.account}:secret:${local.name}-*",
          "arn:${local.partition}:sns:${var.region}:${local.account}:${local.name}-*",
          "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.name}-*",
        ]
      },
      {
        Sid      = "CodeDeployShiftsTraffic"
        Effect   = "Allow"
        Action   = ["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"]
        Resource = ["${local.arn.lambda}:${local.name}-*"]
      },
      {
        Sid    = "NamedByAws"
        Effect = "Allow"
        # Identifiers of these are made by AWS, or the action names no resource; region and account still bound them.
        Action   = concat(local.eni_actions, ["cloudwatch:DescribeAlarms", "dynamodb:ListStreams", "elasticache:Connect", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "rds-db:connect"])
        Resource = "*"
        Condition = {
          StringEquals = { "aws:RequestedRegion" = var.region }
        }
      },
      ], local.scans ? [
      {
        Sid      = "RulesOfTheScanner"
        Effect   = "Allow"
        Action   = ["events:DeleteRule", "events:DescribeRule", "events:ListTargetsByRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets"]
        Resource = [local.scanner_rules]
      },
    ] : [])
  })

  tags = { Name = "${local.name}-boundary" }
}
