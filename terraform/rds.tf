locals {
  database_name   = "familycorp"
  database_user   = "familycorp_app"
  migrations_user = "familycorp_migrations"
  database_host   = var.database_proxy ? aws_db_proxy.main[0].endpoint : aws_rds_cluster.main.endpoint
}

resource "aws_db_subnet_group" "main" {
  name        = "${local.name}-database"
  description = "Private subnets of Aurora"
  subnet_ids  = aws_subnet.private[*].id

  tags = { Name = "${local.name}-database" }
}

resource "aws_rds_cluster_parameter_group" "main" {
  name        = "${local.name}-database"
  family      = "aurora-mysql8.0"
  description = "UTF-8 everywhere, TLS only, slow statements logged"

  dynamic "parameter" {
    for_each = merge(
      {
        character_set_server     = "utf8mb4"
        collation_server         = "utf8mb4_unicode_520_ci" # app.core.database.engine.TEXT_COLLATION
        time_zone                = "UTC"
        require_secure_transport = "ON"
        slow_query_log           = "1"
        long_query_time          = "0.5"
        log_output               = "FILE" # CloudWatch gets the files, but never the tables.
      },
      # The connection of a frozen function would keep the cluster from pausing; the application makes a new one.
      var.database_min_acu == 0 ? { wait_timeout = "60" } : {},
    )

    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  tags = { Name = "${local.name}-database" }
}

resource "aws_cloudwatch_log_group" "database" {
  for_each = toset(["error", "slowquery"])

  name              = "/aws/rds/cluster/${local.name}-database/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.data.arn

  tags = { Name = "${local.name}-database-${each.key}" }
}

resource "aws_rds_cluster" "main" {
  cluster_identifier              = "${local.name}-database"
  engine                          = "aurora-mysql"
  engine_mode                     = "provisioned" # Serverless v2 is a class of instance in a provisioned cluster.
  engine_version                  = var.database_engine_version
  database_name                   = local.database_name
  db_subnet_group_name            = aws_db_subnet_group.main.name
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.main.name
  vpc_security_group_ids          = [aws_security_group.this["database"].id]

  # RDS makes and rotates the password; it is in no state, no plan and no variable.
  master_username               = "fcmaster" # AWS documents a limit of 16 characters, and in places letters and digits alone.
  manage_master_user_password   = true
  master_user_secret_kms_key_id = aws_kms_key.data.key_id

  iam_database_authentication_enabled = true
  enable_http_endpoint                = true # Operators create the database's users without a host inside the VPC.
  storage_encrypted                   = true
  kms_key_id                          = aws_kms_key.data.arn
  backup_retention_period             = var.database_backup_days
  preferred_backup_window             = "17:00-18:00" # Night in Seoul.
  preferred_maintenance_window        = "sun:18:30-sun:19:30"
  copy_tags_to_snapshot               = true
  deletion_protection                 = var.deletion_protection
  skip_final_snapshot                 = !var.deletion_protection
  final_snapshot_identifier           = var.deletion_protection ? "${local.name}-database-final" : null
  enabled_cloudwatch_logs_exports     = ["error", "slowquery"]

  serverlessv2_scaling_configuration {
    min_capacity             = var.database_min_acu
    max_capacity             = var.database_max_acu
    seconds_until_auto_pause = var.database_min_acu == 0 ? var.database_auto_pause_s : null
  }

  tags = { Name = "${local.name}-database" }

  # RDS would make the groups itself, without retention or key.
  depends_on = [aws_cloudwatch_log_group.database]

  lifecycle {
    # Aurora upgrades minor versions by itself (auto_minor_version_upgrade). Compared with the variable, which has the
    # version of the first day, every later plan would ask for a downgrade, which AWS refuses.
    ignore_changes = [engine_version]

    precondition {
      condition     = var.database_max_acu >= var.database_min_acu && var.database_max_acu >= 1
      error_message = "database_max_acu must be at least 1 and not below database_min_acu: raise it."
    }
    precondition {
      condition     = !(var.database_min_acu == 0 && var.database_proxy)
      error_message = "RDS Proxy keeps connections open, so the cluster would never pause: set database_proxy = false, or database_min_acu to 0.5 or more."
    }
  }
}

resource "aws_rds_cluster_instance" "main" {
  count = var.database_instances

  identifier                      = "${local.name}-database-${count.index + 1}"
  cluster_identifier              = aws_rds_cluster.main.id
  engine                          = aws_rds_cluster.main.engine # The version is the cluster's.
  instance_class                  = "db.serverless"
  db_subnet_group_name            = aws_db_subnet_group.main.name
  publicly_accessible             = false
  auto_minor_version_upgrade      = true
  promotion_tier                  = count.index
  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.data.arn
  ca_cert_identifier              = "rds-ca-rsa2048-g1"

  tags = { Name = "${local.name}-database-${count.index + 1}" }
}

resource "aws_db_proxy" "main" {
  count = var.database_proxy ? 1 : 0

  name                   = "${local.name}-database"
  engine_family          = "MYSQL"
  role_arn               = aws_iam_role.proxy[0].arn
  vpc_subnet_ids         = aws_subnet.private[*].id
  vpc_security_group_ids = [aws_security_group.this["proxy"].id]
  require_tls            = true
  idle_client_timeout    = 900

  # Callers show an IAM token; the proxy alone reads the password with which it goes on to the cluster.
  auth {
    auth_scheme               = "SECRETS"
    iam_auth                  = "REQUIRED"
    client_password_auth_type = "MYSQL_CACHING_SHA2_PASSWORD"
    secret_arn                = aws_secretsmanager_secret.this["database"].arn
    description               = "The application's user"
  }

  tags = { Name = "${local.name}-database" }
}

resource "aws_db_proxy_default_target_group" "main" {
  count = var.database_proxy ? 1 : 0

  db_proxy_name = aws_db_proxy.main[0].name

  connection_pool_config {
    max_connections_percent      = 90
    max_idle_connections_percent = 10
    connection_borrow_timeout    = 5
  }
}

resource "aws_db_proxy_target" "main" {
  count = var.database_proxy ? 1 : 0

  db_proxy_name         = aws_db_proxy.main[0].name
  target_group_name     = aws_db_proxy_default_target_group.main[0].name
  db_cluster_identifier = aws_rds_cluster.main.cluster_identifier

  depends_on = [aws_rds_cluster_instance.main]
}
