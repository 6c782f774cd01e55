env            = "dev"
site_url       = "https://dev.familycorp.example"
cors_origins   = ["https://dev.familycorp.example", "https://staff-dev.familycorp.example"]
api_domain     = "api-dev.familycorp.example"
webauthn_rp_id = "familycorp.example"

github_repository = "familycorp/backend"
alarm_emails      = ["ops@familycorp.example"]
alarms            = "few"

deletion_protection = false
log_level           = "DEBUG"
log_retention_days  = 14
monthly_budget_usd  = 60
key_rotation_days   = 2560 # Each of the first two rotations of a key costs a dollar a month.

# Pauses when nobody works; so there is no proxy, which would keep it awake.
database_min_acu     = 0
database_max_acu     = 2
database_backup_days = 1
