output "deploy_role_arn" {
  description = "Role that the pipeline deploys releases with: DEPLOY_ROLE_ARN of the GitHub environment; null without github_repository."
  value       = one(aws_iam_role.deploy[*].arn)
}

output "infra_role_arn" {
  description = "Role that the pipeline applies Terraform with: INFRA_ROLE_ARN of the GitHub environment with the suffix -infra."
  value       = one(aws_iam_role.infra[*].arn)
}

output "plan_role_arn" {
  description = "Role that the pipeline plans with: PLAN_ROLE_ARN of the GitHub environment with the suffix -plan."
  value       = one(aws_iam_role.plan[*].arn)
}
