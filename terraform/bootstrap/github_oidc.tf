# The pipeline has no key that could leak: GitHub signs a token for each run, and a role trusts runs of one environment.
locals {
  # Its name is AWS's convention, known beforehand, so that a plan shows whom the role will trust.
  github_provider = coalesce(
    var.github_oidc_provider_arn, "arn:${local.partition}:iam::${local.account}:oidc-provider/token.actions.githubusercontent.com"
  )

  # What GitHub puts before `:environment:`: names, and for a repository that was created, renamed or transferred since
  # the summer of 2026, or has opted in, names with the numbers of owner and repository, which nobody else can ever get
  # (GitHub changelog, 2026-04-23: immutable subject claims).
  github_names = split("/", coalesce(var.github_repository, "/"))
  github_prefixes = concat(
    var.github_repository_ids == null ? [] : [
      "repo:${local.github_names[0]}@${var.github_repository_ids.owner}/${local.github_names[1]}@${var.github_repository_ids.repository}"
    ],
    var.github_trusts_names ? ["repo:${local.github_names[0]}/${local.github_names[1]}"] : [],
  )

  # `make infra-bootstrap` makes it.
  state_arn = "arn:${local.partition}:s3:::${local.name}-state-${local.account}"

  # An environment's protection rules (approval, branches) hold only for who names the environment.
  github_trust = {
    for role, environment in { deploy = var.env, infra = "${var.env}-infra", plan = "${var.env}-plan" } : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "GithubEnvironment"
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = local.github_provider }
        Condition = {
          StringEquals = {
            "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
            "token.actions.githubusercontent.com:sub" = [for prefix in local.github_prefixes : "${prefix}:environment:${environment}"]
          }
        }
      }]
    }) if var.github_repository != null
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_repository != null && var.github_oidc_provider_arn == null ? 1 : 0

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]

  tags = { Name = "${local.name}-github" }
}

resource "aws_iam_role" "deploy" {
  count = var.github_repository == null ? 0 : 1

  name                 = "${local.name}-deploy"
  description          = "The pipeline's, for runs of the GitHub environment ${var.env}"
  max_session_duration = 3600
  assume_role_policy   = local.github_trust["deploy"]

  tags = { Name = "${local.name}-deploy" }

  depends_on = [aws_iam_openid_connect_provider.github]
}

locals {
  alarm_statements = [
    {
      Sid      = "RaiseTheAlarm"
      Effect   = "Allow"
      Action   = ["sns:Publish"]
      Resource = ["arn:${local.partition}:sns:${var.region}:${local.account}:${local.name}-alarms"]
    },
    {
      Sid      = "AlarmsAreEncrypted"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias and the service narrow it to one key.
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-data" }
        StringEquals               = { "kms:ViaService" = "sns.${var.region}.amazonaws.com" }
      }
    },
  ]

  deploy_statements = [
    { Sid = "RegistryLogin", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] }, # AWS names no resource for it.
    {
      Sid    = "PushImages"
      Effect = "Allow"
      Action = [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
        "ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
      ]
      Resource = ["arn:${local.partition}:ecr:${var.region}:${local.account}:repository/${local.name}-backend"]
    },
    {
      Sid    = "Stack"
      Effect = "Allow"
      Action = [
        "cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:DeleteStack", "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStackEvents", "cloudformation:DescribeStackResources", "cloudformation:DescribeStacks",
        "cloudformation:ExecuteChangeSet", "cloudformation:GetTemplate", "cloudformation:GetTemplateSummary",
        "cloudformation:TagResource", "cloudformation:UntagResource",
      ]
      Resource = [
        "arn:${local.partition}:cloudformation:${var.region}:${local.account}:stack/${local.name}-*/*",
        "arn:${local.partition}:cloudformation:${var.region}:aws:transform/Serverless-2016-10-31",
      ]
    },
    {
      Sid      = "Releases"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
      Resource = ["arn:${local.partition}:s3:::${local.bucket_names.releases}/*"]
    },
    {
      Sid    = "Functions"
      Effect = "Allow"
      # SAM makes, changes and removes functions, aliases, versions, permissions and event sources of this name alone.
      Action   = ["lambda:*"]
      Resource = ["${local.arn.lambda}:${local.name}-*", "arn:${local.partition}:lambda:${var.region}:${local.account}:layer:${local.name}-*"]
    },
    {
      # Who deploys code can replace what these two do (docs/explanation/security.md); to order something by them is for people.
      Sid      = "OperatesNothing"
      Effect   = "Deny"
      Action   = ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"]
      Resource = flatten([for name in local.operator_functions : ["${local.arn.lambda}:${local.name}-${name}", "${local.arn.lambda}:${local.name}-${name}:*"]])
    },
    {
      Sid      = "EventSources"
      Effect   = "Allow"
      Action   = ["lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping", "lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"]
      Resource = ["*"] # Their ids are made by Lambda; the function in the condition is what bounds them.
      Condition = {
        ArnLike = { "lambda:FunctionArn" = "${local.arn.lambda}:${local.name}-*" }
      }
    },
    {
      Sid      = "EventSourceTags"
      Effect   = "Allow"
      Action   = ["lambda:ListTags", "lambda:TagResource", "lambda:UntagResource"] # Lambda says of no tag whose function it is.
      Resource = ["arn:${local.partition}:lambda:${var.region}:${local.account}:event-source-mapping:*"]
    },
    {
      Sid      = "SeeTheNetwork"
      Effect   = "Allow"
      Action   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
      Resource = ["*"] # EC2 names no resource for them; CloudFormation looks before it puts a function into the VPC.
    },
    {
      Sid      = "FunctionsAreEncrypted"
      Effect   = "Allow"
      Action   = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
      Resource = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias and the service narrow it to one key.
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-data" }
        StringEquals               = { "kms:ViaService" = "lambda.${var.region}.amazonaws.com" }
      }
    },
    {
      Sid    = "HttpApi"
      Effect = "Allow"
      Action = ["apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT", "apigateway:TagResource"]
      Resource = [
        for path in concat(
          ["apis", "apis/*", "tags/*"], # Ids are made by API Gateway.
          var.api_domain == null ? [] : ["domainnames/${var.api_domain}/apimappings", "domainnames/${var.api_domain}/apimappings/*"],
        ) : "arn:${local.partition}:apigateway:${var.region}::/${path}"
      ]
    },
    {
      Sid    = "RulesAlarmsDeployments"
      Effect = "Allow"
      Action = [
        "cloudwatch:DeleteAlarms", "cloudwatch:ListTagsForResource", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource",
        "codedeploy:*", # Of the names below alone.
        "events:DeleteRule", "events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule", "events:PutRule", "events:PutTargets",
        "events:RemoveTargets", "events:TagResource", "events:UntagResource",
      ]
      Resource = [
        "arn:${local.partition}:cloudwatch:${var.region}:${local.account}:alarm:${local.name}-*",
        "arn:${local.partition}:codedeploy:${var.region}:${local.account}:application:${local.name}-*",
        "arn:${local.partition}:codedeploy:${var.region}:${local.account}:deploymentgroup:${local.name}-*/*",
        "arn:${local.partition}:codedeploy:${var.region}:${local.account}:deploymentconfig:*", # AWS's own configurations.
        "arn:${local.partition}:events:${var.region}:${local.account}:rule/${local.name}-*",
      ]
    },
    { Sid = "StopShift", Effect = "Allow", Action = ["codedeploy:StopDeployment"], Resource = ["*"] }, # AWS names no resource for it.
    { Sid = "SeeAlarms", Effect = "Allow", Action = ["cloudwatch:DescribeAlarms"], Resource = ["*"] }, # As CodeDeploy's role.
    {
      Sid      = "GiveFunctionsTheirRoles"
      Effect   = "Allow"
      Action   = ["iam:GetRole", "iam:PassRole"]
      Resource = [for name, _ in local.functions : "arn:${local.partition}:iam::${local.account}:role/${local.name}-${name}"]
      Condition = {
        StringEqualsIfExists = { "iam:PassedToService" = "lambda.amazonaws.com" }
      }
    },
    {
      Sid      = "GiveCodeDeployItsRole"
      Effect   = "Allow"
      Action   = ["iam:GetRole", "iam:PassRole"]
      Resource = ["arn:${local.partition}:iam::${local.account}:role/${local.name}-codedeploy"]
      Condition = {
        StringEqualsIfExists = { "iam:PassedToService" = "codedeploy.amazonaws.com" }
      }
    },
    {
      Sid      = "Rotation"
      Effect   = "Allow"
      Action   = ["secretsmanager:CancelRotateSecret", "secretsmanager:DescribeSecret", "secretsmanager:RotateSecret"]
      Resource = [local.secret_patterns.signing_key]
    },
    {
      Sid    = "AccessLogs"
      Effect = "Allow"
      # API Gateway sets up the delivery of its access log in the caller's name; AWS names no resource for it.
      Action = [
        "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
      ]
      Resource = ["*"] # See above.
    },
    {
      Sid      = "Parameters"
      Effect   = "Allow"
      Action   = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]
      Resource = ["arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/familycorp/${var.env}/*"]
    },
  ]
}

resource "aws_iam_role_policy" "deploy" {
  count = var.github_repository == null ? 0 : 1

  name   = "deploy"
  role   = aws_iam_role.deploy[0].id
  policy = jsonencode({ Version = "2012-10-17", Statement = concat(local.deploy_statements, local.alarm_statements) })
}

# What a plan needs, a pull request's as well as the main branch's: to look, to save the plan, and to raise the alarm where
# the account differs from the configuration. No data, no secrets.
resource "aws_iam_role" "plan" {
  count = var.github_repository == null ? 0 : 1

  name                 = "${local.name}-plan"
  description          = "The pipeline's, for plans in the GitHub environment ${var.env}-plan"
  max_session_duration = 3600
  assume_role_policy   = local.github_trust["plan"]

  tags = { Name = "${local.name}-plan" }

  depends_on = [aws_iam_openid_connect_provider.github]
}

# AWS's own list of what describes resources and holds no data of theirs.
resource "aws_iam_role_policy_attachment" "plan" {
  count = var.github_repository == null ? 0 : 1

  role       = aws_iam_role.plan[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/SecurityAudit"
}

resource "aws_iam_role_policy" "plan" {
  count = var.github_repository == null ? 0 : 1

  name = "plan"
  role = aws_iam_role.plan[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.alarm_statements, [
      {
        Sid      = "State"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:ListBucket"]
        Resource = [local.state_arn, "${local.state_arn}/*"]
      },
      {
        # The run that saved a plan knows its digest and applies no other, so a pull request can't have its own applied.
        Sid      = "SavePlans"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["${local.state_arn}/plans/*"] # Every plan of this environment.
      },
      {
        Sid      = "Parameters"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:GetParameters"]
        Resource = ["arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/familycorp/${var.env}/*"]
      },
      # What Terraform reads and SecurityAudit leaves out.
      { Sid = "Buckets", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [for name in values(local.bucket_names) : "arn:${local.partition}:s3:::${name}"] },
      { Sid = "Subscriptions", Effect = "Allow", Action = ["sns:GetSubscriptionAttributes"], Resource = ["*"] }, # AWS names no resource for it.
      {
        Sid      = "UserPool"
        Effect   = "Allow"
        Action   = ["cognito-idp:GetGroup", "cognito-idp:GetUserPoolMfaConfig", "cognito-idp:GetWebACLForResource"]
        Resource = ["arn:${local.partition}:cognito-idp:${var.region}:${local.account}:userpool/*"] # Its id is made by Cognito.
      },
      {
        Sid      = "Budget"
        Effect   = "Allow"
        Action   = ["budgets:ListTagsForResource", "budgets:ViewBudget"]
        Resource = ["arn:${local.partition}:budgets::${local.account}:budget/${local.name}-monthly"]
      },
      {
        Sid    = "Api"
        Effect = "Allow"
        Action = ["apigateway:GET"]
        Resource = [
          for path in concat(
            ["apis", "apis/*", "tags/*"], # Ids are made by API Gateway.
            var.api_domain == null ? [] : ["domainnames/${var.api_domain}", "domainnames/${var.api_domain}/*"],
          ) : "arn:${local.partition}:apigateway:${var.region}::/${path}"
        ]
      },
      ], !local.terraform_deploys ? [] : [
      {
        Sid      = "Functions"
        Effect   = "Allow"
        Action   = ["lambda:GetAlias", "lambda:GetFunction", "lambda:GetFunctionUrlConfig"]
        Resource = ["arn:${local.partition}:lambda:${var.region}:${local.account}:function:${local.name}-*"]
      },
      {
        Sid      = "Stream"
        Effect   = "Allow"
        Action   = ["lambda:GetEventSourceMapping"]
        Resource = ["arn:${local.partition}:lambda:${var.region}:${local.account}:event-source-mapping:*"] # Its id is made by Lambda.
      },
    ])
  })
}
