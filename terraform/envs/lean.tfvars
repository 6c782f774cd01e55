# Laid over an environment's file (-var-file=envs/dev.tfvars -var-file=envs/lean.tfvars): the least it can run on.
# Answers are composed from DynamoDB each time, the database pauses, and nothing bills by the hour.
database_min_acu    = 0
database_max_acu    = 1
database_proxy      = false
cache_mode          = "none"
interface_endpoints = []
flow_logs           = false
waf                 = false
alarms              = "few"
monthly_budget_usd  = 20
