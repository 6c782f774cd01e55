"""`familycorp upload`: sends a file as a front end does, for an operator who needs no session."""

import asyncio
import hashlib
import sys
import uuid
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

from familycorp_ops import environment, messages, output

if TYPE_CHECKING:
    from app.uploads.models import Upload
    from app.uploads.schemas import PostForm, UploadCreate


def run(file: Path, title: str | None, state: Path, *, as_json: bool) -> None:
    """Send a file, and with a title publish a post that names it."""
    try:
        environment.choose(state, writes=True)
        environment.run(_send(file.name, file.read_bytes(), title, as_json=as_json))
    except environment.CommandError as error:
        sys.exit(str(error))


async def _send(name: str, content: bytes, title: str | None, *, as_json: bool) -> None:
    from app.core.http.problems import Problem  # noqa: PLC0415
    from app.core.settings import settings  # noqa: PLC0415

    try:
        upload = await sent(name, content)
        if title is not None and upload.state != "clean":
            raise environment.CommandError(
                _(
                    "{name} is still {state}, so no post was published. Attach upload {id} to one once it is clean."
                ).format(name=name, state=upload.state, id=upload.id)
            )
        message, url = f"{upload.state} {upload.id}", None
        if title is not None:
            post = await _publish(title, upload.id)
            url = f"{settings().api_url}/v1/posts/{post}/attachments/{upload.id}"
            message += f"\n{url}"
        output.show({"state": upload.state, "id": str(upload.id), "url": url}, message, as_json=as_json)
    except Problem as problem:
        raise environment.CommandError(problem.in_language(messages.chosen())) from None


async def sent(name: str, content: bytes) -> "Upload":
    """Send a file and have it checked; raise `CommandError` where it is rejected, and the service's problems."""
    from app.auth.subject import SYSTEM  # noqa: PLC0415
    from app.uploads import processing, service  # noqa: PLC0415

    created = await service.create(_request(name, content), None, SYSTEM)
    if created.form is None:
        raise environment.CommandError(_("Files above 10 MB come in parts: attach them in the console."))
    await asyncio.to_thread(_post, created.form, content)
    upload = await processing.advance(created.id)
    if upload is None or upload.state == "rejected":
        raise environment.CommandError(
            _("{name} was rejected: {reason}.").format(name=name, reason=upload and upload.reason)
        )
    if upload.state == "pending":
        raise environment.CommandError(_("{name} has not arrived in the bucket.").format(name=name))
    return upload


def _request(name: str, content: bytes) -> "UploadCreate":
    from pydantic import ValidationError  # noqa: PLC0415

    from app.core.http import rules  # noqa: PLC0415
    from app.uploads.schemas import UploadCreate  # noqa: PLC0415

    try:
        return UploadCreate(
            name=name,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            purpose="attachment",
        )
    except ValidationError as error:
        raise environment.CommandError(
            _("The upload of {name} can't be created: {reason}").format(
                name=name, reason=rules.text(error.errors()[0]).in_language(messages.chosen())
            )
        ) from None


def _post(form: "PostForm", content: bytes) -> None:
    import httpx  # noqa: PLC0415

    answer = httpx.post(form.url, data=form.fields, files={"file": content}, timeout=60)
    if answer.status_code >= 300:
        raise environment.CommandError(_("S3 refused the file ({status}).").format(status=answer.status_code))


async def _publish(title: str, upload: uuid.UUID) -> uuid.UUID:
    from app.auth.subject import SYSTEM  # noqa: PLC0415
    from app.posts import commands  # noqa: PLC0415
    from app.posts.schemas import PostCreate  # noqa: PLC0415

    request = PostCreate(
        slug=f"file-{upload}",  # Another post may have the title, hence the slug that it makes.
        lang="ko",
        category="news",
        title=title,
        body=title,
        attachments=[upload],
    )
    draft = await commands.create(request, None, SYSTEM)
    await commands.publish(draft.id, draft.version, SYSTEM)
    return draft.id
