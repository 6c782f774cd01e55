env            = "stage"
site_url       = "https://stage.familycorp.example"
cors_origins   = ["https://stage.familycorp.example", "https://staff-stage.familycorp.example"]
api_domain     = "api-stage.familycorp.example"
media_domain   = "media-stage.familycorp.example"
webauthn_rp_id = "familycorp.example"

github_repository = "familycorp/backend"
alarm_emails      = ["ops@familycorp.example"]

# As Prod is, and smaller: a rehearsal here must be able to fail as it would there.
log_retention_days = 30
monthly_budget_usd = 400

database_min_acu = 0.5
database_max_acu = 4
database_proxy   = true
cache_mode       = "replication_group"
