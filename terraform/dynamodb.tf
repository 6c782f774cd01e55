locals {
  # Lists need nothing but the card; a post shows slug, language and title of its translations.
  posts_indexes = {
    byLang        = { hash = "lang", range = "listedAt", projection = "INCLUDE", attributes = ["card"] }
    byCategory    = { hash = "categoryLang", range = "listedAt", projection = "INCLUDE", attributes = ["card"] }
    bySlug        = { hash = "slug", range = null, projection = "KEYS_ONLY", attributes = null }
    byTranslation = { hash = "translationKey", range = null, projection = "INCLUDE", attributes = ["lang", "slug", "title"] }
  }
  posts_attributes = distinct(concat(
    ["postId"], flatten([for index in values(local.posts_indexes) : compact([index.hash, index.range])])
  ))
}

# Snapshots that visitors are served from, and view counters.
resource "aws_dynamodb_table" "posts" {
  name                        = "${local.name}-posts"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "postId"
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = local.posts_attributes

    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = local.posts_indexes

    content {
      name               = global_secondary_index.key
      hash_key           = global_secondary_index.value.hash
      range_key          = global_secondary_index.value.range
      projection_type    = global_secondary_index.value.projection
      non_key_attributes = global_secondary_index.value.attributes
    }
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.data.arn
  }

  tags = { Name = "${local.name}-posts" }
}

# Logins under way, sessions, second factors, public keys, rate limits.
resource "aws_dynamodb_table" "sessions" {
  name                        = "${local.name}-sessions"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "owner"
  range_key                   = "item"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "owner"
    type = "S"
  }

  attribute {
    name = "item"
    type = "S"
  }

  ttl {
    enabled        = true
    attribute_name = "expiresAt"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.data.arn
  }

  tags = { Name = "${local.name}-sessions" }
}

# Domain events, and markers of what is due.
resource "aws_dynamodb_table" "events" {
  name                        = "${local.name}-events"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "aggregate"
  range_key                   = "sequence"
  stream_enabled              = true
  stream_view_type            = "NEW_IMAGE"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "aggregate"
    type = "S"
  }

  attribute {
    name = "sequence"
    type = "S"
  }

  ttl {
    enabled        = true
    attribute_name = "expiresAt"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.data.arn
  }

  tags = { Name = "${local.name}-events" }
}
