"""`make bench`, files: the cost of creating an upload, and of completing a photo of 10 MB.

One process does both, with everything that the function has loaded, and reports its own figures; absolute ones, since
they are bounds of the function and not of the machine: CPU milliseconds, bytes fetched from S3, peak of memory.
"""

import argparse
import asyncio
import hashlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from PIL.Image import Transpose

from familycorp_ops.local.provision import provision
from familycorp_ops.markdown import with_part
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.process import clean_environment
from familycorp_ops.servers.seaweedfs import SeaweedFS

ANNOUNCED = 300
MEGAPIXELS = (6000, 4000)

Ask = Callable[[str, str, Any], Any]


def _make(photo: Path) -> None:
    """Make a photo of 24 megapixels and nearly 10 MB, with its maker, turned by a quarter."""
    grey = Image.effect_noise(MEGAPIXELS, 60)
    flipped = map(grey.transpose, (Transpose.FLIP_LEFT_RIGHT, Transpose.FLIP_TOP_BOTTOM))
    image = Image.merge("RGB", [grey, *flipped])
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    for quality in range(64, 30, -2):
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality, exif=exif)
        if out.tell() <= 10_000_000:
            photo.write_bytes(out.getvalue())
            return
    raise AssertionError("no quality fits")


async def _ask(method: str, path: str, body: Any) -> Any:
    """Ask the application by ASGI itself: a client in the same process would be measured too."""
    from app.main import app

    sent: list[Any] = []
    headers = [(b"content-type", b"application/json")] if body is not None else []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "scheme": "http",
        "server": ("test", 80),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
        "root_path": "",
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    content = b"".join(m.get("body", b"") for m in sent)
    if sent[0]["status"] >= 300:
        raise AssertionError(content.decode())
    return json.loads(content)


def _probe(photo: Path, announced_files: int) -> None:
    """Announce many files and complete one; print the figures of this process."""
    from app.auth.sessions import Identity, State
    from app.auth.subject import Subject
    from app.main import api
    from app.uploads import storage

    at = int(time.time())
    identity = Identity("https://test.example", "kim", "kim@test.example", "kim", "editor", "")
    session = State("kim", "s", identity, "editor", at, at * 1000, at + 900, provisioned=True)
    api.state.identify = lambda _: _subject(Subject("kim", "editor", at, session))
    announced = {
        "name": "사진.jpg",
        "contentType": "image/jpeg",
        "size": photo.stat().st_size,
        "sha256": hashlib.sha256(photo.read_bytes()).hexdigest(),
        "purpose": "image",
    }
    with asyncio.Runner() as runner:
        took = [
            runner.run(_announce(announced | {"size": 1000}, number)) for number in range(announced_files)
        ]
        runner.run(_forget())
        upload = runner.run(_ask("POST", "/v1/uploads", announced))
        # Sent by another process, since this one's memory is measured.
        subprocess.run(
            [sys.executable, __file__, "--send", str(photo)],
            input=json.dumps(upload["form"]),
            text=True,
            check=True,
        )
        fetched: list[int] = []
        chunks = storage.chunks

        def counted(key: str, found: storage.Found) -> Iterator[bytes]:
            for piece in chunks(key, found):
                fetched.append(len(piece))
                yield piece

        storage.chunks = counted
        began = time.perf_counter()
        runner.run(_ask("POST", f"/v1/uploads/{upload['id']}/complete", None))
        seconds = time.perf_counter() - began
    figures = {
        "cpu_ms": statistics.median(took),
        "fetched": sum(fetched),
        "beside": _peak(resource.RUSAGE_SELF),
        "seconds": seconds,
        "size": announced["size"],
    }
    sys.stdout.write("\n" + json.dumps(figures) + "\n")


def _peak(of: int) -> float:
    """Return the most memory that this process, or the largest of its children, had: megabytes."""
    return resource.getrusage(of).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


_ONE_JPEG = """
import resource, sys, pyvips
began = resource.getrusage(resource.RUSAGE_SELF).ru_utime
pyvips.Image.jpegload(sys.argv[1], access="sequential").jpegsave_buffer(Q=88)
print(resource.getrusage(resource.RUSAGE_SELF).ru_utime - began)
"""
"""Decode a photo and encode it again in full width; print the seconds of CPU."""


def _render(photo: Path) -> None:
    """Re-encode the photo as the function does; print its CPU, in decodings with one JPEG, and the child's peak.

    A child inherits its parent's peak: be small.
    """
    program = Path(__file__).parents[1] / "be-app" / "app" / "uploads" / "pictures" / "rendering.py"
    environment = {"VIPS_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "2"}
    compared = subprocess.run(
        [sys.executable, "-c", _ONE_JPEG, photo],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(
        [sys.executable, "-P", program, photo, "image/jpeg", "25000000"], env=environment, check=True
    )
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    figures = {"renditions": cpu / float(compared.stdout), "peak": _peak(resource.RUSAGE_CHILDREN)}
    sys.stdout.write(json.dumps(figures) + "\n")


async def _announce(body: dict[str, Any], number: int) -> float:
    """Announce a file; return the milliseconds of CPU that it took."""
    if number % 40 == 39:  # A member may have so many under way and no more.
        await _forget()
    before = time.process_time()
    await _ask("POST", "/v1/uploads", body)
    return (time.process_time() - before) * 1000


async def _subject(subject: Any) -> Any:
    return subject


async def _forget() -> None:
    from sqlalchemy import delete

    from app.core.database.engine import writing
    from app.uploads.models import Upload, UploadUsage

    async with writing() as session:
        await session.execute(delete(Upload))
        await session.execute(delete(UploadUsage))


def _send(photo: Path) -> None:
    form = json.load(sys.stdin)
    answer = httpx.post(
        form["url"], data=form["fields"], files={"file": photo.read_bytes()}, trust_env=False, timeout=60
    )
    answer.raise_for_status()


def measure(announced_files: int) -> dict[str, float]:
    """Run the probe on MiniStack's tables and SeaweedFS's bucket; return its figures."""
    with tempfile.TemporaryDirectory() as place, MiniStack() as ministack, SeaweedFS() as seaweedfs:
        photo = Path(place, "photo.jpg")
        # In a process of its own, for the same reason as in `_render`.
        subprocess.run([sys.executable, __file__, "--make", str(photo)], check=True)
        environment = clean_environment(
            **CREDENTIALS,
            FAMILYCORP_ENV="test",
            FAMILYCORP_LOG_LEVEL="WARNING",
            FAMILYCORP_RATE_STAFF="1000000",  # One member creates the uploads of many.
            FAMILYCORP_DATABASE_URL=f"sqlite+aiosqlite:///{place}/bench.db",
            FAMILYCORP_AWS_ENDPOINT_URL=ministack.url,
            FAMILYCORP_S3_ENDPOINT_URL=seaweedfs.url,
        )
        os.environ |= environment
        from app.core.settings import Settings

        provision(Settings.from_environment())
        upgrade = [sys.executable, "-m", "familycorp_ops", "db", "upgrade"]
        subprocess.run(upgrade, check=True, capture_output=True, env=environment)
        render = [sys.executable, __file__, "--render", str(photo)]
        rendered = subprocess.run(render, check=True, stdout=subprocess.PIPE, text=True)
        probe = [sys.executable, __file__, "--probe", str(photo), "--announce", str(announced_files)]
        ran = subprocess.run(probe, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    figures: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    figures.update(json.loads(rendered.stdout))
    return figures


def main() -> int:
    """Measure, print the table, and write it into a document when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="document whose part `uploads` is replaced")
    parser.add_argument("--render", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--send", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--announce", type=int, default=ANNOUNCED, help=argparse.SUPPRESS)
    parser.add_argument("--smoke", action="store_true", help="only show that it works; no bar counts")
    chosen = parser.parse_args()
    parts = (
        (_make, chosen.make),
        (_render, chosen.render),
        (partial(_probe, announced_files=chosen.announce), chosen.probe),
        (_send, chosen.send),
    )
    for part, file in parts:
        if file:
            part(file)
            return 0
    figures = measure(5 if chosen.smoke else chosen.announce)
    bars = [
        ("`POST /v1/uploads`: CPU, median (ms)", figures["cpu_ms"], 5.0, "{:.1f}"),
        (
            "completing it: read from S3, in lengths of the file",
            figures["fetched"] / figures["size"],
            1,
            "{:.1f}",
        ),
        (
            "renditions and re-encoding: CPU, in decodings with one JPEG of full width",
            figures["renditions"],
            6,
            "{:.1f}",
        ),
        (
            "completing it: peak of memory, of the process that decodes it (MB)",
            figures["peak"],
            160,
            "{:.0f}",
        ),
    ]
    size, pixels = figures["size"] / 1e6, MEGAPIXELS[0] * MEGAPIXELS[1] / 1e6
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench`: SQLite, MiniStack, SeaweedFS; a photo of",
        f"{size:.1f} MB and {pixels:.0f} megapixels, re-encoded with its renditions in {figures['seconds']:.1f} s.",
        "The application beside the process that decodes it never holds the image; with all that it can do loaded,",
        f"it had {figures['beside']:.0f} MB.",
        "",
        "| claim | figure | bar | held |",
        "|---|---:|---:|---|",
    ]
    for claim, figure, bar, form in bars:
        held = "yes" if figure <= bar else "**no**"
        lines.append(f"| {claim} | {form.format(figure)} | ≤ {bar:g} | {held} |")
    table = "\n".join(lines)
    sys.stdout.write(table + "\n")
    if chosen.write:
        chosen.write.write_text(with_part(chosen.write, "uploads", table))
    return 0 if chosen.smoke or all(figure <= bar for _, figure, bar, _ in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
