# The domain outlives the API's deployer, so it is always Terraform's; the mapping belongs to the API's owner.
resource "aws_acm_certificate" "api" {
  count = var.api_domain == null ? 0 : 1

  domain_name       = var.api_domain
  validation_method = "DNS"
  key_algorithm     = "EC_prime256v1"

  tags = { Name = "${local.name}-api" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  for_each = var.api_domain == null || var.route53_zone_id == null ? toset([]) : toset([var.api_domain])

  zone_id         = var.route53_zone_id
  name            = one([for o in aws_acm_certificate.api[0].domain_validation_options : o.resource_record_name if o.domain_name == each.key])
  type            = one([for o in aws_acm_certificate.api[0].domain_validation_options : o.resource_record_type if o.domain_name == each.key])
  records         = [one([for o in aws_acm_certificate.api[0].domain_validation_options : o.resource_record_value if o.domain_name == each.key])]
  ttl             = 300
  allow_overwrite = true
}

# Waits until the certificate is issued; without a zone of ours somebody enters the record by hand meanwhile.
resource "aws_acm_certificate_validation" "api" {
  count = var.api_domain == null ? 0 : 1

  certificate_arn         = aws_acm_certificate.api[0].arn
  validation_record_fqdns = length(aws_route53_record.validation) == 0 ? null : [for r in aws_route53_record.validation : r.fqdn]
}

resource "aws_apigatewayv2_domain_name" "api" {
  count = var.api_domain == null ? 0 : 1

  domain_name = var.api_domain

  domain_name_configuration {
    certificate_arn = aws_acm_certificate_validation.api[0].certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }

  tags = { Name = "${local.name}-api" }
}

resource "aws_route53_record" "api" {
  count = var.api_domain != null && var.route53_zone_id != null ? 1 : 0

  zone_id = var.route53_zone_id
  name    = var.api_domain
  type    = "A"

  alias {
    name                   = aws_apigatewayv2_domain_name.api[0].domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.api[0].domain_name_configuration[0].hosted_zone_id
    evaluate_target_health = false
  }
}

resource "aws_apigatewayv2_api_mapping" "api" {
  count = var.api_domain != null && local.terraform_deploys ? 1 : 0

  api_id      = aws_apigatewayv2_api.main[0].id
  domain_name = aws_apigatewayv2_domain_name.api[0].id
  stage       = aws_apigatewayv2_stage.default[0].id
}

locals {
  api_url = var.api_domain == null ? var.api_url : "https://${var.api_domain}"
}
