# Made unless another issuer is given.
locals {
  oidc_issuer    = local.cognito ? "https://cognito-idp.${var.region}.amazonaws.com/${aws_cognito_user_pool.staff[0].id}" : var.oidc_issuer
  oidc_client_id = local.cognito ? aws_cognito_user_pool_client.backend[0].id : var.oidc_client_id

  # Cognito answers a logout without `logout_uri` with an error page, and one with an address it doesn't know as well.
  post_logout_uri = local.cognito ? coalesce(var.oidc_post_logout_uri, var.site_url) : var.oidc_post_logout_uri
}

resource "aws_cognito_user_pool" "staff" {
  count = local.cognito ? 1 : 0

  name                     = "${local.name}-staff"
  user_pool_tier           = "ESSENTIALS"
  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]
  deletion_protection      = var.deletion_protection ? "ACTIVE" : "INACTIVE"
  # The application asks everybody for a factor of its own (docs/explanation/security.md): one here is a second code at each login.
  mfa_configuration = var.user_pool_mfa ? "ON" : "OFF"

  # By an authenticator alone: an SMS can be intercepted, and costs. AWS refuses a configuration beside "OFF".
  dynamic "software_token_mfa_configuration" {
    for_each = var.user_pool_mfa ? [true] : []

    content {
      enabled = true
    }
  }

  username_configuration {
    case_sensitive = false
  }

  password_policy {
    minimum_length                   = 14
    require_lowercase                = false # Length, not composition (NIST SP 800-63B).
    require_numbers                  = false
    require_symbols                  = false
    require_uppercase                = false
    temporary_password_validity_days = 3
  }

  admin_create_user_config {
    allow_admin_create_user_only = true # Staff are invited; nobody signs up.
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }

  tags = { Name = "${local.name}-staff" }
}

resource "aws_cognito_user_pool_domain" "staff" {
  count = local.cognito ? 1 : 0

  domain       = coalesce(var.cognito_domain_prefix, "${local.name}-staff")
  user_pool_id = aws_cognito_user_pool.staff[0].id
}

resource "aws_cognito_user_pool_client" "backend" {
  count = local.cognito ? 1 : 0

  name         = "${local.name}-backend"
  user_pool_id = aws_cognito_user_pool.staff[0].id

  # A public client secured by PKCE: Cognito would put a client secret into Terraform's state.
  generate_secret                      = false
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["code"]
  allowed_oauth_scopes                 = var.oidc_scopes
  callback_urls                        = ["${local.api_url}/v1/auth/callback"]
  logout_urls                          = [local.post_logout_uri]
  supported_identity_providers         = ["COGNITO"]
  explicit_auth_flows                  = ["ALLOW_REFRESH_TOKEN_AUTH"] # No password ever passes through us.
  prevent_user_existence_errors        = "ENABLED"
  enable_token_revocation              = true
  access_token_validity                = 15
  id_token_validity                    = 15
  refresh_token_validity               = 1

  token_validity_units {
    access_token  = "minutes"
    id_token      = "minutes"
    refresh_token = "hours" # We keep sessions ourselves and never use it.
  }
}

resource "aws_cognito_user_group" "staff" {
  for_each = local.cognito ? var.role_groups : {}

  name         = each.key
  description  = "Gives the role ${each.value}"
  user_pool_id = aws_cognito_user_pool.staff[0].id
}
