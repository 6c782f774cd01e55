locals {
  # Names are known before anything exists, so that a plan shows every policy in full and tests can read it.
  table_arns = {
    for name, table in aws_dynamodb_table.this :
    name => "arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${table.name}"
  }
  stream_arn = "${local.table_arns.events}/stream/*" # A stream's label is made by DynamoDB when it starts.
  topic_arn  = "arn:${local.partition}:sns:${var.region}:${local.account}:${local.name}-notices"
  queue_arn  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.name}-dead-letters"
  # A service may assume a role for resources of this account alone. AWS documents that flow logs send the account; the
  # others may leave the key out, and a trust that demands it would then never let them in.
  service_trust = {
    for name, service in {
      CodeDeploy = "codedeploy.amazonaws.com"
      FlowLogs   = "vpc-flow-logs.amazonaws.com"
      GuardDuty  = "malware-protection-plan.guardduty.amazonaws.com"
      RdsProxy   = "rds.amazonaws.com"
      } : name => jsonencode({
        Version = "2012-10-17"
        Statement = [{
          Sid       = name
          Effect    = "Allow"
          Action    = "sts:AssumeRole"
          Principal = { Service = service }
          Condition = { (name == "FlowLogs" ? "StringEquals" : "StringEqualsIfExists") = { "aws:SourceAccount" = local.account } }
        }]
    })
  }

  # Each statement has its reason; those that belong together have one name. `grants` says who has which.
  statements = {
    posts_read = {
      reason    = "Visitors are served from snapshots; a publication replaces them and counts views."
      actions   = ["dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = [local.table_arns.posts]
    }
    posts_indexes = {
      reason    = "Lists, slugs and translations are looked up in the table's indexes."
      actions   = ["dynamodb:Query"]
      resources = ["${local.table_arns.posts}/index/*"] # Every index of this one table.
    }
    posts_write = {
      reason    = "Draining the outbox replaces snapshots."
      actions   = ["dynamodb:UpdateItem"]
      resources = [local.table_arns.posts]
    }
    posts_views = {
      reason    = "When a day ends, the counters of every public post are copied."
      actions   = ["dynamodb:BatchGetItem"]
      resources = [local.table_arns.posts]
    }
    events_write = {
      reason    = "A write leaves its event, and a marker that is cleared when its work is done."
      actions   = ["dynamodb:DeleteItem", "dynamodb:PutItem"]
      resources = [local.table_arns.events]
    }
    events_due = {
      reason    = "The scheduler reads wake-up markers."
      actions   = ["dynamodb:Query"]
      resources = [local.table_arns.events]
    }
    destructions_check = {
      reason    = "What the destruction record names is never served, whatever backup the database comes from."
      actions   = ["dynamodb:BatchGetItem"]
      resources = [local.table_arns.events]
    }
    sessions_check = {
      reason    = "Every request looks its session up; admins end sessions, inquiries count against a limit."
      actions   = ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"]
      resources = [local.table_arns.sessions]
    }
    sessions_profiles = {
      reason    = "Draining the outbox writes what every request must know of a member: since when their sessions count, too."
      actions   = ["dynamodb:UpdateItem"]
      resources = [local.table_arns.sessions]
    }
    sessions_own = {
      reason    = "Logging in makes, rotates and ends sessions and keeps factors and public keys."
      actions   = ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
      resources = [local.table_arns.sessions]
    }
    sessions_erase = {
      reason    = "Erasing a member removes what their sessions and second factors have of them."
      actions   = ["dynamodb:DeleteItem", "dynamodb:Query"]
      resources = [local.table_arns.sessions]
    }
    no_public_keys = {
      reason     = "Who could publish a public key could sign tokens with its private half: only the auth function may."
      effect     = "Deny"
      actions    = ["dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources  = [local.table_arns.sessions]
      conditions = { "ForAnyValue:StringEquals" = { "dynamodb:LeadingKeys" = ["keys"] } }
    }
    tables_key = {
      reason    = "DynamoDB decrypts its tables in the caller's name, and for nobody else."
      actions   = ["kms:Decrypt"]
      resources = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias and the service narrow it to one key.
      conditions = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-data" }
        StringEquals               = { "kms:ViaService" = "dynamodb.${var.region}.amazonaws.com" }
      }
    }
    uploads_restore = {
      reason    = "Taking a deletion back removes its marker, which is a version."
      actions   = ["s3:DeleteObjectVersion"]
      resources = ["${local.bucket_arn}/files/*"] # Every object below this prefix.
    }
    uploads_list = {
      reason    = "Looks for a file's versions and thumbnails; without it S3 answers 403 for what is absent."
      actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
      resources = [local.bucket_arn]
      # A request for an object has no prefix, and must get 404 if there is none.
      conditions = { StringLikeIfExists = { "s3:prefix" = ["quarantine/*", "files/*"] } }
    }
    uploads_check = {
      reason    = "Forms and links are signed with the role; what arrived is read, joined, and removed with every version."
      actions   = ["s3:AbortMultipartUpload", "s3:DeleteObjectVersion", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
      resources = ["${local.bucket_arn}/quarantine/*"] # Every object below this prefix.
    }
    uploads_sign = {
      reason    = "Operators send files of an import by forms that are signed with the role; those in parts are joined."
      actions   = ["s3:ListMultipartUploadParts", "s3:PutObject"]
      resources = ["${local.bucket_arn}/quarantine/*"] # Every object below this prefix.
    }
    uploads_keep = {
      reason    = "Stores checked files and their thumbnails."
      actions   = ["s3:PutObject"]
      resources = ["${local.bucket_arn}/files/*"] # Every object below this prefix.
    }
    uploads_hide = {
      reason    = "Hides files that were deleted, or that nothing names any more."
      actions   = ["s3:DeleteObject"]
      resources = ["${local.bucket_arn}/files/*"] # Every object below this prefix.
    }
    uploads_link = {
      reason    = "Links to checked files are signed with the role."
      actions   = ["s3:GetObject"]
      resources = ["${local.bucket_arn}/files/*"] # Every object below this prefix.
    }
    media_place = {
      reason    = "Copies a public post's pictures to where visitors get them, and removes them with the last post."
      actions   = ["s3:DeleteObjectVersion", "s3:PutObject"]
      resources = ["${local.media_arn}/media/*"] # Every object below this prefix.
    }
    media_list = {
      reason     = "Looks which pictures are there, and which of their versions."
      actions    = ["s3:ListBucket", "s3:ListBucketVersions"]
      resources  = [local.media_arn]
      conditions = { StringLike = { "s3:prefix" = ["media/*"] } }
    }
    media_link = {
      reason    = "Redirects lead to pictures by links that are signed with the role, where there is no CDN."
      actions   = ["s3:GetObject"]
      resources = ["${local.media_arn}/media/*"] # Every object below this prefix.
    }
    uploads_key = {
      reason    = "S3 encrypts and decrypts objects in the caller's name, and for nobody else."
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias and the service narrow it to one key.
      conditions = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-data" }
        StringEquals               = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" }
      }
    }
    exchange_export = {
      reason    = "What operators take out goes to them through a bucket."
      actions   = ["s3:PutObject"]
      resources = ["${local.exchange_arn}/exports/*"] # Every object below this prefix.
    }
    exchange_import = {
      reason    = "What operators bring comes through the bucket; beside it stands how far an import is."
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${local.exchange_arn}/imports/*"] # Every object below this prefix.
    }
    exchange_list = {
      reason     = "Looks whether an import was begun; without it S3 answers 403 for what is absent."
      actions    = ["s3:ListBucket"]
      resources  = [local.exchange_arn]
      conditions = { StringLikeIfExists = { "s3:prefix" = ["imports/*"] } }
    }
    cache = {
      reason  = "Connects to Valkey as the one user that there is."
      actions = ["elasticache:Connect"]
      resources = [
        for what in ["replicationgroup", "serverlesscache"] :
        "arn:${local.partition}:elasticache:${var.region}:${local.account}:${what}:${local.name}-cache"
        if(what == "serverlesscache") == (var.cache_mode == "serverless")
      ]
    }
    cache_user = {
      reason    = "ElastiCache requires permission on the user, too."
      actions   = ["elasticache:Connect"]
      resources = ["arn:${local.partition}:elasticache:${var.region}:${local.account}:user:${local.cache_user}"]
    }
    signing_key_read = {
      reason    = "Signs access tokens."
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [local.secret_patterns.signing_key]
    }
    signing_key_rotate = {
      reason    = "Makes the next signing key and puts it into force."
      actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
      resources = [local.secret_patterns.signing_key]
    }
    oidc_client_read = {
      reason    = "Authenticates to the OpenID provider."
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [local.secret_patterns.oidc_client]
    }
    secrets_key = {
      reason    = "Secrets Manager decrypts in the caller's name, and for nobody else."
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias and the service narrow it to one key.
      conditions = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-data" }
        StringEquals               = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" }
      }
    }
    factors_key = {
      reason     = "Encrypts and decrypts TOTP secrets, each for the member it names."
      actions    = ["kms:Decrypt", "kms:Encrypt"]
      resources  = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias narrows it to one key.
      conditions = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-factors" } }
    }
    stream = {
      reason    = "Lambda reads the stream in the function's name."
      actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
      resources = [local.stream_arn]
    }
    stream_list = {
      reason    = "Lambda finds the stream; DynamoDB has no resource for that."
      actions   = ["dynamodb:ListStreams"]
      resources = ["*"]
    }
    notices = {
      reason    = "Tells those who subscribed to notices."
      actions   = ["sns:Publish"]
      resources = [local.topic_arn]
    }
    topics_key = {
      reason    = "SNS encrypts in the caller's name, and for nobody else."
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias and the service narrow it to one key.
      conditions = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-data" }
        StringLike                 = { "kms:ViaService" = ["sns.${var.region}.amazonaws.com", "sqs.${var.region}.amazonaws.com"] }
      }
    }
    dead_letters = {
      reason    = "Lambda leaves what failed for good in the queue, in the function's name."
      actions   = ["sqs:SendMessage"]
      resources = [local.queue_arn]
    }
    network = {
      reason    = "Lambda makes the function's network interfaces in its name; EC2 names no resource for them beforehand."
      actions   = local.eni_actions
      resources = ["*"]
    }
    no_network_itself = {
      reason     = "The interfaces are Lambda's to make: code that runs in a function may not."
      effect     = "Deny"
      actions    = local.eni_actions
      resources  = ["*"]
      conditions = { ArnLike = { "lambda:SourceFunctionArn" = ["${local.arn.lambda}:${local.name}-*"] } }
    }
  }

  cached    = var.cache_mode == "none" ? [] : ["cache", "cache_user"]
  in_vpc    = ["network", "no_network_itself"]
  dead_ends = ["dead_letters", "topics_key"]

  grants = {
    backend = concat(
      ["posts_read", "posts_indexes", "events_write", "destructions_check", "sessions_check", "no_public_keys", "tables_key"],
      ["uploads_check", "uploads_keep", "uploads_hide", "uploads_link", "uploads_restore", "uploads_list", "uploads_key"],
      ["media_place", "media_list", "media_link"], local.cached, local.in_vpc
    )
    auth = concat(
      ["sessions_own", "tables_key", "signing_key_read", "secrets_key", "factors_key"],
      var.oidc_client_has_secret ? ["oidc_client_read"] : []
    )
    events = ["stream", "stream_list", "tables_key", "notices", "topics_key", "dead_letters"]
    drain = concat(
      ["posts_indexes", "posts_views", "posts_write", "events_write", "events_due", "destructions_check", "sessions_profiles", "sessions_erase", "no_public_keys", "tables_key"],
      ["uploads_check", "uploads_keep", "uploads_hide", "uploads_link", "uploads_list", "uploads_key"],
      ["media_place", "media_list"], local.dead_ends, local.cached, local.in_vpc
    )
    migrations = local.in_vpc
    uploads = concat(
      ["posts_write", "events_write", "sessions_profiles", "no_public_keys", "tables_key"],
      ["uploads_check", "uploads_keep", "uploads_link", "uploads_list", "uploads_key"],
      ["media_place", "media_list"], local.dead_ends, local.cached, local.in_vpc
    )
    rotation      = ["signing_key_rotate", "secrets_key"]
    operator-read = concat(["destructions_check", "tables_key", "exchange_export", "uploads_key", "uploads_link"], local.in_vpc)
    operator-write = concat(
      ["posts_write", "events_write", "sessions_profiles", "sessions_erase", "no_public_keys", "tables_key", "exchange_import", "exchange_list", "uploads_key"],
      ["uploads_link", "uploads_sign", "media_place", "media_list"], local.cached, local.in_vpc
    )
  }

  policies = {
    for name, granted in local.grants : name => {
      Version = "2012-10-17"
      Statement = concat(
        [for key in granted : merge(
          {
            Sid      = replace(title(replace(key, "_", " ")), " ", "")
            Effect   = try(local.statements[key].effect, "Allow")
            Action   = local.statements[key].actions
            Resource = local.statements[key].resources
          },
          try({ Condition = local.statements[key].conditions }, {})
        )],
        [{
          Sid      = "OwnLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"] # Terraform makes the group, with its retention.
          Resource = ["${local.arn.logs}:/aws/lambda/${local.name}-${name}:*"]
        }]
      )
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = "${local.name}-${each.key}"
  description          = "Lambda function that ${each.value.purpose}"
  permissions_boundary = local.boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Lambda"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "function"
  role   = aws_iam_role.function[each.key].id
  policy = jsonencode(local.policies[each.key])
}

# Apart from the rest, because the identifiers of proxy and cluster are known only once they exist.
resource "aws_iam_role_policy" "database" {
  for_each = { for name, function in local.functions : name => name == "migrations" ? local.migrations_user : local.database_user if function.vpc }

  name = "database"
  role = aws_iam_role.function[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "ConnectAsOneUser"
      Effect = "Allow"
      Action = ["rds-db:connect"]
      Resource = [
        "arn:${local.partition}:rds-db:${var.region}:${local.account}:dbuser:${
          var.database_proxy && each.key != "migrations"
          ? element(split(":", aws_db_proxy.main[0].arn), 6)
          : aws_rds_cluster.main.cluster_resource_id
        }/${each.value}"
      ]
    }]
  })
}

# With it CodeDeploy moves an alias step by step, and back when an alarm rings.
resource "aws_iam_role" "codedeploy" {
  name                 = "${local.name}-codedeploy"
  description          = "CodeDeploy, which shifts traffic between versions of a function"
  permissions_boundary = local.boundary_arn

  assume_role_policy = local.service_trust["CodeDeploy"]

  tags = { Name = "${local.name}-codedeploy" }
}

resource "aws_iam_role_policy" "codedeploy" {
  #checkov:skip=CKV_AWS_355:DescribeAlarms answers for composite alarms only where it is allowed for all.
  name = "codedeploy"
  role = aws_iam_role.codedeploy.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ShiftAliases"
        Effect   = "Allow"
        Action   = ["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"]
        Resource = ["${local.arn.lambda}:${local.name}-backend:*", "${local.arn.lambda}:${local.name}-auth:*", "${local.arn.lambda}:${local.name}-backend", "${local.arn.lambda}:${local.name}-auth"]
      },
      { Sid = "WatchAlarms", Effect = "Allow", Action = ["cloudwatch:DescribeAlarms"], Resource = ["*"] }, # AWS names no resource for it.
    ]
  })
}

resource "aws_iam_role" "proxy" {
  count = var.database_proxy ? 1 : 0

  name                 = "${local.name}-proxy"
  description          = "RDS Proxy, which reads the password of the application's user"
  permissions_boundary = local.boundary_arn

  assume_role_policy = local.service_trust["RdsProxy"]

  tags = { Name = "${local.name}-proxy" }
}

resource "aws_iam_role_policy" "proxy" {
  count = var.database_proxy ? 1 : 0

  name = "proxy"
  role = aws_iam_role.proxy[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "DatabaseSecret", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = [local.secret_patterns.database] },
      {
        Sid      = "ItsKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias and the service narrow it to one key.
        Condition = {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-data" }
          StringEquals               = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" }
        }
      },
    ]
  })
}

resource "aws_iam_role" "flow" {
  count = var.flow_logs ? 1 : 0

  name                 = "${local.name}-flow"
  description          = "VPC flow logs"
  permissions_boundary = local.boundary_arn

  assume_role_policy = local.service_trust["FlowLogs"]

  tags = { Name = "${local.name}-flow" }
}

resource "aws_iam_role_policy" "flow" {
  count = var.flow_logs ? 1 : 0

  name = "flow"
  role = aws_iam_role.flow[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "OwnGroup"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = ["${local.arn.logs}:/aws/vpc/${local.name}-flow:*"]
    }]
  })
}
