data "aws_availability_zones" "available" {
  state = "available"

  # Local and wavelength zones don't offer Aurora.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  zones   = slice(data.aws_availability_zones.available.names, 0, 2)
  root    = "arn:${local.partition}:iam::${local.account}:root"
  cognito = var.oidc_issuer == null
  cors    = yamldecode(file("${path.module}/cors.yaml"))

  # What the application reads: `FAMILYCORP_<NAME>`, the names of app.core.settings. The same map makes the parameters
  # that SAM's template resolves and, when Terraform deploys, the functions' environment.
  settings = merge(
    {
      ENV                    = var.env
      LOG_LEVEL              = var.log_level
      LOG_SAMPLE_RATE        = tostring(var.log_sample_rate)
      AWS_REGION             = var.region
      SITE_URL               = var.site_url
      CORS_ORIGINS           = join(",", var.cors_origins)
      API_URL                = local.api_url
      WEBAUTHN_RP_ID         = var.webauthn_rp_id
      DATABASE_URL           = "mysql+aiomysql://${local.database_user}@${local.database_host}:3306/${local.database_name}"
      OIDC_ISSUER            = local.oidc_issuer
      OIDC_CLIENT_ID         = local.oidc_client_id
      OIDC_SCOPES            = join(",", var.oidc_scopes)
      OIDC_GROUPS_CLAIM      = local.cognito ? "cognito:groups" : var.oidc_groups_claim
      MALWARE_SCANNER        = var.malware_scanner
      INQUIRY_RETENTION_DAYS = tostring(var.inquiry_retention_days)
      ROLE_GROUPS            = join(",", [for group, role in var.role_groups : "${group}=${role}"])
    },
    var.cache_mode == "none" ? {} : { CACHE_URL = "rediss://${local.cache_user}@${local.cache_host}:6379" },
    var.bucket_suffix == null ? {} : { UPLOADS_BUCKET_NAME = local.bucket_names.uploads, EXCHANGE_BUCKET_NAME = local.bucket_names.exchange, MEDIA_BUCKET_NAME = local.bucket_names.media },
    local.media_cdn ? { MEDIA_URL = "https://${var.media_domain}" } : {},
    var.staff_url == null ? {} : { STAFF_URL = var.staff_url },
    var.preview_url == null ? {} : { PREVIEW_URL = var.preview_url },
    local.post_logout_uri == null ? {} : { OIDC_POST_LOGOUT_URI = local.post_logout_uri },
    var.oidc_client_has_secret ? { OIDC_CLIENT_SECRET_ID = local.secret_names.oidc_client } : {},
  )

  # The migrations connect as a user who may change the schema, straight to the cluster: DDL would pin the proxy.
  settings_of = {
    for name, _ in local.functions : name => merge(
      local.settings,
      name == "migrations" ? {
        DATABASE_URL = "mysql+aiomysql://${local.migrations_user}@${aws_rds_cluster.main.endpoint}:3306/${local.database_name}"
      } : {}
    )
  }
}
