variable "env" {
  description = "Which environment this is; every name begins with familycorp-<env>."
  type        = string

  validation {
    condition     = contains(["dev", "stage", "prod"], var.env)
    error_message = "env must be dev, stage or prod: choose one with -var-file=envs/<env>.tfvars."
  }
}

variable "region" {
  description = "AWS region of everything."
  type        = string
  default     = "ap-northeast-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region's code, as ap-northeast-2."
  }
}

variable "account_id" {
  description = "The account that this environment belongs to; plans for any other are refused. Null allows any."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null ? true : can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have twelve digits, as `aws sts get-caller-identity` shows them."
  }
}

variable "owner" {
  description = "Tag `owner`: who answers for these resources."
  type        = string
  default     = "platform"

  validation {
    condition     = can(regex("^[a-z0-9-]{2,40}$", var.owner))
    error_message = "owner must be 2 to 40 small letters, digits or hyphens, as platform."
  }
}

variable "cost_center" {
  description = "Tag `cost-center`: whom they are charged to."
  type        = string
  default     = "web"

  validation {
    condition     = can(regex("^[a-z0-9-]{2,40}$", var.cost_center))
    error_message = "cost_center must be 2 to 40 small letters, digits or hyphens, as web."
  }
}

variable "app_deployer" {
  description = "Who owns functions and HTTP API: `sam` (its template, in the pipeline) or `terraform`. One at a time."
  type        = string
  default     = "sam"

  validation {
    condition     = contains(["sam", "terraform"], var.app_deployer)
    error_message = "app_deployer must be sam or terraform."
  }
}

variable "image_digest" {
  description = "Digest of the image of the functions that serve HTTP; used with app_deployer = \"terraform\" alone."
  type        = string
  default     = null

  validation {
    condition     = var.image_digest == null ? true : can(regex("^sha256:[0-9a-f]{64}$", var.image_digest))
    error_message = "image_digest must be sha256: and 64 hexadecimal digits, as `docker push` prints it; tags are refused."
  }
}

variable "functions_image_digest" {
  description = "Digest of the image of the functions that serve no HTTP; used with app_deployer = \"terraform\" alone."
  type        = string
  default     = null

  validation {
    condition     = var.functions_image_digest == null ? true : can(regex("^sha256:[0-9a-f]{64}$", var.functions_image_digest))
    error_message = "functions_image_digest must be sha256: and 64 hexadecimal digits, as `docker push` prints it; tags are refused."
  }
}

variable "bucket_suffix" {
  description = "End of every bucket's name, where familycorp-<env>-uploads, -logs or -releases belongs to another account: S3 bucket names are globally unique."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_suffix == null ? true : can(regex("^[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?$", var.bucket_suffix))
    error_message = "bucket_suffix must be 1 to 30 lower-case letters, digits or inner hyphens, as kr-4711."
  }
}

variable "deletion_protection" {
  description = "Whether database, tables, user pool and filled buckets refuse to be deleted. Must be true in Prod."
  type        = bool
  default     = true

  validation {
    condition     = var.deletion_protection || var.env != "prod"
    error_message = "deletion_protection can't be switched off in Prod: set it to true."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([7, 14, 30, 60, 90, 180, 365, 731], var.log_retention_days)
    error_message = "log_retention_days must be one of 7, 14, 30, 60, 90, 180, 365, 731, which CloudWatch knows."
  }
}

variable "log_level" {
  description = "Least level that the application logs."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be DEBUG, INFO, WARNING or ERROR."
  }
}

variable "log_sample_rate" {
  description = "Share of requests that are logged from DEBUG on, with any log_level."
  type        = number
  default     = 0

  validation {
    condition     = var.log_sample_rate >= 0 && var.log_sample_rate <= 1
    error_message = "log_sample_rate must be 0 to 1."
  }
}

# -- addresses ----------------------------------------------------------------------------------------------------

variable "site_url" {
  description = "Origin of the public site."
  type        = string

  validation {
    condition     = can(regex("^${local.public_origin}$", var.site_url)) && !can(regex(local.private_networks, var.site_url))
    error_message = "site_url must be a public https:// origin without a path, as https://www.familycorp.example."
  }
}

variable "cors_origins" {
  description = "Exact origins whose pages may call the API."
  type        = list(string)

  validation {
    condition     = alltrue([for o in var.cors_origins : can(regex("^${local.public_origin}$", o)) && !can(regex(local.private_networks, o))])
    error_message = "cors_origins must be exact public https:// origins as browsers send them, without a path; * is refused: list each."
  }
}

variable "api_domain" {
  description = "Host name of the API, for which a certificate is made. Null leaves the API its execute-api address."
  type        = string
  default     = null

  validation {
    condition     = var.api_domain == null ? true : can(regex("^${local.public_domain}$", var.api_domain)) && !can(regex(local.private_networks, var.api_domain))
    error_message = "api_domain must be a public host name without scheme or path, as api.familycorp.example."
  }
}

variable "media_domain" {
  description = "Host name of the pictures' CDN, for which a certificate is made. Null leaves pictures to redirects of the API."
  type        = string
  default     = null

  validation {
    condition     = var.media_domain == null ? true : can(regex("^${local.public_domain}$", var.media_domain)) && !can(regex(local.private_networks, var.media_domain)) && var.media_domain != var.api_domain
    error_message = "media_domain must be a public host name without scheme or path, and not the API's, as media.familycorp.example."
  }
}

variable "api_url" {
  description = "Origin of the API as browsers see it, where there is no api_domain."
  type        = string
  default     = null

  validation {
    condition     = (var.api_url == null) == (var.api_domain != null) && (var.api_url == null ? true : can(regex("^${local.public_origin}$", var.api_url)) && !can(regex(local.private_networks, var.api_url)))
    error_message = "Give either api_domain or api_url, and api_url as a public https:// origin without a path."
  }
}

variable "route53_zone_id" {
  description = "Hosted zone in which records for api_domain are made. Null: they are made by hand."
  type        = string
  default     = null

  validation {
    condition     = var.route53_zone_id == null ? true : can(regex("^Z[A-Z0-9]+$", var.route53_zone_id))
    error_message = "route53_zone_id must be a hosted zone's id, which begins with Z."
  }
}

variable "webauthn_rp_id" {
  description = "Domain that the staff's pages share; passkeys are bound to it for good."
  type        = string

  validation {
    condition     = can(regex("^${local.public_domain}$", var.webauthn_rp_id)) && !can(regex(local.private_networks, var.webauthn_rp_id))
    error_message = "webauthn_rp_id must be a domain, as familycorp.example; localhost won't do in AWS."
  }
}

variable "api_rate" {
  description = "Requests per second that the API lets through, all clients together."
  type        = number
  default     = 100

  validation {
    condition     = var.api_rate >= 1 && var.api_rate <= 10000
    error_message = "api_rate must be 1 to 10000, the region's own limit."
  }
}

variable "api_burst" {
  description = "Requests that the API lets through at once."
  type        = number
  default     = 200

  validation {
    condition     = var.api_burst >= 1 && var.api_burst <= 5000
    error_message = "api_burst must be 1 to 5000, the region's own limit."
  }
}

# -- network ------------------------------------------------------------------------------------------------------

variable "vpc_cidr" {
  description = "Addresses of the VPC; each subnet takes a 256th of them."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 8, 2)) && can(regex("/(16|17|18|19|20)$", var.vpc_cidr))
    error_message = "vpc_cidr must be a network of /16 to /20, as 10.0.0.0/16."
  }
}

variable "flow_logs" {
  description = "Whether refused connections within the VPC are logged."
  type        = bool
  default     = false
}

variable "interface_endpoints" {
  description = "Which interface endpoints to make. None is needed; each bills by the hour in both zones."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.interface_endpoints, ["sqs", "sns", "secretsmanager", "sts", "logs", "ssm", "kms"])) == 0
    error_message = "interface_endpoints may hold sqs, sns, secretsmanager, sts, logs, ssm and kms: take out the others."
  }
}

# -- database -----------------------------------------------------------------------------------------------------

variable "database_engine_version" {
  description = "Version of Aurora MySQL; pausing needs 3.08 or newer."
  type        = string
  default     = "8.0.mysql_aurora.3.08.2"

  validation {
    condition     = can(regex("^8\\.0\\.mysql_aurora\\.3\\.(0[8-9]|[1-9][0-9])\\.[0-9]+$", var.database_engine_version))
    error_message = "database_engine_version must be Aurora MySQL 3.08 or newer, as 8.0.mysql_aurora.3.08.2."
  }
}

variable "database_min_acu" {
  description = "Least capacity in ACU; 0 lets the database pause when nobody uses it."
  type        = number

  validation {
    condition     = var.database_min_acu >= 0 && var.database_min_acu <= 256 && floor(var.database_min_acu * 2) == var.database_min_acu * 2
    error_message = "database_min_acu must be 0 to 256 in steps of a half."
  }
}

variable "database_max_acu" {
  description = "Most capacity in ACU: the upper bound on the database's bill."
  type        = number

  validation {
    condition     = var.database_max_acu >= 1 && var.database_max_acu <= 256 && floor(var.database_max_acu * 2) == var.database_max_acu * 2
    error_message = "database_max_acu must be 1 to 256 in steps of a half."
  }
}

variable "database_auto_pause_s" {
  description = "Seconds without a connection after which a database with database_min_acu = 0 pauses."
  type        = number
  default     = 300

  validation {
    condition     = var.database_auto_pause_s >= 300 && var.database_auto_pause_s <= 86400
    error_message = "database_auto_pause_s must be 300 to 86400."
  }
}

variable "database_instances" {
  description = "Instances of the cluster; the second is in the other zone and takes over within a minute."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2], var.database_instances) && (var.env != "prod" || var.database_instances == 2)
    error_message = "database_instances must be 1 or 2, and 2 in Prod."
  }
}

variable "database_backup_days" {
  description = "Days to which the database can be restored."
  type        = number
  default     = 7

  validation {
    condition     = var.database_backup_days >= 1 && var.database_backup_days <= 35 && (var.env != "prod" || var.database_backup_days >= 14)
    error_message = "database_backup_days must be 1 to 35, and at least 14 in Prod."
  }
}

variable "database_proxy" {
  description = "Whether RDS Proxy stands before the database. It bills at least 8 ACU and keeps the database awake."
  type        = bool
  default     = false
}

# -- cache --------------------------------------------------------------------------------------------------------

variable "cache_mode" {
  description = "Valkey: `replication_group` (nodes), `serverless` (by use, at least 100 MB), or `none`."
  type        = string
  default     = "serverless"

  validation {
    condition     = contains(["none", "replication_group", "serverless"], var.cache_mode)
    error_message = "cache_mode must be none, replication_group or serverless."
  }
}

variable "cache_node_type" {
  description = "Node type of the replication group."
  type        = string
  default     = "cache.t4g.small"

  validation {
    condition     = can(regex("^cache\\.[a-z0-9]+\\.[a-z0-9]+$", var.cache_node_type))
    error_message = "cache_node_type must be a node type, as cache.t4g.small."
  }
}

variable "cache_nodes" {
  description = "Nodes of the replication group; from two on one takes over when another fails."
  type        = number
  default     = 2

  validation {
    condition     = var.cache_nodes >= 1 && var.cache_nodes <= 6
    error_message = "cache_nodes must be 1 to 6."
  }
}

# -- logging in ---------------------------------------------------------------------------------------------------

variable "oidc_issuer" {
  description = "Issuer of another OpenID provider than Cognito. Null makes a user pool."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_issuer == null ? true : can(regex("^${local.public_origin}(?:/[!-~]*)?$", var.oidc_issuer)) && !can(regex("[?#]", var.oidc_issuer)) && !can(regex(local.private_networks, var.oidc_issuer))
    error_message = "oidc_issuer must be a public https:// address without query, exactly as the discovery document names it."
  }
}

variable "oidc_client_id" {
  description = "What the other provider calls this application."
  type        = string
  default     = null

  validation {
    condition     = (var.oidc_client_id == null) == (var.oidc_issuer == null)
    error_message = "oidc_client_id and oidc_issuer belong together: give both, or neither for Cognito."
  }
}

variable "oidc_client_has_secret" {
  description = "Whether the other provider issued a client secret, which an operator puts into Secrets Manager."
  type        = bool
  default     = false

  validation {
    condition     = !var.oidc_client_has_secret || var.oidc_issuer != null
    error_message = "Cognito's client is a public one: leave oidc_client_has_secret false, or give oidc_issuer."
  }
}

variable "oidc_scopes" {
  description = "Scopes that are requested from the provider."
  type        = list(string)
  default     = ["openid", "email", "profile"]

  validation {
    condition     = contains(var.oidc_scopes, "openid")
    error_message = "oidc_scopes must contain openid."
  }
}

variable "oidc_post_logout_uri" {
  description = "Where the provider sends people after they logged out there too; it must be registered with another provider than Cognito. Null: with Cognito site_url, with another none is named."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_post_logout_uri == null ? true : can(regex("^${local.public_origin}(?:/[!-~]*)?$", var.oidc_post_logout_uri)) && !can(regex(local.private_networks, var.oidc_post_logout_uri))
    error_message = "oidc_post_logout_uri must be a public https:// address, as https://staff.familycorp.example/."
  }
}

variable "oidc_groups_claim" {
  description = "Claim in which the other provider lists groups."
  type        = string
  default     = "groups"

  validation {
    condition     = can(regex("^[A-Za-z0-9:_./-]+$", var.oidc_groups_claim))
    error_message = "oidc_groups_claim must be a claim's name, as groups."
  }
}

variable "role_groups" {
  description = "Which group of the provider gives which role."
  type        = map(string)
  default     = { admins = "admin", editors = "editor", viewers = "viewer" }

  validation {
    condition     = alltrue([for group, role in var.role_groups : contains(["admin", "editor", "viewer"], role) && can(regex("^[A-Za-z0-9._-]+$", group))])
    error_message = "role_groups must map groups to admin, editor or viewer."
  }
}

variable "user_pool_mfa" {
  description = "Whether the user pool asks for a code as well. The application always asks for a factor of its own, because Cognito's tokens don't say whether one was given there: with true every login asks twice."
  type        = bool
  default     = false

  validation {
    condition     = !var.user_pool_mfa || var.oidc_issuer == null
    error_message = "user_pool_mfa is about Cognito's user pool, and with another oidc_issuer there is none: set it to false."
  }
}

variable "cognito_domain_prefix" {
  description = "Prefix of the login page's address, unique in the region. Null is familycorp-<env>-staff."
  type        = string
  default     = null

  validation {
    condition     = var.cognito_domain_prefix == null ? true : can(regex("^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$", var.cognito_domain_prefix)) && !can(regex("aws|amazon|cognito", coalesce(var.cognito_domain_prefix, "-")))
    error_message = "cognito_domain_prefix must be small letters, digits and hyphens, without aws, amazon or cognito."
  }
}

variable "key_rotation_days" {
  description = "After how many days KMS rotates the keys that encrypt stored data. Each of a key's first two rotations is billed like another key from then on."
  type        = number
  default     = 365

  validation {
    condition     = var.key_rotation_days >= 90 && var.key_rotation_days <= 2560
    error_message = "key_rotation_days must be 90 to 2560."
  }
}

variable "signing_key_rotation_days" {
  description = "Days after which a new signing key is made."
  type        = number
  default     = 90

  validation {
    condition     = var.signing_key_rotation_days >= 1 && var.signing_key_rotation_days <= 365
    error_message = "signing_key_rotation_days must be 1 to 365."
  }
}

variable "waf" {
  description = "Whether AWS WAF protects the login page of the user pool (an HTTP API can't have one)."
  type        = bool
  default     = false

  validation {
    condition     = !var.waf || var.oidc_issuer == null
    error_message = "waf protects the user pool's login page, and with another oidc_issuer there is none: set it to false."
  }
}

# -- pipeline, alarms, costs --------------------------------------------------------------------------------------

variable "github_repository" {
  description = "Repository whose pipeline may deploy, as owner/name. Null: nobody's."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository == null ? true : can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name; * is refused."
  }
}

variable "github_repository_ids" {
  description = "Numbers of github_repository's owner and of itself, which subjects of newer repositories hold: `gh api repos/OWNER/NAME --jq '{owner: .owner.id, repository: .id}'`."
  type        = object({ owner = number, repository = number })
  default     = null

  validation {
    condition     = var.github_repository_ids == null ? true : alltrue([for id in values(var.github_repository_ids) : id >= 1 && floor(id) == id])
    error_message = "github_repository_ids must be the two numbers that GitHub's API gives as owner.id and id."
  }
}

variable "github_trusts_names" {
  description = "Whether subjects without numbers are trusted, as older repositories send them. Switch it off once yours sends numbers."
  type        = bool
  default     = true

  validation {
    condition     = var.github_trusts_names || var.github_repository_ids != null || var.github_repository == null
    error_message = "Without github_repository_ids nobody would be trusted: give them, or leave github_trusts_names true."
  }
}

variable "github_oidc_provider_arn" {
  description = "GitHub's OpenID provider where the account has one already (an account holds one). Null makes it."
  type        = string
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null ? true : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.github_oidc_provider_arn))
    error_message = "github_oidc_provider_arn must be the ARN of token.actions.githubusercontent.com in this account."
  }
}

variable "alarms" {
  description = "Which alarms there are: `few`, that the application is wrong, or `all`. AWS bills 0.10 USD a month for each series."
  type        = string
  default     = "all"

  validation {
    condition     = contains(["few", "all"], var.alarms) && (var.alarms == "all" || var.env != "prod")
    error_message = "alarms must be few or all, and all in Prod."
  }
}

variable "alarm_emails" {
  description = "Recipients of alarms; each confirms by a mail of AWS."
  type        = list(string)

  validation {
    condition     = length(var.alarm_emails) > 0 && alltrue([for a in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", a))])
    error_message = "alarm_emails must hold at least one e-mail address: without a recipient, alarms reach nobody."
  }
}

variable "notice_emails" {
  description = "Recipients of notices of inquiries and publications."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for a in var.notice_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", a))])
    error_message = "notice_emails must be e-mail addresses."
  }
}

variable "inquiry_emails" {
  description = "Recipients of notices of inquiries by category: its slug, or none for inquiries without one. Those in notice_emails get all notices."
  type        = map(list(string))
  default     = {}

  validation {
    condition = alltrue([
      for a in flatten(values(var.inquiry_emails)) :
      can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", a)) && !contains(var.notice_emails, a)
    ])
    error_message = "inquiry_emails must be e-mail addresses that notice_emails doesn't have: SNS takes an address once."
  }
}

variable "inquiry_retention_days" {
  description = "Days after which an inquiry is destroyed, counted from when it was done, or from its last change if it never was."
  type        = number
  default     = 1095

  validation {
    condition     = var.inquiry_retention_days >= 1 && var.inquiry_retention_days <= 3650
    error_message = "inquiry_retention_days must be 1 to 3650."
  }
}

variable "staff_url" {
  description = "Origin whose /console/ notices link to: the API's own. Null: notices name ids alone."
  type        = string
  default     = null

  validation {
    condition     = var.staff_url == null ? true : can(regex("^${local.public_origin}$", var.staff_url)) && !can(regex(local.private_networks, var.staff_url))
    error_message = "staff_url must be a public https:// origin without a path, as https://staff.familycorp.example."
  }
}

variable "preview_url" {
  description = "Page of the site that shows previews; a preview's token follows as its fragment. Null: /preview of the site's origin."
  type        = string
  default     = null

  validation {
    condition     = var.preview_url == null ? true : can(regex("^${local.public_origin}/[^?#]*$", var.preview_url)) && !can(regex(local.private_networks, var.preview_url))
    error_message = "preview_url must be a public https:// URL without query or fragment, as https://www.familycorp.example/preview."
  }
}

variable "monthly_budget_usd" {
  description = "US dollars a month beyond which, actual or forecast, an alarm is raised."
  type        = number

  validation {
    condition     = var.monthly_budget_usd >= 1
    error_message = "monthly_budget_usd must be at least 1."
  }
}

variable "malware_scanner" {
  description = "What scans uploads before anybody can have them: guardduty (it bills by object and GB) or none."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["guardduty", "none"], var.malware_scanner)
    error_message = "malware_scanner must be guardduty or none."
  }
}
