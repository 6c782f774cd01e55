"""Whether an environment can be brought back, reports its failures, and has room and valid certificates."""

import datetime
from gettext import gettext as _
from typing import Final

from familycorp_ops.deploy.environment import Environment, absent
from familycorp_ops.doctor.checks import Check, Finding, apply_command

BACKUP_DAYS: Final = {"dev": 1, "stage": 7, "prod": 14}
"""Days to which a database must be restorable, as terraform/variables.tf has it for Prod."""
VPCS: Final = "L-F678F1CE"
"""Code of the quota of VPCs in a region: 5, unless more were asked for."""
FULL: Final = 0.9
"""Share of a quota beyond which it is time to act."""
GB: Final = 1024**3


def backups(it: Environment) -> Check:
    """Return whether database, tables and files can be brought back."""
    found, seen = [], []
    least, tfvars = BACKUP_DAYS[it.env], f"terraform/envs/{it.env}.tfvars"
    clusters = absent(it.client("rds").describe_db_clusters, DBClusterIdentifier=f"{it.name}-database")
    if clusters is None:
        found.append(Finding(_("There is no database."), apply_command(it)))
    else:
        days = clusters["DBClusters"][0]["BackupRetentionPeriod"]
        seen.append(_("database {days} days").format(days=days))
        if days < least:
            fix = _("set database_backup_days in {tfvars} to {least} or more, and apply.").format(
                tfvars=tfvars, least=least
            )
            found.append(
                Finding(
                    _("The database can be restored to {days} days, not {least}.").format(
                        days=days, least=least
                    ),
                    fix,
                )
            )
    for key in ("posts", "sessions", "events"):
        table = f"{it.name}-{key}"
        answer = absent(it.client("dynamodb").describe_continuous_backups, TableName=table)
        if answer is None:
            found.append(
                Finding(
                    _("There is no table {table}.").format(table=table),
                    _("apply terraform/ with {tfvars}.").format(tfvars=tfvars),
                )
            )
            continue
        described = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        seen.append(f"{key} {described['PointInTimeRecoveryStatus'].lower()}")
        if described["PointInTimeRecoveryStatus"] != "ENABLED":
            fix = _("apply terraform/ with {tfvars}: it switches point-in-time recovery on.").format(
                tfvars=tfvars
            )
            found.append(
                Finding(_("The table {table} can't be restored to a point in time.").format(table=table), fix)
            )
    bucket = it.parameters.get("uploads/bucket", f"{it.name}-uploads")
    answer = absent(it.client("s3").get_bucket_versioning, Bucket=bucket)
    if answer is None or answer.get("Status") != "Enabled":
        found.append(
            Finding(
                _("Deleted files of {bucket} can't be restored.").format(bucket=bucket),
                _("apply terraform/ with {tfvars}.").format(tfvars=tfvars),
            )
        )
    return Check("backups", ", ".join(seen) or _("none"), tuple(found))


def alarms(it: Environment) -> Check:
    """Return whether alarms have a subscriber."""
    found, subscribed = [], 0
    for key in ("alarms", "notices"):
        topic = it.parameters.get(f"events/{key}-topic")
        if topic is None:
            continue
        pages = it.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        all_ = [s for page in pages for s in page["Subscriptions"]]
        pending = [s["Endpoint"] for s in all_ if not s["SubscriptionArn"].startswith("arn:")]
        found += [
            Finding(
                _("{who} hasn't confirmed the subscription of {topic}.").format(who=who, topic=key),
                _("they follow the link in AWS's mail."),
            )
            for who in pending
        ]
        if key == "alarms":
            subscribed = len(all_) - len(pending)
            if not all_:
                fix = _("put addresses into alarm_emails in terraform/envs/{env}.tfvars, and apply.").format(
                    env=it.env
                )
                found.append(Finding(_("The topic of alarms has no subscriber."), fix))
    pages = it.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{it.name}-")
    there = [a for page in pages for a in page["MetricAlarms"]]
    found += [
        Finding(
            _("The alarm {alarm_name} is switched off.").format(alarm_name=a["AlarmName"]),
            f"`aws cloudwatch enable-alarm-actions --alarm-names {a['AlarmName']}`",
        )
        for a in there
        if not a["ActionsEnabled"]
    ]
    return Check(
        "alarms",
        _("{there}, {subscribed} subscribers").format(there=len(there), subscribed=subscribed),
        tuple(found),
    )


def certificates(it: Environment, days: int) -> Check:
    """Return whether the certificates of the API's domain are valid, and long enough."""
    seen, found = [], []
    now = datetime.datetime.now(datetime.UTC)
    for attributes in it.in_state("aws_acm_certificate"):
        arn = attributes["arn"]
        answer = absent(it.client("acm").describe_certificate, CertificateArn=arn)
        if answer is None:
            fix = apply_command(it)
            found.append(Finding(_("The certificate {arn} is gone.").format(arn=arn), fix))
            continue
        described = answer["Certificate"]
        name, status = described["DomainName"], described["Status"]
        renew = _("the record that ACM's console shows must be in DNS for the certificate to be renewed.")
        if status != "ISSUED":
            found.append(
                Finding(_("The certificate of {name} is {status}.").format(name=name, status=status), renew)
            )
        elif (ends := described.get("NotAfter")) is not None:
            left = (ends - now).days
            seen.append(_("{name} {left} days").format(name=name, left=left))
            if left < days:
                found.append(
                    Finding(
                        _("The certificate of {name} ends in {left} days.").format(name=name, left=left),
                        renew,
                    )
                )
    return Check("certificates", ", ".join(seen) or _("none"), tuple(found))


def quotas(it: Environment) -> Check:
    """Return whether the account lets as many functions run and holds as much code as is needed."""
    answer = it.client("lambda").get_account_settings()
    limit, used = answer["AccountLimit"], answer["AccountUsage"]["TotalCodeSize"]
    free = limit["UnreservedConcurrentExecutions"]
    burst = int(it.parameters.get("api/burst") or it.chosen("api_burst") or 0)
    found = []
    if free < burst:
        fix = _("request more `Concurrent executions` in Service Quotas, or lower api_burst.")
        found.append(
            Finding(
                _("The API lets {burst} requests through at once, the account runs {free} functions.").format(
                    burst=burst, free=free
                ),
                fix,
            )
        )
    if used > FULL * limit["TotalCodeSize"]:
        fix = _(
            "delete versions of functions and layers that nothing uses any more, or request more "
            "in Service Quotas."
        )
        found.append(
            Finding(
                _("Lambda holds {used:.1f} GB of code in this region, and at most {most:.0f}.").format(
                    used=used / GB, most=limit["TotalCodeSize"] / GB
                ),
                fix,
            )
        )
    seen = [
        _("{free} functions at once").format(free=free),
        _("{used:.1f} of {most:.0f} GB of code").format(used=used / GB, most=limit["TotalCodeSize"] / GB),
    ]
    return Check("quotas", ", ".join(seen), tuple(found))


def vpcs(it: Environment) -> Check:
    """Return whether the region takes a VPC more, which the first apply alone makes."""
    if it.in_state("aws_vpc"):
        return Check("vpcs", _("ours is there"))
    there = len(it.client("ec2").describe_vpcs()["Vpcs"])
    most = it.client("service-quotas").get_service_quota(ServiceCode="vpc", QuotaCode=VPCS)
    quota = int(most["Quota"]["Value"])
    seen = _("{there} of {quota} VPCs").format(there=there, quota=quota)
    if there < quota:
        return Check("vpcs", seen)
    fix = _("request more `VPCs per Region` in Service Quotas, or delete an unused one.")
    what = _("The region has {there} VPCs, no more may be made, and none is ours.").format(there=there)
    return Check("vpcs", seen, (Finding(what, fix),))
