locals {
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket_names.uploads}"
  media_arn  = "arn:${local.partition}:s3:::${local.bucket_names.media}"
  buckets    = { uploads = aws_s3_bucket.uploads, media = aws_s3_bucket.media, logs = aws_s3_bucket.logs, releases = aws_s3_bucket.releases, exchange = aws_s3_bucket.exchange }

  # With our own key. S3 delivers its access logs to no such bucket, releases hold no data, and media what is public.
  encrypted = toset(["uploads", "exchange"])
}

# Browsers send files here with presigned forms: `quarantine/` first, `files/` once they are checked.
resource "aws_s3_bucket" "uploads" {
  bucket        = local.bucket_names.uploads
  force_destroy = !var.deletion_protection

  tags = { Name = local.bucket_names.uploads }
}

# Pictures of public posts as the application encoded them, under names made of their content: without versions, since a
# withdrawn one must be gone, and a lost one is copied again.
resource "aws_s3_bucket" "media" {
  #checkov:skip=CKV_AWS_18:Lines of public pictures would hold visitors' addresses, which nobody needs.
  #checkov:skip=CKV_AWS_21:A withdrawn picture must be gone.
  bucket        = local.bucket_names.media
  force_destroy = true

  tags = { Name = local.bucket_names.media }
}

# Who fetched what from the uploads.
resource "aws_s3_bucket" "logs" {
  bucket        = local.bucket_names.logs
  force_destroy = !var.deletion_protection

  tags = { Name = local.bucket_names.logs }
}

# Templates and archives that SAM deploys (`s3_bucket` in samconfig.toml).
resource "aws_s3_bucket" "releases" {
  #checkov:skip=CKV_AWS_18:Nobody but the pipeline uses it, and the account's trail has what the pipeline does.
  bucket        = local.bucket_names.releases
  force_destroy = !var.deletion_protection

  tags = { Name = local.bucket_names.releases }
}

# What operators bring and take, people's inquiries among it: without versions, so that after a day it is gone for good.
resource "aws_s3_bucket" "exchange" {
  #checkov:skip=CKV_AWS_18:The audit trail names who ordered each object.
  #checkov:skip=CKV_AWS_21:A version would outlive the day.
  bucket        = local.bucket_names.exchange
  force_destroy = true

  tags = { Name = local.bucket_names.exchange }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced" # No ACLs at all.
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = { for name, bucket in local.buckets : name => bucket if !contains(["exchange", "media"], name) }

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

moved {
  from = aws_s3_bucket_server_side_encryption_configuration.uploads
  to   = aws_s3_bucket_server_side_encryption_configuration.ours["uploads"]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "ours" {
  for_each = local.encrypted

  bucket = local.buckets[each.key].id

  rule {
    bucket_key_enabled = true # One request to KMS for many objects.

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.data.arn
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "plain" {
  for_each = setsubtract(keys(local.buckets), local.encrypted)

  bucket = local.buckets[each.key].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.buckets

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value.arn, "${each.value.arn}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "media" && local.media_cdn ? [1] : []

    content {
      sid       = "CloudFrontReadsPictures"
      actions   = ["s3:GetObject"]
      resources = ["${local.media_arn}/media/*"]

      principals {
        type        = "Service"
        identifiers = ["cloudfront.amazonaws.com"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceArn"
        values   = [local.media_distribution_arn]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "logs" ? [1] : []

    content {
      sid       = "S3DeliversAccessLogs"
      actions   = ["s3:PutObject"]
      resources = ["${each.value.arn}/s3/uploads/*"]

      principals {
        type        = "Service"
        identifiers = ["logging.s3.amazonaws.com"]
      }

      condition {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = [local.bucket_arn]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.account]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets

  bucket = each.value.id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  # Two changes of a bucket's access at the same time conflict.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_logging" "uploads" {
  bucket        = aws_s3_bucket.uploads.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "s3/uploads/"

  depends_on = [aws_s3_bucket_policy.this] # S3 refuses a target that its delivery service may not write to.
}

resource "aws_s3_bucket_cors_configuration" "uploads" {
  bucket = aws_s3_bucket.uploads.id

  cors_rule {
    allowed_origins = sort(distinct(concat(var.cors_origins, [var.site_url])))
    allowed_methods = ["POST", "PUT"]
    allowed_headers = ["content-type", "x-amz-checksum-sha256"]
    expose_headers  = ["ETag"]
    max_age_seconds = 600
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "uploads" {
  bucket = aws_s3_bucket.uploads.id

  rule {
    id     = "quarantine"
    status = "Enabled"

    filter {
      prefix = "quarantine/"
    }

    expiration {
      days = 2
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  # A file that was deleted can be taken back for thirty days.
  rule {
    id     = "deleted-files"
    status = "Enabled"

    filter {
      prefix = "files/"
    }

    expiration {
      expired_object_delete_marker = true
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "exchange" {
  bucket = aws_s3_bucket.exchange.id

  rule {
    id     = "a-day"
    status = "Enabled"

    filter {}

    expiration {
      days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "media" {
  bucket = aws_s3_bucket.media.id

  rule {
    id     = "unfinished"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }
}

# Releases are kept for as long as anybody might roll back to one.
resource "aws_s3_bucket_lifecycle_configuration" "expiring" {
  for_each = { logs = 365, releases = 180 }

  bucket = local.buckets[each.key].id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = each.value
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

# Arrivals go to EventBridge, whose rule starts the uploads function: S3 itself would have to know the function, and so
# the bucket would depend on who deploys it.
resource "aws_s3_bucket_notification" "uploads" {
  bucket      = aws_s3_bucket.uploads.id
  eventbridge = true
}
