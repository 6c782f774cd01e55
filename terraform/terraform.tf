terraform {
  # Bucket and region come from `make infra-bootstrap`, which makes the bucket; the rest is the same everywhere.
  backend "s3" {
    key          = "familycorp.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
