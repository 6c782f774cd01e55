env            = "prod"
site_url       = "https://www.familycorp.example"
cors_origins   = ["https://www.familycorp.example", "https://staff.familycorp.example"]
api_domain     = "api.familycorp.example"
media_domain   = "media.familycorp.example"
webauthn_rp_id = "familycorp.example"

github_repository = "familycorp/backend"
alarm_emails      = ["ops@familycorp.example"]

deletion_protection = true
log_retention_days  = 365
log_sample_rate     = 0.01
monthly_budget_usd  = 700
flow_logs           = true
waf                 = true

database_min_acu     = 0.5
database_max_acu     = 16
database_instances   = 2
database_backup_days = 35
database_proxy       = true
cache_mode           = "replication_group"
malware_scanner      = "guardduty"
