terraform {
  # 1.10 brought the lock file inside the state's own bucket, so that no table is needed for locking.
  required_version = ">= 1.10, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Bucket and region come from `make infra-bootstrap`, which makes the bucket; the rest is the same everywhere.
  backend "s3" {
    key          = "familycorp.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
