# AWS WAF can't stand before an HTTP API (only before REST APIs, load balancers, CloudFront, AppSync, Cognito). So what it
# protects here is the login page of the user pool; the API has throttling and the application's own limits.
resource "aws_wafv2_web_acl" "login" {
  count = var.waf && local.cognito ? 1 : 0

  name        = "${local.name}-login"
  description = "Login page of the staff" # WAF takes word characters, spaces and + = : # @ / - , . alone.
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  rule {
    name     = "rate"
    priority = 1

    action {
      block {}
    }

    statement {
      rate_based_statement {
        limit              = 300
        aggregate_key_type = "IP"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${local.name}-login-rate"
      sampled_requests_enabled   = true
    }
  }

  dynamic "rule" {
    for_each = { AWSManagedRulesAmazonIpReputationList = 2, AWSManagedRulesKnownBadInputsRuleSet = 3 }

    content {
      name     = rule.key
      priority = rule.value

      override_action {
        none {}
      }

      statement {
        managed_rule_group_statement {
          name        = rule.key
          vendor_name = "AWS"
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "${local.name}-login-${rule.value}"
        sampled_requests_enabled   = true
      }
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "${local.name}-login"
    sampled_requests_enabled   = true
  }

  tags = { Name = "${local.name}-login" }
}

resource "aws_wafv2_web_acl_association" "login" {
  count = var.waf && local.cognito ? 1 : 0

  resource_arn = aws_cognito_user_pool.staff[0].arn
  web_acl_arn  = aws_wafv2_web_acl.login[0].arn
}
