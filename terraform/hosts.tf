# What variables.tf is checked with. `familycorp doctor` reads both without a provider.
locals {
  # A domain of the public DNS, as the application's settings have it: its last label begins with a letter, so that no
  # address in any spelling fits, and names no private network. RE2 can't look ahead, so there are two patterns.
  dns_label        = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
  public_domain    = "(?:${local.dns_label}\\.)+[a-z]${local.dns_label}"
  public_origin    = "https://${local.public_domain}(?::[0-9]{1,5})?"
  private_networks = "^(?:https://)?[^/:]*\\.(?:localhost|localdomain|local|internal|intranet|lan|home|corp|test|invalid)(?:-[a-z0-9-]*)?(?:[:/].*)?$"
}
