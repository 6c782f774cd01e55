# The role that applies terraform/ in the pipeline. It may make what the configuration has, under this environment's names,
# and can't widen itself: the denials hold whatever other policies say, and docs/explanation/security.md explains them.
locals {
  here         = "${var.region}:${local.account}"
  state_object = [for key in ["familycorp.tfstate", "familycorp.tfstate.tflock", "environment.lock"] : "${local.state_arn}/${key}"]

  # What people alone change. The infrastructure's roles are below the boundary, so they can change none of it either.
  guards = concat(
    [
      local.github_provider,
      local.boundary_arn,
      "arn:${local.partition}:iam::${local.account}:policy/${local.name}-operator-*",
    ],
    [for role in ["deploy", "infra", "plan"] : "${local.arn.roles}/${local.name}-${role}"],
  )

  infra_allowed = concat([
    {
      Sid    = "OwnNames"
      Effect = "Allow"
      Action = [
        "budgets:*", "cloudwatch:*", "dynamodb:*", "ecr:*", "elasticache:*", "events:*", "logs:*", "rds:*", "s3:*", "secretsmanager:*", "sns:*",
        "sqs:*", "ssm:*Parameter*", "ssm:*Tags*", "wafv2:*",
      ] # Of the names below alone.
      Resource = concat(
        [
          "arn:${local.partition}:budgets::${local.account}:budget/${local.name}-*",
          "arn:${local.partition}:cloudwatch:${local.here}:alarm:${local.name}-*",
          "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${local.name}*",
          "arn:${local.partition}:dynamodb:${local.here}:table/${local.name}-*",
          "arn:${local.partition}:ecr:${local.here}:repository/${local.name}-*",
          "arn:${local.partition}:events:${local.here}:rule/${local.name}-*",
          "${local.arn.logs}:*${local.name}*",
          "arn:${local.partition}:secretsmanager:${local.here}:secret:${local.name}-*",
          "arn:${local.partition}:secretsmanager:${local.here}:secret:rds!cluster-*", # RDS makes the master's in the caller's name.
          "arn:${local.partition}:sns:${local.here}:${local.name}-*",
          "arn:${local.partition}:sqs:${local.here}:${local.name}-*",
          "arn:${local.partition}:ssm:${local.here}:parameter/familycorp/${var.env}/*",
          "arn:${local.partition}:wafv2:${local.here}:regional/webacl/${local.name}-*/*",
          "arn:${local.partition}:wafv2:${local.here}:regional/managedruleset/*", # AWS's own groups of rules.
        ],
        # IAM takes no wildcard for a type of resource.
        [
          for kind in ["cluster", "parametergroup", "replicationgroup", "serverlesscache", "subnetgroup", "user", "usergroup"] :
          "arn:${local.partition}:elasticache:${local.here}:${kind}:${local.name}-*"
        ],
        [
          for kind in ["cluster", "cluster-pg", "cluster-snapshot", "db", "subgrp"] :
          "arn:${local.partition}:rds:${local.here}:${kind}:${local.name}-*"
        ],
        [for name in values(local.bucket_names) : "arn:${local.partition}:s3:::${name}"],
      )
    },
    {
      Sid    = "NamedByAws"
      Effect = "Allow"
      Action = ["acm:*", "apigateway:*", "cognito-idp:*", "guardduty:*MalwareProtectionPlan*", "guardduty:*Tag*", "rds:*", "wafv2:*WebACL*"]
      Resource = [ # Their ids are made by AWS.
        "arn:${local.partition}:acm:${local.here}:certificate/*",
        "arn:${local.partition}:apigateway:${var.region}::/*",
        "arn:${local.partition}:cognito-idp:${local.here}:userpool/*",
        "arn:${local.partition}:guardduty:${local.here}:malware-protection-plan/*",
        "arn:${local.partition}:rds:${local.here}:db-proxy:*",
        "arn:${local.partition}:rds:${local.here}:target-group:*",
      ]
    },
    {
      Sid    = "NamingNothing"
      Effect = "Allow"
      Action = [
        "acm:ListCertificates", "acm:RequestCertificate", "cloudwatch:DescribeAlarms", "cognito-idp:CreateUserPool", "cognito-idp:DescribeUserPoolDomain",
        "cognito-idp:ListUserPools", "dynamodb:ListTables", "ec2:*FlowLogs", "ec2:*RouteTable", "ec2:*SecurityGroup*", "ec2:*Subnet*", "ec2:*Tags",
        "ec2:*Vpc", "ec2:*VpcAttribute", "ec2:*VpcEndpoint", "ec2:*VpcEndpoints", "ec2:DeleteNetworkInterface", "ec2:Describe*",
        "ec2:DetachNetworkInterface", "ec2:GetManagedPrefixListEntries", "elasticache:Describe*", "elasticache:ListTagsForResource",
        "guardduty:CreateMalwareProtectionPlan", "guardduty:ListMalwareProtectionPlans", "logs:*LogDelivery*", "logs:*QueryDefinition*",
        "logs:*ResourcePolic*", "logs:DescribeLogGroups", "rds:Describe*", "s3:ListAllMyBuckets", "sns:*Subscription*", "ssm:DescribeParameters",
        "sts:GetCallerIdentity",
      ]
      Resource = ["*"] # AWS names no resource for these, or makes its id.
    },
    {
      Sid    = "Keys"
      Effect = "Allow"
      Action = [
        "kms:*Alias", "kms:*KeyRotation*", "kms:*Tag*", "kms:CreateGrant", "kms:CreateKey", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListAliases",
        "kms:UpdateKeyDescription",
      ]
      Resource = ["*"] # A key has an alias, which would narrow this, only after it was made.
    },
    {
      Sid      = "OwnKeys"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]
      Resource = ["${local.arn.kms}/*"] # The alias narrows it to this environment's.
      Condition = {
        "ForAnyValue:StringLike" = { "kms:ResourceAliases" = "alias/${local.name}-*" }
      }
    },
    ], var.media_domain == null ? [] : [
    {
      Sid    = "Cdn"
      Effect = "Allow"
      Action = ["acm:*", "cloudfront:*"] # Their ids are made by AWS; CloudFront takes certificates of us-east-1 alone.
      Resource = concat(
        ["arn:${local.partition}:acm:us-east-1:${local.account}:certificate/*"],
        [for kind in ["cache-policy", "distribution", "origin-access-control", "response-headers-policy"] : "arn:${local.partition}:cloudfront::${local.account}:${kind}/*"],
      )
    },
    {
      Sid      = "NewCdn"
      Effect   = "Allow"
      Action   = ["cloudfront:CreateCachePolicy", "cloudfront:CreateDistribution", "cloudfront:CreateOriginAccessControl", "cloudfront:CreateResponseHeadersPolicy"]
      Resource = ["*"] # As above.
    },
    ], [
    {
      Sid      = "OwnRoles"
      Effect   = "Allow"
      Action   = ["iam:*Role", "iam:*RoleDescription", "iam:*RolePolicy", "iam:*RolePolicies", "iam:*RoleTags", "iam:ListInstanceProfilesForRole", "iam:UpdateAssumeRolePolicy"]
      Resource = ["${local.arn.roles}/${local.name}-*"]
    },
    {
      Sid      = "RolesOfServices"
      Effect   = "Allow"
      Action   = ["iam:CreateServiceLinkedRole"]
      Resource = ["${local.arn.roles}/aws-service-role/*"] # AWS writes their trust and their policies.
      Condition = {
        StringEquals = { "iam:AWSServiceName" = [
          "elasticache.amazonaws.com", "email.cognito-idp.amazonaws.com", "ops.apigateway.amazonaws.com", "rds.amazonaws.com", "wafv2.amazonaws.com",
        ] }
      }
    },
    {
      Sid      = "State"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
      Resource = local.state_object
    },
    {
      Sid      = "Plans"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:ListBucket"]
      Resource = [local.state_arn, "${local.state_arn}/plans/*"] # Whichever a reviewer approved.
    },
    ], var.route53_zone_id == null ? [] : [
    {
      Sid      = "Zone"
      Effect   = "Allow"
      Action   = ["route53:ChangeResourceRecordSets", "route53:GetChange", "route53:GetHostedZone", "route53:ListResourceRecordSets", "route53:ListTagsForResource"]
      Resource = ["arn:${local.partition}:route53:::hostedzone/${var.route53_zone_id}", "arn:${local.partition}:route53:::change/*"] # Ids of changes are made by AWS.
    },
    ], !local.terraform_deploys ? [] : [
    {
      Sid    = "Functions"
      Effect = "Allow"
      Action = ["lambda:*"] # Of the names below alone.
      Resource = [
        "${local.arn.lambda}:${local.name}-*",
        "arn:${local.partition}:lambda:${local.here}:event-source-mapping:*", # Its id is made by Lambda.
      ]
    },
  ])

  infra_denied = concat([
    {
      # CloudFormation and Systems Manager act by roles of their own; users, providers and managed policies are people's.
      Sid       = "NothingElse"
      Effect    = "Deny"
      NotAction = sort(distinct(flatten([for statement in local.infra_allowed : statement.Action])))
      Resource  = ["*"] # Whatever there is.
    },
    {
      Sid      = "NotTheGuards"
      Effect   = "Deny"
      Action   = ["iam:*", "sts:*"] # Of people's alone.
      Resource = local.guards
    },
    {
      Sid      = "RolesBelowTheBoundary"
      Effect   = "Deny"
      Action   = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
      Resource = ["*"] # Whatever the role's name is.
      Condition = {
        StringNotEquals = { "iam:PermissionsBoundary" = local.boundary_arn }
      }
    },
    { Sid = "BoundariesStay", Effect = "Deny", Action = ["iam:DeleteRolePermissionsBoundary"], Resource = ["*"] }, # Any role's.
    {
      Sid         = "PassesOwnRolesAlone"
      Effect      = "Deny"
      Action      = ["iam:PassRole", "iam:UpdateAssumeRolePolicy"]
      NotResource = ["${local.arn.roles}/${local.name}-*"]
    },
    {
      Sid      = "GrantsForServicesAlone"
      Effect   = "Deny"
      Action   = ["kms:CreateGrant"]
      Resource = ["*"] # Any key.
      Condition = {
        BoolIfExists = { "kms:GrantIsForAWSResource" = "false" }
      }
    },
    {
      Sid         = "NoObjectsButTheState"
      Effect      = "Deny"
      Action      = ["s3:DeleteObject*", "s3:GetObject*", "s3:PutObject*"]
      NotResource = concat(local.state_object, ["${local.state_arn}/plans/*"]) # As `Plans`.
    },
    {
      Sid    = "NoData"
      Effect = "Deny"
      Action = [
        "dynamodb:*Item", "dynamodb:PartiQL*", "dynamodb:Query", "dynamodb:Scan", "lambda:InvokeFunction*", "secretsmanager:*SecretValue",
        "sqs:ReceiveMessage",
      ]
      Resource = ["*"] # Anybody's.
    },
    ], var.env != "prod" ? [] : [
    {
      # AWS knows no permission to lift a protection alone: `familycorp infra apply` refuses a plan that does.
      Sid    = "DataStays"
      Effect = "Deny"
      Action = [
        "cognito-idp:DeleteUserPool", "dynamodb:DeleteBackup", "dynamodb:DeleteTable", "kms:DisableKey", "kms:ScheduleKeyDeletion", "rds:DeleteDBCluster*",
        "rds:DeleteDBInstance", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "secretsmanager:DeleteSecret",
      ]
      Resource = ["*"] # Anything that holds data.
    },
  ])
}

resource "aws_iam_role" "infra" {
  count = var.github_repository == null ? 0 : 1

  name                 = "${local.name}-infra"
  description          = "The pipeline's, for applies in the GitHub environment ${var.env}-infra"
  max_session_duration = 3600
  assume_role_policy   = local.github_trust["infra"]

  tags = { Name = "${local.name}-infra" }

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "infra" {
  count = var.github_repository == null ? 0 : 1

  name   = "infra"
  role   = aws_iam_role.infra[0].id
  policy = jsonencode({ Version = "2012-10-17", Statement = concat(local.infra_allowed, local.infra_denied) })
}
