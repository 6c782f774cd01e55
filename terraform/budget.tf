# What to do when it notifies: docs/how-to/runbook.md#budget.
resource "aws_budgets_budget" "monthly" {
  name         = "${local.name}-monthly"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  # The tag separates the environments' costs; it must be activated once as a cost allocation tag (docs/how-to/new-environment.md).
  cost_filter {
    name   = "TagKeyValue"
    values = [join("$", ["user:env", var.env])]
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      comparison_operator       = "GREATER_THAN"
      notification_type         = notification.key
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }

  tags = { Name = "${local.name}-monthly" }
}
