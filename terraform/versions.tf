terraform {
  # 1.10 brought the lock file inside the state's own bucket, so that no table is needed for locking.
  required_version = ">= 1.10, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
