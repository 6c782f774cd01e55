"""The bucket: what browsers may send to `quarantine/`, and what stands in `files/` once it was verified.

The server signs; it never relays an upload. Every key is made of an upload's id, and of nothing that a caller says.
"""

import base64
import hashlib
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError

from app.core.aws import clients as aws
from app.core.clock import now
from app.core.settings import settings
from app.uploads.errors import StorageUnavailable, Vanished
from app.uploads.kinds import SINGLE_POST
from app.uploads.models import Upload
from app.uploads.reasons import Rejection
from app.uploads.schemas import PART_BYTES, PartAddress, PartWanted, PostForm, shown_name

LINK_S = 60
"""Seconds for which a download's link is good."""

SIGNED_S = 300
"""Seconds for which a form or a part's address is good (ASVS 5.2: short-lived)."""

QUARANTINE, FILES = "quarantine/", "files/"

_BLOCK = 64 * 1024
_MISSING = {"NoSuchKey", "404", "NotFound", "NoSuchUpload", "NoSuchVersion"}
_CHANGED = {"PreconditionFailed", "412"}


class Found(NamedTuple):
    """An object in quarantine."""

    size: int
    etag: str
    checksum: str | None
    """S3's checksum, the SHA-256 in Base64; of a file in parts with `-<count>`."""


def quarantine_key(upload: uuid.UUID) -> str:
    """Return where an upload arrives."""
    return f"{QUARANTINE}{upload}"


def file_key(upload: uuid.UUID, variant: str = "original") -> str:
    """Return where a verified file stands."""
    return f"{FILES}{upload}/{variant}"


def count_parts(size: int) -> int:
    """Return in how many parts a file comes; 1 means in one POST."""
    return 1 if size <= SINGLE_POST else -(-size // PART_BYTES)


def expected_checksum(upload: Upload) -> str:
    """Return the checksum that S3 must report for the declared SHA-256."""
    encoded = _base64(upload.sha256)
    parts = count_parts(upload.size)
    return encoded if parts == 1 else f"{encoded}-{parts}"


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _call(operation: str, **parameters: Any) -> dict[str, Any]:
    """Call S3, in a worker thread; raise `StorageUnavailable` unless it answers, and its own error if it refuses."""
    try:
        return aws.call_here("s3", operation, Bucket=settings().uploads_bucket, **parameters)
    except (BotoCoreError, ClientError) as error:
        if aws.is_outage(error):
            raise StorageUnavailable from error
        raise


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


async def call(operation: str, **parameters: Any) -> dict[str, Any] | None:
    """Call S3; return None where there is no such object or multipart upload."""
    try:
        return await to_thread.run_sync(partial(_call, operation, **parameters))
    except ClientError as error:
        if _code(error) in _MISSING:
            return None
        raise


# -- signing ------------------------------------------------------------------------------------------------


def post_form(upload: Upload) -> PostForm:
    """Sign the one form that uploads this file: exact key, type, length and SHA-256, until it expires."""
    exact = {
        "Content-Type": upload.content_type,
        "x-amz-checksum-algorithm": "SHA256",
        "x-amz-checksum-sha256": _base64(upload.sha256),
    }
    signed = aws.client("s3").generate_presigned_post(
        settings().uploads_bucket,
        quarantine_key(upload.id),
        Fields=dict(exact),
        Conditions=[
            *({name: value} for name, value in exact.items()),
            ["content-length-range", upload.size, upload.size],
        ],
        ExpiresIn=_left(upload.expires_at),
    )
    return PostForm(url=signed["url"], fields=signed["fields"])


def part_address(upload: Upload, wanted: PartWanted) -> PartAddress:
    """Sign the one PUT that uploads this part, of exact length and SHA-256."""
    last = count_parts(upload.size)
    length = PART_BYTES if wanted.number < last else upload.size - PART_BYTES * (last - 1)
    checksum = _base64(wanted.sha256)
    url = aws.client("s3").generate_presigned_url(
        "upload_part",
        Params={
            "Bucket": settings().uploads_bucket,
            "Key": quarantine_key(upload.id),
            "UploadId": upload.multipart,
            "PartNumber": wanted.number,
            "ContentLength": length,
            "ChecksumSHA256": checksum,
        },
        ExpiresIn=min(SIGNED_S, _left(upload.expires_at)),
    )
    return PartAddress(number=wanted.number, url=url, headers={"x-amz-checksum-sha256": checksum})


def link(key: str, name: str, content_type: str, seconds: int = LINK_S) -> str:
    """Sign a download: as an attachment, under its own name and stored type."""
    return str(
        aws.client("s3").generate_presigned_url(
            "get_object",
            Params={
                "Bucket": settings().uploads_bucket,
                "Key": key,
                "ResponseContentDisposition": disposition(name),
                "ResponseContentType": content_type,
                "ResponseCacheControl": "private, no-store",
            },
            ExpiresIn=seconds,
        )
    )


def disposition(name: str) -> str:
    """Return the Content-Disposition of an attachment (RFC 6266): its name in UTF-8, for old clients in ASCII."""
    name = shown_name(name)
    ascii_name = name.encode("ascii", "replace").decode().translate(str.maketrans('?"\\%;', "_____"))
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"


def _left(until: datetime) -> int:
    return max(1, min(int((until - now()).total_seconds()), SIGNED_S))


# -- parts --------------------------------------------------------------------------------------------------


async def begin_parts(upload: Upload) -> str:
    """Begin to take parts; return S3's name of it."""
    begun = await call(
        "create_multipart_upload",
        Key=quarantine_key(upload.id),
        ContentType=upload.content_type,
        ChecksumAlgorithm="SHA256",
        ChecksumType="COMPOSITE",
    )
    return str((begun or {})["UploadId"])


async def parts_arrived(upload: Upload) -> Sequence[dict[str, Any]]:
    """Return S3's descriptions of the parts that arrived, by number."""
    if upload.multipart is None:
        return ()
    listed = await call("list_parts", Key=quarantine_key(upload.id), UploadId=upload.multipart)
    arrived: Sequence[dict[str, Any]] = (listed or {}).get("Parts", ())
    return arrived


async def join_parts(upload: Upload) -> None:
    """Make one object of the parts, if all have arrived.

    Raises `Rejection` when they are not those that were declared.
    """
    arrived = await parts_arrived(upload)
    if len(arrived) != count_parts(upload.size):
        return
    digests = [upload.part_digests.get(str(part["PartNumber"]), "") for part in arrived]
    whole = hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
    if sum(part["Size"] for part in arrived) != upload.size:
        raise Rejection("size_mismatch")
    if whole != upload.sha256:
        raise Rejection("checksum_mismatch")
    parts = [
        {"PartNumber": part["PartNumber"], "ETag": part["ETag"], "ChecksumSHA256": _base64(digest)}
        for part, digest in zip(arrived, digests, strict=True)
    ]
    try:
        await call(
            "complete_multipart_upload",
            Key=quarantine_key(upload.id),
            UploadId=upload.multipart,
            MultipartUpload={"Parts": parts},
        )
    except ClientError as error:
        if (
            error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        ):  # What arrived was signed for once, but not last.
            raise Rejection("checksum_mismatch") from None
        raise


async def drop_parts(key: str, multipart: str) -> None:
    """Give up a multipart upload and what arrived of it."""
    await call("abort_multipart_upload", Key=key, UploadId=multipart)


# -- objects ------------------------------------------------------------------------------------------------


async def find(upload: Upload) -> Found | None:
    """Return what arrived of an upload."""
    head = await call("head_object", Key=quarantine_key(upload.id), ChecksumMode="ENABLED")
    if head is None:
        return None
    return Found(head["ContentLength"], head["ETag"], head.get("ChecksumSHA256"))


def _read(key: str, etag: str) -> Any:
    """Open the body of exactly this object; raise `Vanished` for another."""
    try:
        return _call("get_object", Key=key, IfMatch=etag)["Body"]
    except ClientError as error:
        if _code(error) in _CHANGED | _MISSING:
            raise Vanished from error
        raise


def chunks(key: str, found: Found) -> Iterator[bytes]:
    """Yield an object's bytes piece by piece, in a worker thread."""
    body = _read(key, found.etag)
    try:
        while piece := body.read(_BLOCK):
            yield piece
    except BotoCoreError as error:
        raise StorageUnavailable from error
    finally:
        body.close()


def digest(upload: Upload, found: Found) -> str:
    """Compute what S3 would say of an object's SHA-256, where a server keeps none (AWS always does)."""
    if count_parts(upload.size) > 1:
        raise Rejection("checksum_mismatch")  # What came in parts has a checksum on every server.
    hashed = hashlib.sha256()
    for piece in chunks(quarantine_key(upload.id), found):
        hashed.update(piece)
    return base64.b64encode(hashed.digest()).decode()


def fetch(upload: Upload, found: Found, into: Path) -> None:
    """Write an object into a file, in a worker thread."""
    with into.open("wb") as file:
        file.writelines(chunks(quarantine_key(upload.id), found))


async def keep(upload: Upload, found: Found) -> None:
    """Copy a verified file within S3 to where it stays; raise `Vanished` unless it is still this one."""
    try:
        copied = await call(
            "copy_object",
            Key=file_key(upload.id),
            CopySource={"Bucket": settings().uploads_bucket, "Key": quarantine_key(upload.id)},
            CopySourceIfMatch=found.etag,
            MetadataDirective="REPLACE",
            **_dress(upload.name, upload.content_type),
        )
    except ClientError as error:
        if _code(error) in _CHANGED:
            raise Vanished from error
        raise
    if copied is None:
        raise Vanished


async def put(key: str, file: Path, name: str, content_type: str) -> None:
    """Store a file that was made here."""
    with file.open("rb") as body:
        await call("put_object", Key=key, Body=body, **_dress(name, content_type))


def _dress(name: str, content_type: str) -> dict[str, str]:
    return {
        "ContentType": content_type,
        "ContentDisposition": disposition(name),
        "CacheControl": "private, no-store",
    }


async def erase(key: str) -> None:
    """Remove an object with all its versions: a rejected file must not be reachable in any way."""
    listed = await call("list_object_versions", Prefix=key) or {}
    for version in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
        if version["Key"] == key:
            await call("delete_object", Key=key, VersionId=version["VersionId"])


async def hide(upload: uuid.UUID) -> None:
    """Delete a file and its thumbnails; the bucket keeps their versions for 30 days."""
    listed = await call("list_objects_v2", Prefix=f"{FILES}{upload}/") or {}
    for item in listed.get("Contents", ()):
        await call("delete_object", Key=item["Key"])


async def show(upload: uuid.UUID) -> bool:
    """Take a deletion back; return whether the file was still there."""
    listed = await call("list_object_versions", Prefix=f"{FILES}{upload}/") or {}
    kept = {version["Key"] for version in listed.get("Versions", ())}
    for marker in listed.get("DeleteMarkers", ()):
        if marker["Key"] in kept:
            await call("delete_object", Key=marker["Key"], VersionId=marker["VersionId"])
    return file_key(upload) in kept
