provider "aws" {
  region = var.region

  # A plan made with the credentials of another account is refused before it reads anything.
  allowed_account_ids = var.account_id == null ? null : [var.account_id]

  default_tags {
    tags = local.tags
  }
}

# What AWS has in us-east-1 alone: CloudFront's certificates.
provider "aws" {
  alias  = "global"
  region = "us-east-1"

  allowed_account_ids = var.account_id == null ? null : [var.account_id]

  default_tags {
    tags = local.tags
  }
}

locals {
  tags = {
    env         = var.env
    service     = "familycorp"
    owner       = var.owner
    cost-center = var.cost_center
    managed-by  = "terraform"
  }
}
