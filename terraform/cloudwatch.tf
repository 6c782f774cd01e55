locals {
  # metric alarms: statistic over `minutes`, `times` in a row. Names of functions are the same whoever deploys them.
  function_alarms = merge([
    for name in keys(local.functions) : {
      "${name}-errors" = {
        what       = "The ${name} function fails", namespace = "AWS/Lambda", metric = "Errors", statistic = "Sum"
        dimensions = { FunctionName = "${local.name}-${name}" }, above = 0, minutes = 5, times = 1
      }
      "${name}-throttles" = {
        what       = "The ${name} function is throttled", namespace = "AWS/Lambda", metric = "Throttles", statistic = "Sum"
        dimensions = { FunctionName = "${local.name}-${name}" }, above = 0, minutes = 5, times = 2
      }
    }
  ]...)

  store_alarms = merge(
    {
      backend-latency = {
        what       = "One request in a hundred takes longer than 3 s", namespace = "AWS/Lambda", metric = "Duration", statistic = "p99"
        dimensions = { FunctionName = "${local.name}-backend" }, above = 3000, minutes = 5, times = 3
      }
      events-behind = {
        what       = "Domain events wait for their notices", namespace = "AWS/Lambda", metric = "IteratorAge", statistic = "Maximum"
        dimensions = { FunctionName = "${local.name}-events" }, above = 300000, minutes = 5, times = 1
      }
      dead-letters = {
        what       = "Something failed for good and waits in the queue", namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum"
        dimensions = { QueueName = "${local.name}-dead-letters" }, above = 0, minutes = 5, times = 1
      }
      notices-failed = {
        what       = "A notice could not be delivered", namespace = "AWS/SNS", metric = "NumberOfNotificationsFailed", statistic = "Sum"
        dimensions = { TopicName = "${local.name}-notices" }, above = 0, minutes = 5, times = 1
      }
      database-full = {
        what       = "The database is at its upper bound: raise database_max_acu, or look for what is slow", namespace = "AWS/RDS", metric = "ACUUtilization", statistic = "Average"
        dimensions = { DBClusterIdentifier = "${local.name}-database" }, above = 90, minutes = 5, times = 3
      }
      database-connections = {
        what       = "Connections to the database pile up", namespace = "AWS/RDS", metric = "DatabaseConnections", statistic = "Maximum"
        dimensions = { DBClusterIdentifier = "${local.name}-database" }, above = 200, minutes = 5, times = 3
      }
      permission-errors = {
        what       = "AWS refuses something to a function: a policy is missing a line, or somebody tries", namespace = local.name, metric = "AccessDenied", statistic = "Sum"
        dimensions = {}, above = 0, minutes = 5, times = 1
      }
    },
    { for name in ["posts", "sessions", "events"] : "${name}-table" => {
      what       = "DynamoDB fails on the table ${name}", namespace = "AWS/DynamoDB", metric = "SystemErrors", statistic = "Sum"
      dimensions = { TableName = "${local.name}-${name}" }, above = 0, minutes = 5, times = 2
    } },
    var.cache_mode != "replication_group" ? {} : {
      cache-memory = {
        what       = "The cache throws out what is still wanted", namespace = "AWS/ElastiCache", metric = "DatabaseMemoryUsagePercentage", statistic = "Maximum"
        dimensions = { CacheClusterId = "${local.name}-cache-001" }, above = 90, minutes = 5, times = 3
      }
    },
  )

  api_alarms = {
    api-errors = {
      what  = "The API answers with errors of the server", namespace = "AWS/ApiGateway", metric = "5xx", statistic = "Sum"
      above = 5, minutes = 5, times = 1
    }
    api-latency = {
      what  = "One answer in a hundred takes longer than 3 s", namespace = "AWS/ApiGateway", metric = "Latency", statistic = "p99"
      above = 3000, minutes = 5, times = 3
    }
  }

  alarms = merge(
    { for name, alarm in merge(local.function_alarms, local.store_alarms) : name => alarm },
    # With SAM the API's id is known only to its template, which has the same two alarms.
    { for name, alarm in local.api_alarms : name => merge(alarm, { dimensions = { ApiId = one(aws_apigatewayv2_api.main[*].id) } }) if local.terraform_deploys },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = "${each.value.what}. What to do: docs/infra.md."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  period              = each.value.minutes * 60
  evaluation_periods  = each.value.times
  treat_missing_data  = "notBreaching" # No traffic is no failure.
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_cloudwatch_log_metric_filter" "access_denied" {
  for_each = aws_cloudwatch_log_group.function

  name           = "${local.name}-${each.key}-access-denied"
  log_group_name = each.value.name
  pattern        = "?AccessDenied ?AccessDeniedException ?UnauthorizedOperation"

  metric_transformation {
    namespace = local.name
    name      = "AccessDenied"
    value     = "1"
  }
}
