# GuardDuty scans objects that arrive in quarantine. Until its result is there, the application lets nobody have the file; a
# rule in events.tf sends the result to the uploads function.
resource "aws_iam_role" "scanner" {
  count = local.scans ? 1 : 0

  name                 = "${local.name}-scanner"
  description          = "GuardDuty, which reads what arrives in quarantine"
  permissions_boundary = local.boundary_arn

  assume_role_policy = local.service_trust["GuardDuty"]

  tags = { Name = "${local.name}-scanner" }
}

# The permissions of the GuardDuty User Guide ("Create or update IAM role policy"), without tags and for quarantine alone.
resource "aws_iam_role_policy" "scanner" {
  count = local.scans ? 1 : 0

  name = "scanner"
  role = aws_iam_role.scanner[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ManagedRule"
        Effect    = "Allow"
        Action    = ["events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets"]
        Resource  = [local.scanner_rules] # GuardDuty ends the rule's name.
        Condition = { StringLike = { "events:ManagedBy" = "malware-protection-plan.guardduty.amazonaws.com" } }
      },
      { Sid = "SeeManagedRule", Effect = "Allow", Action = ["events:DescribeRule", "events:ListTargetsByRule"], Resource = [local.scanner_rules] },
      { Sid = "Bucket", Effect = "Allow", Action = ["s3:GetBucketNotification", "s3:ListBucket", "s3:PutBucketNotification"], Resource = [local.bucket_arn] },
      { Sid = "Validation", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${local.bucket_arn}/malware-protection-resource-validation-object"] },
      { Sid = "Scan", Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectVersion"], Resource = ["${local.bucket_arn}/quarantine/*"] },
      {
        Sid      = "ItsKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = ["${local.arn.kms}/*"] # Ids are made by KMS: the alias and the service narrow it to one key.
        Condition = {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-data" }
          StringEquals               = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" }
        }
      },
    ]
  })
}

resource "aws_guardduty_malware_protection_plan" "uploads" {
  count = local.scans ? 1 : 0

  role = aws_iam_role.scanner[0].arn

  protected_resource {
    s3_bucket {
      bucket_name     = aws_s3_bucket.uploads.id
      object_prefixes = ["quarantine/"]
    }
  }

  tags = { Name = "${local.name}-uploads" }

  depends_on = [aws_iam_role_policy.scanner, aws_s3_bucket_notification.uploads] # GuardDuty tries the role at once.
}
