# Saved queries for operators; docs/how-to/logs.md shows the same files.
resource "aws_cloudwatch_query_definition" "this" {
  for_each = fileset("${path.module}/queries", "*.txt")

  name            = "${local.name}/${trimsuffix(each.key, ".txt")}"
  log_group_names = [for group in aws_cloudwatch_log_group.function : group.name]
  query_string    = file("${path.module}/queries/${each.key}")
}
