# Laid over an environment's file (-var-file=envs/prod.tfvars -var-file=envs/lean.tfvars): a small bill, also for Prod.
# The database pauses when nobody works, which visitors don't notice: they are served from the cache and DynamoDB.
database_min_acu    = 0
database_max_acu    = 1
database_proxy      = false
cache_mode          = "serverless"
interface_endpoints = []
flow_logs           = false
waf                 = false
monthly_budget_usd  = 90
