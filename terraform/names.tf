# What this configuration and terraform/bootstrap both name: names are known before anything exists, so that each can write
# policies for the other's resources. terraform/bootstrap links to this file.
data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name      = "familycorp-${var.env}"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  terraform_deploys  = var.app_deployer == "terraform"
  functions          = yamldecode(file("${path.module}/functions.yaml"))
  operator_functions = ["operator-read", "operator-write"]

  arn = {
    lambda = "arn:${local.partition}:lambda:${var.region}:${local.account}:function"
    logs   = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group"
    kms    = "arn:${local.partition}:kms:${var.region}:${local.account}:key"
    roles  = "arn:${local.partition}:iam::${local.account}:role"
  }

  # terraform/bootstrap makes it.
  boundary_arn = "arn:${local.partition}:iam::${local.account}:policy/${local.name}-boundary"

  eni_actions = [ # As AWSLambdaVPCAccessExecutionRole has them.
    "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
  ]

  bucket_suffix = var.bucket_suffix == null ? "" : "-${var.bucket_suffix}"
  bucket_names  = { for kind in ["uploads", "media", "logs", "exchange", "releases"] : kind => "${local.name}-${kind}${local.bucket_suffix}" }
  exchange_arn  = "arn:${local.partition}:s3:::${local.bucket_names.exchange}"

  secret_names = {
    signing_key = "${local.name}-signing-key"        # Private key of access tokens; `familycorp infra signing-key` writes the first, the rotation those that follow.
    database    = "${local.name}-database"           # Password with which RDS Proxy goes on to the cluster.
    oidc_client = "${local.name}-oidc-client-secret" # What the OpenID provider issued to us.
  }
  # Secrets Manager ends each name in an ARN with six random characters.
  secret_patterns = {
    for key, name in local.secret_names :
    key => "arn:${local.partition}:secretsmanager:${var.region}:${local.account}:secret:${name}-??????"
  }

  scans         = var.malware_scanner == "guardduty"
  scanner_rules = "arn:${local.partition}:events:${var.region}:${local.account}:rule/DO-NOT-DELETE-AmazonGuardDutyMalwareProtectionS3*"
}
