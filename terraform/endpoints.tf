locals {
  # Through the gateways only this environment's tables and buckets can be reached, with any credentials:
  # stolen data can't be carried into another account's bucket.
  gateway_statements = {
    dynamodb = [{
      Sid       = "OwnTables"
      Effect    = "Allow"
      Principal = "*"
      Action = [
        "dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable",
        "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem",
      ]
      Resource  = flatten([for arn in values(local.table_arns) : [arn, "${arn}/index/*"]])
      Condition = { StringEquals = { "aws:PrincipalAccount" = local.account } }
    }]
    s3 = [{
      Sid       = "OwnUploads"
      Effect    = "Allow"
      Principal = "*"
      Action = [
        "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion",
        "s3:ListBucket", "s3:ListBucketVersions", "s3:ListMultipartUploadParts", "s3:PutObject",
      ]
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { StringEquals = { "aws:PrincipalAccount" = local.account } }
      }, {
      Sid       = "OwnPictures"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["s3:DeleteObjectVersion", "s3:GetObject", "s3:ListBucket", "s3:ListBucketVersions", "s3:PutObject"]
      Resource  = [local.media_arn, "${local.media_arn}/*"]
      Condition = { StringEquals = { "aws:PrincipalAccount" = local.account } }
      }, {
      Sid       = "OwnExchange"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]
      Resource  = [local.exchange_arn, "${local.exchange_arn}/*"]
      Condition = { StringEquals = { "aws:PrincipalAccount" = local.account } }
    }]
  }

  # Switchable one by one; none is needed. Each costs about 20 USD a month in two zones (see docs/reference/infra.md).
  endpoint_statements = {
    sqs            = { actions = ["sqs:SendMessage"], resources = ["arn:${local.partition}:sqs:${var.region}:${local.account}:${local.name}-*"] }
    sns            = { actions = ["sns:Publish"], resources = ["arn:${local.partition}:sns:${var.region}:${local.account}:${local.name}-*"] }
    secretsmanager = { actions = ["secretsmanager:GetSecretValue"], resources = ["arn:${local.partition}:secretsmanager:${var.region}:${local.account}:secret:${local.name}-*"] }
    sts            = { actions = ["sts:GetCallerIdentity"], resources = ["*"] } # STS names no resource for it.
    logs           = { actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resources = ["arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/aws/lambda/${local.name}-*"] }
    ssm            = { actions = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"], resources = ["arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/familycorp/${var.env}/*"] }
    kms            = { actions = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"], resources = ["arn:${local.partition}:kms:${var.region}:${local.account}:key/*"] } # Ids are made by KMS; the keys' own policies decide.
  }
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateway_statements

  vpc_id            = aws_vpc.main.id
  service_name      = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  policy            = jsonencode({ Version = "2012-10-17", Statement = each.value })

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = { for name in var.interface_endpoints : name => local.endpoint_statements[name] }

  vpc_id              = aws_vpc.main.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.this["endpoints"].id]
  private_dns_enabled = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OwnResources"
      Effect    = "Allow"
      Principal = "*"
      Action    = each.value.actions
      Resource  = each.value.resources
      Condition = { StringEquals = { "aws:PrincipalAccount" = local.account } }
    }]
  })

  tags = { Name = "${local.name}-${each.key}" }
}
