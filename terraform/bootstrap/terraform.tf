# A role that applies infrastructure must not be able to widen what it may do. So GitHub's OpenID provider, the pipeline's
# roles, the permissions boundary and people's policies have a configuration and a state of their own. People alone apply
# it, by `make environment` or `make infra-bootstrap`; the pipeline's role for infrastructure is denied all of it.
terraform {
  backend "s3" {
    key          = "bootstrap.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
