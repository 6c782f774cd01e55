# Nothing in here has a way out: no internet gateway, no NAT. Functions that must reach the outside run outside the VPC.
resource "aws_vpc" "main" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # Private names of interface endpoints need it.

  tags = { Name = "${local.name}-vpc" }
}

# The default group lets its members talk to each other; without rules nobody can use it by accident.
resource "aws_default_security_group" "main" {
  vpc_id = aws_vpc.main.id

  tags = { Name = "${local.name}-default-unused" }
}

resource "aws_subnet" "private" {
  count = 2

  vpc_id                  = aws_vpc.main.id
  cidr_block              = cidrsubnet(var.vpc_cidr, 8, count.index + 1)
  availability_zone       = local.zones[count.index]
  map_public_ip_on_launch = false

  tags = { Name = "${local.name}-private-${count.index + 1}" }
}

# No `route` here and no aws_route anywhere: gateway endpoints add their own.
resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id

  tags = { Name = "${local.name}-private" }
}

resource "aws_route_table_association" "private" {
  count = 2

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_cloudwatch_log_group" "flow" {
  count = var.flow_logs ? 1 : 0

  name              = "/aws/vpc/${local.name}-flow"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.data.arn

  tags = { Name = "${local.name}-flow" }
}

resource "aws_flow_log" "main" {
  count = var.flow_logs ? 1 : 0

  vpc_id               = aws_vpc.main.id
  traffic_type         = "REJECT" # Refused traffic shows mistakes and attacks; logs of accepted traffic would cost far more.
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.flow[0].arn
  iam_role_arn         = aws_iam_role.flow[0].arn

  tags = { Name = "${local.name}-flow" }
}
