# What MiniStack forgets or can't be asked for, so that each plan would change it again. None of it is a promise of the
# rehearsal: the plans of `make test` look at all of it.

# PutQueryDefinition isn't there.
resource "aws_cloudwatch_query_definition" "this" {
  for_each = toset([])
}

# A second plan of a rule that names a prefix list ends in an error of the provider.
resource "aws_vpc_security_group_egress_rule" "gateway" {
  lifecycle {
    ignore_changes = all
  }
}

resource "aws_vpc_endpoint" "gateway" {
  lifecycle {
    ignore_changes = [policy]
  }
}

resource "aws_rds_cluster" "main" {
  lifecycle {
    ignore_changes = [engine_version, enabled_cloudwatch_logs_exports, serverlessv2_scaling_configuration] # The first is ours.
  }
}

resource "aws_rds_cluster_instance" "main" {
  lifecycle {
    ignore_changes = [performance_insights_kms_key_id]
  }
}

resource "aws_acm_certificate" "api" {
  lifecycle {
    ignore_changes = [key_algorithm]
  }
}

resource "aws_elasticache_user" "backend" {
  lifecycle {
    ignore_changes = [authentication_mode]
  }
}
