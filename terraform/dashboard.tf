# One dashboard for each environment: what visitors notice first, causes below.
locals {
  arn_of_alarms = "arn:${local.partition}:cloudwatch:${var.region}:${local.account}:alarm:${local.name}"

  # Of the application's own metrics a name is enough; of others, [namespace, metric, dimension, value, …].
  own = { for m in [
    "access_denied", "cache_errors", "cache_hit", "cache_miss", "cache_ms", "cache_stale", "cold_start", "denied", "dynamodb_errors",
    "dynamodb_ms", "errors", "latency", "login_failed", "outbox_failed", "rate_limited", "rates_without_valkey",
    "refresh_token_reused", "s3_errors", "s3_ms", "second_factor_failed", "shed", "sql_errors", "sql_ms",
  ] : m => ["FamilyCorp", m, "env", var.env, "service", "familycorp-backend"] }
  drain = { for m in ["outbox_failed", "outbox_lag_s"] : m => ["FamilyCorp", m, "env", var.env, "service", "familycorp-drain"] }
  # Several functions may advance an upload; the scheduler gives it up.
  uploads = [
    for pair in concat(setproduct(["upload_clean", "upload_rejected"], ["backend", "uploads"]), [["upload_rejected", "drain"], ["upload_processing_failed", "drain"]]) :
    ["FamilyCorp", pair[0], "env", var.env, "service", "familycorp-${pair[1]}"]
  ]
  cache_series = {
    none = []
    replication_group = flatten([for d in local.nodes : [
      for m in ["DatabaseMemoryUsagePercentage", "Evictions"] : { series = ["AWS/ElastiCache", m, "CacheClusterId", d.CacheClusterId] }
    ]])
    serverless = [for m in ["BytesUsedForCache", "Evictions", "ThrottledCmds"] : { series = ["AWS/ElastiCache", m, "clusterId", "${local.name}-cache"] }]
  }[var.cache_mode]

  widgets = concat([
    { title = "Requests", stat = "SampleCount", metrics = [concat(local.own.latency, [{ label = "requests" }])] },
    { title = "Share of requests that fail", stat = "Average", metrics = [local.own.errors] },
    {
      title   = "Time to answer, ms", stat = "p50"
      metrics = [for p in ["p50", "p95", "p99"] : concat(local.own.latency, [{ stat = p, label = p }])]
    },
    { title = "Time to answer by route, p95, ms", stat = "p95", metrics = [[{ expression = "SEARCH('{FamilyCorp,env,service,route} MetricName=\"latency\" env=\"${var.env}\"', 'p95')" }]] },
    { title = "Errors by route", stat = "Sum", metrics = [[{ expression = "SEARCH('{FamilyCorp,env,service,route} MetricName=\"errors\" env=\"${var.env}\"', 'Sum')" }]] },
    {
      title = "Share of answers that the cache has", stat = "Sum"
      metrics = [
        concat(local.own.cache_hit, [{ id = "h", visible = false }]), concat(local.own.cache_miss, [{ id = "m", visible = false }]),
        [{ expression = "h / (h + m)", label = "hits" }],
      ]
    },
    { title = "Time in stores, ms", stat = "Average", metrics = [local.own.cache_ms, local.own.dynamodb_ms, local.own.sql_ms, local.own.s3_ms] },
    {
      title   = "Stores that fail", stat = "Sum"
      metrics = [local.own.cache_errors, local.own.dynamodb_errors, local.own.sql_errors, local.own.s3_errors, local.own.rates_without_valkey, local.own.cache_stale]
    },
    { title = "Cold starts", stat = "Sum", metrics = [local.own.cold_start] },
    { title = "Refused", stat = "Sum", metrics = [local.own.denied, local.own.rate_limited, local.own.access_denied, local.own.shed] },
    { title = "Logging in", stat = "Sum", metrics = [local.own.login_failed, local.own.second_factor_failed, local.own.refresh_token_reused] },
    { title = "Uploads", stat = "Sum", metrics = local.uploads },
    { title = "Outbox: seconds behind", stat = "Maximum", metrics = [local.drain.outbox_lag_s] },
    { title = "Outbox: not delivered", stat = "Sum", metrics = [local.own.outbox_failed, local.drain.outbox_failed] },
    { title = "Dead letters", stat = "Maximum", metrics = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${local.name}-dead-letters"]] },
    { title = "Functions that crash", stat = "Sum", metrics = [for d in values(local.lambda_of) : ["AWS/Lambda", "Errors", "FunctionName", d.FunctionName]] },
    { title = "Calls of functions", stat = "Sum", metrics = [for d in values(local.lambda_of) : ["AWS/Lambda", "Invocations", "FunctionName", d.FunctionName]] },
    { title = "Calls of functions that are refused", stat = "Sum", metrics = [for d in values(local.lambda_of) : ["AWS/Lambda", "Throttles", "FunctionName", d.FunctionName]] },
    { title = "Database: share of its bound, %", stat = "Average", metrics = [["AWS/RDS", "ACUUtilization", "DBClusterIdentifier", "${local.name}-database"]] },
    { title = "Database: connections", stat = "Maximum", metrics = [["AWS/RDS", "DatabaseConnections", "DBClusterIdentifier", "${local.name}-database"]] },
    {
      title = "Tables that refuse", stat = "Sum"
      metrics = [for pair in setproduct(["ReadThrottleEvents", "WriteThrottleEvents"], ["posts", "sessions", "events"]) :
      ["AWS/DynamoDB", pair[0], "TableName", "${local.name}-${pair[1]}"]]
    },
  ], length(local.cache_series) == 0 ? [] : [{ title = "Cache", stat = "Maximum", metrics = [for c in local.cache_series : c.series] }])
}

resource "aws_cloudwatch_dashboard" "main" {
  dashboard_name = local.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type = "alarm", x = 0, y = 0, width = 24, height = 3
        properties = {
          title  = "Alarms: docs/how-to/runbook.md"
          alarms = concat([for name in keys(local.alarms) : "${local.arn_of_alarms}-${name}"], var.alarms == "all" ? ["${local.arn_of_alarms}-site-down"] : [])
        }
      }],
      [for n, w in local.widgets : {
        type       = "metric", x = n % 3 * 8, y = 3 + floor(n / 3) * 6, width = 8, height = 6
        properties = { title = w.title, stat = w.stat, metrics = w.metrics, period = 60, region = var.region, view = "timeSeries" }
      }],
    )
  })
}
