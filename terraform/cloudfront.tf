# Pictures of public posts, from this bucket alone and on a domain of its own: never the API, whose clients' addresses come
# from its gateway. Without `media_domain` the API redirects to the bucket instead. There is no WAF: nothing runs here.
locals {
  media_cdn = var.media_domain != null
  # By id where CloudFront has made one. The policy names it, so that no other distribution reads the bucket.
  media_distribution_arn = one(aws_cloudfront_distribution.media[*].arn)
}

resource "aws_acm_certificate" "media" {
  count    = local.media_cdn ? 1 : 0
  provider = aws.global # CloudFront takes certificates of us-east-1 alone.

  domain_name       = var.media_domain
  validation_method = "DNS"
  key_algorithm     = "EC_prime256v1"

  tags = { Name = "${local.name}-media" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "media_validation" {
  for_each = !local.media_cdn || var.route53_zone_id == null ? toset([]) : toset([var.media_domain])

  zone_id         = var.route53_zone_id
  name            = one([for o in aws_acm_certificate.media[0].domain_validation_options : o.resource_record_name if o.domain_name == each.key])
  type            = one([for o in aws_acm_certificate.media[0].domain_validation_options : o.resource_record_type if o.domain_name == each.key])
  records         = [one([for o in aws_acm_certificate.media[0].domain_validation_options : o.resource_record_value if o.domain_name == each.key])]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "media" {
  count    = local.media_cdn ? 1 : 0
  provider = aws.global

  certificate_arn         = aws_acm_certificate.media[0].arn
  validation_record_fqdns = length(aws_route53_record.media_validation) == 0 ? null : [for r in aws_route53_record.media_validation : r.fqdn]
}

resource "aws_cloudfront_origin_access_control" "media" {
  count = local.media_cdn ? 1 : 0

  name                              = "${local.name}-media"
  description                       = "Signs requests for pictures"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# Browsers keep a picture for good, since a name's content never changes. CloudFront asks again after an hour, so that a
# withdrawn picture needs no invalidation.
resource "aws_cloudfront_cache_policy" "media" {
  count = local.media_cdn ? 1 : 0

  name        = "${local.name}-media"
  comment     = "An hour, whatever the object's own header says"
  min_ttl     = 0
  default_ttl = 3600
  max_ttl     = 3600

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = false # Pictures are compressed.
    enable_accept_encoding_gzip   = false

    cookies_config {
      cookie_behavior = "none"
    }

    headers_config {
      header_behavior = "none"
    }

    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

resource "aws_cloudfront_response_headers_policy" "media" {
  count = local.media_cdn ? 1 : 0

  name    = "${local.name}-media"
  comment = "What a picture is, and that it runs nothing"

  security_headers_config {
    content_type_options {
      override = true
    }

    content_security_policy {
      content_security_policy = "default-src 'none'"
      override                = true
    }

    strict_transport_security {
      access_control_max_age_sec = 63072000
      override                   = true
    }
  }

  custom_headers_config {
    items {
      header   = "Cross-Origin-Resource-Policy"
      value    = "cross-origin"
      override = true
    }
  }
}

resource "aws_cloudfront_distribution" "media" {
  #checkov:skip=CKV_AWS_68:A WAF would cost more than the rest; there is nothing to protect but public pictures.
  #checkov:skip=CKV2_AWS_47:As above.
  #checkov:skip=CKV_AWS_86:Lines of public pictures would hold visitors' addresses, which nobody needs.
  #checkov:skip=CKV_AWS_310:Readers see a page without its pictures while S3 is away.
  #checkov:skip=CKV_AWS_305:There is no page to begin with.
  count = local.media_cdn ? 1 : 0

  enabled         = true
  comment         = "${local.name}: pictures of public posts"
  aliases         = [var.media_domain]
  http_version    = "http2and3"
  is_ipv6_enabled = true
  price_class     = "PriceClass_200" # With Seoul; without South America and Oceania.

  origin {
    origin_id                = "media"
    domain_name              = aws_s3_bucket.media.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.media[0].id
  }

  default_cache_behavior {
    target_origin_id           = "media"
    viewer_protocol_policy     = "https-only"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = false
    cache_policy_id            = aws_cloudfront_cache_policy.media[0].id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.media[0].id
  }

  # Without ListBucket S3 answers 403 for what is absent; keep that for a minute, since a picture may come back.
  custom_error_response {
    error_code            = 403
    error_caching_min_ttl = 60
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    acm_certificate_arn      = aws_acm_certificate_validation.media[0].certificate_arn
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv1.2_2021"
  }

  tags = { Name = "${local.name}-media" }
}

resource "aws_route53_record" "media" {
  for_each = local.media_cdn && var.route53_zone_id != null ? toset(["A", "AAAA"]) : toset([])

  zone_id = var.route53_zone_id
  name    = var.media_domain
  type    = each.key

  alias {
    name                   = aws_cloudfront_distribution.media[0].domain_name
    zone_id                = aws_cloudfront_distribution.media[0].hosted_zone_id
    evaluate_target_health = false
  }
}
