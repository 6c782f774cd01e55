locals {
  cache_user = "${local.name}-backend" # IAM authentication wants user name and user id to be the same.
  cache_host = {
    none              = null
    replication_group = one(aws_elasticache_replication_group.main[*].primary_endpoint_address)
    serverless        = try(one(aws_elasticache_serverless_cache.main[*].endpoint)[0].address, null)
  }[var.cache_mode]
}

resource "aws_elasticache_subnet_group" "main" {
  count = var.cache_mode == "replication_group" ? 1 : 0

  name        = "${local.name}-cache"
  description = "Private subnets of Valkey"
  subnet_ids  = aws_subnet.private[*].id

  tags = { Name = "${local.name}-cache" }
}

resource "aws_elasticache_parameter_group" "main" {
  count = var.cache_mode == "replication_group" ? 1 : 0

  name        = "${local.name}-cache"
  family      = "valkey8"
  description = "A cache: the least recently used goes first"

  parameter {
    name  = "maxmemory-policy"
    value = "allkeys-lru"
  }

  tags = { Name = "${local.name}-cache" }
}

# No password: a client authenticates by a token that IAM signed for exactly this user.
resource "aws_elasticache_user" "backend" {
  count = var.cache_mode == "none" ? 0 : 1

  user_id       = local.cache_user
  user_name     = local.cache_user
  engine        = "valkey"
  access_string = "on ~* -@all +@connection +@hash +@keyspace +@scripting +@string +time -@dangerous"

  authentication_mode {
    type = "iam"
  }

  tags = { Name = local.cache_user }
}

resource "aws_elasticache_user_group" "main" {
  count = var.cache_mode == "none" ? 0 : 1

  user_group_id = "${local.name}-cache"
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.backend[0].user_id]

  tags = { Name = "${local.name}-cache" }
}

resource "aws_elasticache_replication_group" "main" {
  count = var.cache_mode == "replication_group" ? 1 : 0

  replication_group_id       = "${local.name}-cache"
  description                = "Ready-made answers and rate limits"
  engine                     = "valkey"
  engine_version             = "8.0"
  node_type                  = var.cache_node_type
  num_cache_clusters         = var.cache_nodes
  automatic_failover_enabled = var.cache_nodes > 1
  multi_az_enabled           = var.cache_nodes > 1
  parameter_group_name       = aws_elasticache_parameter_group.main[0].name
  subnet_group_name          = aws_elasticache_subnet_group.main[0].name
  security_group_ids         = [aws_security_group.this["cache"].id]
  user_group_ids             = [aws_elasticache_user_group.main[0].user_group_id]
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  at_rest_encryption_enabled = true
  kms_key_id                 = aws_kms_key.data.arn
  snapshot_retention_limit   = 0 # Losing the cache slows and breaks nothing, so there is nothing to restore.
  maintenance_window         = "sun:19:30-sun:20:30"
  apply_immediately          = var.env != "prod"

  tags = { Name = "${local.name}-cache" }
}

resource "aws_elasticache_serverless_cache" "main" {
  count = var.cache_mode == "serverless" ? 1 : 0

  name                 = "${local.name}-cache"
  description          = "Ready-made answers and rate limits"
  engine               = "valkey"
  major_engine_version = "8"
  subnet_ids           = aws_subnet.private[*].id
  security_group_ids   = [aws_security_group.this["cache"].id]
  user_group_id        = aws_elasticache_user_group.main[0].user_group_id
  kms_key_id           = aws_kms_key.data.arn

  # An upper bound on the bill: beyond it the cache evicts and throttles, and the application goes on without it.
  cache_usage_limits {
    data_storage {
      maximum = 1
      unit    = "GB"
    }
    ecpu_per_second {
      maximum = 5000
    }
  }

  tags = { Name = "${local.name}-cache" }
}
