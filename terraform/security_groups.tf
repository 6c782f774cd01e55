# One group per component. Rules name groups, never addresses; the only prefix lists are those of the gateway endpoints.
locals {
  security_groups = merge(
    {
      function   = "Functions that need the database or the cache"
      migrations = "The migrations function, which reaches the cluster itself"
      database   = "Aurora"
    },
    var.database_proxy ? { proxy = "RDS Proxy" } : {},
    var.cache_mode == "none" ? {} : { cache = "Valkey" },
    length(var.interface_endpoints) == 0 ? {} : { endpoints = "Interface endpoints" },
  )

  # from, to, port: each makes an egress rule on one side and an ingress rule on the other.
  flows = merge(
    { for name in(var.database_proxy ? ["function-proxy", "proxy-database"] : ["function-database"]) :
    name => { from = split("-", name)[0], to = split("-", name)[1], port = 3306 } },
    { migrations-database = { from = "migrations", to = "database", port = 3306 } },
    var.cache_mode == "none" ? {} : { function-cache = { from = "function", to = "cache", port = 6379 } },
    length(var.interface_endpoints) == 0 ? {} : {
      function-endpoints   = { from = "function", to = "endpoints", port = 443 }
      migrations-endpoints = { from = "migrations", to = "endpoints", port = 443 }
    },
  )
}

resource "aws_security_group" "this" {
  for_each = local.security_groups

  name        = "${local.name}-${each.key}"
  description = each.value
  vpc_id      = aws_vpc.main.id

  tags = { Name = "${local.name}-${each.key}" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "flow" {
  for_each = local.flows

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  description                  = "To ${each.value.to}"

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "flow" {
  for_each = local.flows

  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  description                  = "From ${each.value.from}"

  tags = { Name = "${local.name}-${each.key}" }
}

# DynamoDB and S3 have public addresses, which only the gateway endpoints lead to.
resource "aws_vpc_security_group_egress_rule" "gateway" {
  for_each = aws_vpc_endpoint.gateway

  security_group_id = aws_security_group.this["function"].id
  prefix_list_id    = each.value.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "To ${each.key} through its gateway endpoint"

  tags = { Name = "${local.name}-function-${each.key}" }
}
