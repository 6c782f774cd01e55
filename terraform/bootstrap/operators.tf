# What a person needs to operate the environment from their own machine: two policies, to be attached to people's roles.
# Reading and writing are functions of their own, because IAM distinguishes functions, not their requests.

locals {
  # Sessions of a role that was assumed without a second factor don't have the key at all, so they don't match either.
  operator_mfa = var.env == "prod" ? { Bool = { "aws:MultiFactorAuthPresent" = "true" } } : {}

  operator_objects = {
    operator-read  = { action = "s3:GetObject", prefix = "exports" }
    operator-write = { action = "s3:PutObject", prefix = "imports" }
  }

  operator_statements = {
    for function, objects in local.operator_objects : function => [
      {
        Sid       = "FindItsUrl"
        Effect    = "Allow"
        Action    = ["lambda:GetFunctionUrlConfig"]
        Resource  = ["${local.arn.lambda}:${local.name}-${function}", "${local.arn.lambda}:${local.name}-${function}:live"]
        Condition = local.operator_mfa
      },
      {
        Sid       = "CallItsUrl"
        Effect    = "Allow"
        Action    = ["lambda:InvokeFunctionUrl"]
        Resource  = ["${local.arn.lambda}:${local.name}-${function}:live"]
        Condition = merge(local.operator_mfa, { StringEquals = { "lambda:FunctionUrlAuthType" = "AWS_IAM" } })
      },
      {
        # Lambda asks for this, too, since October 2025. Without the condition it would let people invoke the function
        # itself, with an event that names somebody else.
        Sid      = "InvokeItByItsUrlAlone"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = ["${local.arn.lambda}:${local.name}-${function}", "${local.arn.lambda}:${local.name}-${function}:live"]
        Condition = {
          Bool = merge(try(local.operator_mfa.Bool, {}), { "lambda:InvokedViaFunctionUrl" = "true" })
        }
      },
      {
        Sid       = "FindTheBucket"
        Effect    = "Allow"
        Action    = ["ssm:GetParameter"]
        Resource  = ["arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/familycorp/${var.env}/exchange/bucket"]
        Condition = local.operator_mfa
      },
      {
        Sid       = "ExchangeObjects"
        Effect    = "Allow"
        Action    = [objects.action]
        Resource  = ["${local.exchange_arn}/${objects.prefix}/*"] # Every object below this prefix.
        Condition = local.operator_mfa
      },
      {
        Sid      = "ObjectsAreEncrypted"
        Effect   = "Allow"
        Action   = [objects.action == "s3:GetObject" ? "kms:Decrypt" : "kms:GenerateDataKey"]
        Resource = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias and the service narrow it to one key.
        Condition = merge(local.operator_mfa, {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-data" }
          StringEquals               = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" }
        })
      },
    ]
  }
}

resource "aws_iam_policy" "operator" {
  for_each = local.operator_statements

  name        = "${local.name}-${each.key}"
  description = "For people who operate ${var.env}: ${each.key == "operator-read" ? "looks, and takes content and inquiries out" : "changes members and content"}"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in each.value : { for part, value in statement : part => value if value != {} }]
  })

  tags = { Name = "${local.name}-${each.key}" }
}
