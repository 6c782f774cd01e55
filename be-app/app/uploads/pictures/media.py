"""The media bucket: renditions of public posts' pictures under names made of their content, and nothing else.

A name's content never changes, so browsers keep it for good; CloudFront, where an environment has it, serves this
bucket alone. An object exists while a public post shows its picture: originals and documents are never copied here.
"""

from asyncio import gather
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError

from app.core.aws import clients as aws
from app.core.settings import settings
from app.uploads import storage
from app.uploads.errors import StorageUnavailable
from app.uploads.kinds import THUMBNAILS
from app.uploads.models import Upload
from app.uploads.pictures.images import variants_of

PREFIX: Final = "media/"
LINK_S: Final = 3600
"""Seconds for which a redirect's link is good, and so how long a proxy may keep a withdrawn picture."""

CACHE_CONTROL: Final = "public, max-age=31536000, immutable"

Files = Mapping[str, Mapping[str, Any]]
"""Pictures by their digest: the `upload` that has the renditions, and their `variants`."""


def address(digest: str, variant: str) -> str:
    """Return the public address of a rendition."""
    return f"{settings().media_origin}/{PREFIX}{digest}/{variant}"


def files(pictures: Iterable[Upload]) -> dict[str, dict[str, Any]]:
    """Return what the media bucket must hold so that pictures are seen."""
    return {
        file.picture["digest"]: {"upload": str(file.place), "variants": variants_of(file.picture)}
        for file in pictures
        if file.picture
    }


def link(digest: str, variant: str) -> str:
    """Sign the address of a rendition in the bucket, for environments without a CDN."""
    where = {"Bucket": settings().media_bucket, "Key": f"{PREFIX}{digest}/{variant}"}
    signed = aws.client("s3").generate_presigned_url("get_object", Params=where, ExpiresIn=LINK_S)
    return str(signed)


async def place(wanted: Files) -> None:
    """Copy renditions into the bucket, those that aren't there; raise `StorageUnavailable`."""
    await gather(*(_place(digest, str(file["upload"]), file["variants"]) for digest, file in wanted.items()))


async def _place(digest: str, upload: str, variants: Iterable[str]) -> None:
    listed = await _call("list_objects_v2", Prefix=f"{PREFIX}{digest}/")
    there = {item["Key"].rpartition("/")[2] for item in listed.get("Contents", ())}
    await gather(*(_copy(digest, upload, variant) for variant in variants if variant not in there))


async def _copy(digest: str, upload: str, variant: str) -> None:
    await _call(
        "copy_object",
        Key=f"{PREFIX}{digest}/{variant}",
        CopySource={"Bucket": settings().uploads_bucket, "Key": f"{storage.FILES}{upload}/{variant}"},
        MetadataDirective="REPLACE",
        ContentType=THUMBNAILS[variant.rpartition(".")[2]],
        CacheControl=CACHE_CONTROL,
    )


async def remove(digest: str) -> None:
    """Delete a picture's renditions with all their versions; raise `StorageUnavailable`."""
    listed = await _call("list_object_versions", Prefix=f"{PREFIX}{digest}/")
    versions = [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]
    await gather(*(_call("delete_object", Key=v["Key"], VersionId=v["VersionId"]) for v in versions))


async def _call(operation: str, **parameters: Any) -> dict[str, Any]:
    try:
        return await to_thread.run_sync(
            partial(aws.call_here, "s3", operation, Bucket=settings().media_bucket, **parameters)
        )
    except (BotoCoreError, ClientError) as error:
        # Also a refusal: the post's effects wait until its bucket and rights are in order.
        raise StorageUnavailable from error
