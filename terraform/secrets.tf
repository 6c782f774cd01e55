# Terraform makes the containers and never sees a value: neither plan nor state holds a secret.
locals {
  secrets = merge(
    { signing_key = "Private key of access tokens, a JWK" },
    var.database_proxy ? { database = "The application's database user, for RDS Proxy" } : {},
    var.oidc_client_has_secret ? { oidc_client = "Client secret of the OpenID provider" } : {},
  )
  signing_key_readers = ["${local.name}-auth", "${local.name}-rotation"]
}

resource "aws_secretsmanager_secret" "this" {
  for_each = local.secrets

  name                    = local.secret_names[each.key]
  description             = each.value
  kms_key_id              = aws_kms_key.data.arn
  recovery_window_in_days = var.deletion_protection ? 30 : 0

  tags = { Name = local.secret_names[each.key] }
}

# Whatever other policies say: nobody but these two functions, and the account's own operators writing a first value,
# gets at the signing key. Operators may put a key, not read one.
data "aws_iam_policy_document" "signing_key" {
  statement {
    sid       = "OnlyTheAuthFunctionReads"
    effect    = "Deny"
    actions   = ["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"]
    resources = ["*"] # In a secret's policy `*` is this secret.

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnNotEquals"
      variable = "aws:PrincipalArn"
      values   = [for name in local.signing_key_readers : "arn:${local.partition}:iam::${local.account}:role/${name}"]
    }
  }
}

resource "aws_secretsmanager_secret_policy" "signing_key" {
  secret_arn          = aws_secretsmanager_secret.this["signing_key"].arn
  policy              = data.aws_iam_policy_document.signing_key.json
  block_public_policy = true
}

# With SAM as the deployer the schedule is in its template, beside the function.
resource "aws_secretsmanager_secret_rotation" "signing_key" {
  count = local.terraform_deploys ? 1 : 0

  secret_id           = aws_secretsmanager_secret.this["signing_key"].id
  rotation_lambda_arn = aws_lambda_alias.live["rotation"].arn
  rotate_immediately  = false # `familycorp infra signing-key` wrote the first key.

  rotation_rules {
    automatically_after_days = var.signing_key_rotation_days
  }

  depends_on = [aws_lambda_permission.rotation]
}
