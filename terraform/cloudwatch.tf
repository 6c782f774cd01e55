# Alarms: a statistic over `minutes`, beyond a bound in `times` such periods in a row, or in that many of the last `of`.
# Each has a heading of its name in docs/how-to/runbook.md. `series` are summed up; AWS bills an alarm by its series.
locals {
  # Both functions that serve HTTP call themselves familycorp-backend in their lines.
  lines_of  = { for service in ["backend", "drain", "events", "operator-read", "operator-write", "rotation", "uploads"] : service => { env = var.env, service = "familycorp-${service}" } }
  lambda_of = { for name in keys(local.functions) : name => { FunctionName = "${local.name}-${name}" } }
  nodes     = [for n in range(var.cache_nodes) : { CacheClusterId = format("%s-cache-%03d", local.name, n + 1) }]

  # What every environment has, Dev too: what says that the application is wrong, not that it is busy.
  few_alarms = {
    error-rate = {
      what   = "More than one request in twenty fails", namespace = "FamilyCorp", statistic = "Average"
      series = [{ metric = "errors", dimensions = local.lines_of.backend }], above = 0.05, minutes = 5, times = 2, of = 3
    }
    function-errors = {
      what   = "A function crashes, or takes too long", namespace = "AWS/Lambda", statistic = "Sum"
      series = [for d in values(local.lambda_of) : { metric = "Errors", dimensions = d }], above = 0, minutes = 5, times = 1
    }
    permission-errors = {
      what   = "AWS, the database or the cache refuses something to a function", namespace = "FamilyCorp", statistic = "Sum"
      series = [for d in values(local.lines_of) : { metric = "access_denied", dimensions = d }], above = 0, minutes = 5, times = 1
    }
    outbox-failed = {
      what   = "A change can't be delivered to visitors, and wakes the database every minute", namespace = "FamilyCorp", statistic = "Sum"
      series = [for s in ["backend", "drain"] : { metric = "outbox_failed", dimensions = local.lines_of[s] }], above = 0, minutes = 5, times = 3
    }
    admin-granted = {
      what   = "Somebody was made an admin", namespace = "FamilyCorp", statistic = "Sum"
      series = [for s in ["backend", "operator-write"] : { metric = "admin_granted", dimensions = local.lines_of[s] }], above = 0, minutes = 5, times = 1
    }
    dead-letters = {
      what   = "Something failed for good and waits in the queue", namespace = "AWS/SQS", statistic = "Maximum"
      series = [{ metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = "${local.name}-dead-letters" } }], above = 0, minutes = 5, times = 1
    }
  }

  more_alarms = merge(
    {
      latency-p95 = {
        what   = "One request in twenty takes longer than a second", namespace = "FamilyCorp", statistic = "p95"
        series = [{ metric = "latency", dimensions = local.lines_of.backend }], above = 1000, minutes = 5, times = 3
      }
      latency-p99 = {
        what   = "One request in a hundred takes longer than 3 s", namespace = "FamilyCorp", statistic = "p99"
        series = [{ metric = "latency", dimensions = local.lines_of.backend }], above = 3000, minutes = 5, times = 3
      }
      denied = {
        what   = "The policy refuses unusually much", namespace = "FamilyCorp", statistic = "Sum"
        series = [{ metric = "denied", dimensions = local.lines_of.backend }], above = 50, minutes = 5, times = 1
      }
      refresh-reuse = {
        what   = "A refresh token was used twice: one of the two isn't its owner", namespace = "FamilyCorp", statistic = "Sum"
        series = [{ metric = "refresh_token_reused", dimensions = local.lines_of.backend }], above = 0, minutes = 5, times = 1
      }
      outbox-lag = {
        what   = "Work that was due five minutes ago isn't done", namespace = "FamilyCorp", statistic = "Maximum"
        series = [{ metric = "outbox_lag_s", dimensions = local.lines_of.drain }], above = 300, minutes = 5, times = 1
      }
      stores-fail = {
        what   = "A store fails again and again, whether visitors notice or not", namespace = "FamilyCorp", statistic = "Sum"
        series = [for m in ["cache_errors", "cache_stale", "dynamodb_errors", "s3_errors", "sql_errors"] : { metric = m, dimensions = local.lines_of.backend }]
        above  = 10, minutes = 5, times = 2
      }
      drain-silent = {
        what   = "The scheduler doesn't run", namespace = "AWS/Lambda", statistic = "Sum", missing = "breaching"
        series = [{ metric = "Invocations", dimensions = local.lambda_of.drain }], below = 1, minutes = 5, times = 2
      }
      function-throttles = {
        what   = "Calls of functions are refused, because too many run", namespace = "AWS/Lambda", statistic = "Sum"
        series = [for d in values(local.lambda_of) : { metric = "Throttles", dimensions = d }], above = 0, minutes = 5, times = 2
      }
      events-behind = {
        what   = "Domain events wait for their notices", namespace = "AWS/Lambda", statistic = "Maximum"
        series = [{ metric = "IteratorAge", dimensions = local.lambda_of.events }], above = 300000, minutes = 5, times = 1
      }
      notices-failed = {
        what   = "A notice could not be delivered", namespace = "AWS/SNS", statistic = "Sum"
        series = [{ metric = "NumberOfNotificationsFailed", dimensions = { TopicName = "${local.name}-notices" } }], above = 0, minutes = 5, times = 1
      }
      database-full = {
        what   = "The database is at its upper bound", namespace = "AWS/RDS", statistic = "Average"
        series = [{ metric = "ACUUtilization", dimensions = { DBClusterIdentifier = "${local.name}-database" } }], above = 90, minutes = 5, times = 3
      }
      database-connections = {
        what   = "Connections to the database pile up", namespace = "AWS/RDS", statistic = "Maximum"
        series = [{ metric = "DatabaseConnections", dimensions = { DBClusterIdentifier = "${local.name}-database" } }], above = 200, minutes = 5, times = 3
      }
      table-throttles = {
        what = "DynamoDB refuses requests, because there are too many", namespace = "AWS/DynamoDB", statistic = "Sum"
        series = [
          for pair in setproduct(["ReadThrottleEvents", "WriteThrottleEvents"], ["posts", "sessions", "events"]) :
          { metric = pair[0], dimensions = { TableName = "${local.name}-${pair[1]}" } }
        ]
        above = 0, minutes = 5, times = 2
      }
    },
    { for name, alarm in {
      cache-memory = {
        what   = "The cache's memory is full", namespace = "AWS/ElastiCache", statistic = "Maximum", combine = "MAX"
        series = [for d in local.nodes : { metric = "DatabaseMemoryUsagePercentage", dimensions = d }], above = 90, minutes = 5, times = 3
      }
      cache-evictions = {
        what   = "The cache evicts entries before they expire", namespace = "AWS/ElastiCache", statistic = "Sum"
        series = [for d in local.nodes : { metric = "Evictions", dimensions = d }], above = 1000, minutes = 5, times = 3
      }
    } : name => alarm if var.cache_mode == "replication_group" },
    { for name, alarm in {
      cache-memory = {
        what = "The cache's memory is full", namespace = "AWS/ElastiCache", statistic = "Maximum"
        # Nine tenths of the GB that elasticache.tf allows.
        series = [{ metric = "BytesUsedForCache", dimensions = { clusterId = "${local.name}-cache" } }], above = 900000000, minutes = 5, times = 3
      }
      cache-evictions = {
        what   = "The cache evicts entries before they expire", namespace = "AWS/ElastiCache", statistic = "Sum"
        series = [{ metric = "Evictions", dimensions = { clusterId = "${local.name}-cache" } }], above = 1000, minutes = 5, times = 3
      }
      cache-throttles = {
        what   = "The cache refuses requests, because there are too many", namespace = "AWS/ElastiCache", statistic = "Sum"
        series = [{ metric = "ThrottledCmds", dimensions = { clusterId = "${local.name}-cache" } }], above = 0, minutes = 5, times = 3
      }
    } : name => alarm if var.cache_mode == "serverless" },
  )

  # Of these only `site-down` notifies people.
  parts_of_site_down = {
    most-requests-fail = {
      what   = "More than half of all requests fail", namespace = "FamilyCorp", statistic = "Average"
      series = [{ metric = "errors", dimensions = local.lines_of.backend }], above = 0.5, minutes = 1, times = 3
    }
    most-calls-fail = {
      what = "More than half of all calls of the backend function end without an answer", namespace = "AWS/Lambda", statistic = "Sum"
      # In this order: m0, m1, m2.
      series     = [for m in ["Errors", "Throttles", "Invocations"] : { metric = m, dimensions = local.lambda_of.backend }]
      expression = "(m0 + m1) / (m1 + m2)", above = 0.5, minutes = 1, times = 3
    }
  }

  # With SAM the API's id is known only to its template, which has the same two alarms.
  api_alarms = {
    api-errors = {
      what   = "The API answers with errors of the server", namespace = "AWS/ApiGateway", statistic = "Sum"
      series = [{ metric = "5xx", dimensions = { ApiId = one(aws_apigatewayv2_api.main[*].id) } }], above = 5, minutes = 5, times = 1
    }
    api-latency = {
      what   = "One answer in a hundred takes longer than 3 s", namespace = "AWS/ApiGateway", statistic = "p99"
      series = [{ metric = "Latency", dimensions = { ApiId = one(aws_apigatewayv2_api.main[*].id) } }], above = 3000, minutes = 5, times = 3
    }
  }

  alarms = merge(
    { for name, alarm in local.few_alarms : name => alarm },
    { for name, alarm in merge(local.more_alarms, local.parts_of_site_down) : name => alarm if var.alarms == "all" },
    { for name, alarm in local.api_alarms : name => alarm if local.terraform_deploys },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = "${each.value.what}. What to do: docs/how-to/runbook.md#${contains(keys(local.parts_of_site_down), each.key) ? "site-down" : each.key}"
  comparison_operator = can(each.value.below) ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = try(each.value.above, each.value.below)
  evaluation_periods  = try(each.value.of, each.value.times)
  datapoints_to_alarm = try(each.value.of, null) == null ? null : each.value.times
  treat_missing_data  = try(each.value.missing, "notBreaching") # No traffic is no failure.
  alarm_actions       = contains(keys(local.parts_of_site_down), each.key) ? [] : [aws_sns_topic.alarms.arn]
  ok_actions          = contains(keys(local.parts_of_site_down), each.key) ? [] : [aws_sns_topic.alarms.arn]

  # One series is watched as it is, several by a sum.
  namespace          = length(each.value.series) > 1 ? null : each.value.namespace
  metric_name        = length(each.value.series) > 1 ? null : each.value.series[0].metric
  dimensions         = length(each.value.series) > 1 ? null : each.value.series[0].dimensions
  period             = length(each.value.series) > 1 ? null : each.value.minutes * 60
  statistic          = length(each.value.series) > 1 || startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic = length(each.value.series) == 1 && startswith(each.value.statistic, "p") ? each.value.statistic : null

  dynamic "metric_query" {
    for_each = length(each.value.series) > 1 ? each.value.series : []

    content {
      id = "m${metric_query.key}"

      metric {
        namespace   = each.value.namespace
        metric_name = metric_query.value.metric
        dimensions  = metric_query.value.dimensions
        period      = each.value.minutes * 60
        stat        = each.value.statistic
      }
    }
  }

  dynamic "metric_query" {
    for_each = length(each.value.series) > 1 ? [1] : []

    content {
      id          = "all"
      label       = each.key
      expression  = try(each.value.expression, "${try(each.value.combine, "SUM")}(METRICS())")
      return_data = true
    }
  }

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_cloudwatch_composite_alarm" "site_down" {
  count = var.alarms == "all" ? 1 : 0

  alarm_name        = "${local.name}-site-down"
  alarm_description = "Visitors aren't served. What to do: docs/how-to/runbook.md#site-down"
  alarm_rule        = join(" OR ", [for name in keys(local.parts_of_site_down) : "ALARM(\"${aws_cloudwatch_metric_alarm.this[name].alarm_name}\")"])
  alarm_actions     = [aws_sns_topic.alarms.arn]
  ok_actions        = [aws_sns_topic.alarms.arn]

  tags = { Name = "${local.name}-site-down" }
}
