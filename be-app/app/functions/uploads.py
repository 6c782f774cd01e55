"""Events of the bucket: arrivals from S3, scan results from GuardDuty. `handler` is a function's entry point.

A failure is raised, so that AWS delivers the event again; every step may be repeated.
"""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from app.core.observability import context
from app.core.settings import settings
from app.functions import invocation
from app.uploads import malware, processing
from app.uploads.storage import QUARANTINE

_SCAN_RESULT = "GuardDuty Malware Protection Object Scan Result"


async def received(event: Mapping[str, Any]) -> None:
    """Go on with every upload that an event is about; what isn't about quarantine is passed over."""
    with context.correlated():
        if event.get("detail-type") == _SCAN_RESULT:
            await _scan_result(event["detail"])
        for upload_id in _arrivals(event):
            await processing.advance(upload_id)


def _arrivals(event: Mapping[str, Any]) -> Iterator[uuid.UUID]:
    for record in event.get("Records", ()):
        if record.get("eventSource") == "aws:s3" and record["eventName"].removeprefix("s3:").startswith(
            "ObjectCreated:"
        ):
            s3 = record["s3"]
            yield from _upload(s3["bucket"]["name"], unquote_plus(s3["object"]["key"]))


async def _scan_result(detail: Mapping[str, Any]) -> None:
    scanned = detail["s3ObjectDetails"]
    verdict = malware.verdict_of(detail["scanResultDetails"]["scanResultStatus"])
    for upload_id in _upload(scanned["bucketName"], scanned["objectKey"]):
        await processing.scanned(upload_id, scanned["eTag"], verdict)


def _upload(bucket: str, key: str) -> Iterator[uuid.UUID]:
    """Yield the upload that a key is of, if it is of one."""
    if bucket == settings().uploads_bucket and key.startswith(QUARANTINE):
        try:
            yield uuid.UUID(key.removeprefix(QUARANTINE))
        except ValueError:
            return


def handler(event: Mapping[str, Any], _: object) -> None:
    """Serve Lambda: go on with what one event is about."""
    invocation.serve("uploads", received(event))
