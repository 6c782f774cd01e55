"""`make bench`, content: how fast `familycorp content import` writes posts, and the memory that it takes.

The peer is the service alone: the same posts, created and published one after the other, in turns with the parts of
the import. The pictures, which the import has sent and checked by then, are there for both.
"""

import argparse
import asyncio
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from familycorp_ops.local.provision import provision
from familycorp_ops.markdown import with_part
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.process import clean_environment
from familycorp_ops.servers.valkey import Valkey

POSTS = 2_000
PICTURES_OF_TWO = (3, 2)
"""How many pictures every other post has."""

_TEXT = "올해 3분기에 **매출 1,200억 원**을 기록했습니다. 자세한 내용은 [보고서](/ko/report)를 보세요.\n\n"


def _make(folder: Path, posts: int) -> int:
    """Write the folder of a Hugo site; return the number of its pictures."""
    (folder / "hugo.toml").write_text('baseURL = "https://www.example.com/"\ndefaultContentLanguage = "ko"\n')
    made = 0
    for number in range(posts):
        bundle = folder / "content" / "news" / f"notice-{number:05}"
        bundle.mkdir(parents=True)
        named = []
        for each in range(PICTURES_OF_TWO[number % 2]):
            made += 1
            out = io.BytesIO()
            colour = (made % 256, made // 256 % 256, each)
            Image.new("RGB", (320, 240), colour).save(out, "JPEG", comment=str(made))
            (bundle / f"{each}.jpg").write_bytes(out.getvalue())
            named.append(f"![사진 {each}]({each}.jpg)\n\n")
        year, day = 2010 + number % 10, 1 + number % 28
        front = f'title: 공지 {number}\ndate: {year}-05-{day:02}\ntags: [회사, "{year}"]\n'
        (bundle / "index.md").write_text(f"---\n{front}---\n\n{_TEXT * 12}{''.join(named)}", "utf-8")
    return made


async def _probe(folder: Path) -> dict[str, float]:
    """Import a folder, and write its posts again by the service alone; return the figures of this process."""
    from app.categories import service as categories
    from app.content.importing import IMPORTER, Import
    from app.core.process import process
    from app.posts import commands
    from familycorp_ops.content.importing import Folder, Listener, Manner, Summary
    from familycorp_ops.content.sending import Way

    async def alone(posts: list[Any]) -> float:
        began = time.perf_counter()
        for post in posts:
            request = post.model_copy(update={"slug": f"{post.slug}-alone", "translation_key": None})
            written = await commands.create(request, None, IMPORTER)
            await commands.publish(written.id, written.version, IMPORTER)
        return time.perf_counter() - began

    summary = Summary(dry_run=False)
    began = time.perf_counter()
    site = Folder(folder, summary, Listener(), Manner())
    await site.send(Way())
    sent = time.perf_counter() - began
    job = site.job
    posts = [named.post for named in job.posts]
    async for first in Import(job, dry_run=True).steps():
        for category in job.categories if first.categories else ():
            await categories.create(category, IMPORTER)
    steps, imported, apart, done = Import(job).steps(), 0.0, 0.0, 0
    while True:
        began = time.perf_counter()
        step = await anext(steps, None)
        imported += time.perf_counter() - began
        if step is None:
            break
        site.report(step)
        apart += await alone(posts[done : done + len(step.outcomes)])
        done += len(step.outcomes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    await process.disconnect()
    assert (summary.count("created"), summary.faults) == (len(posts), [])
    return {
        "sent": sent,
        "imported": len(posts) / imported,
        "alone": len(posts) / apart,
        "peak": peak,
    }


def measure(posts: int) -> tuple[int, dict[str, float]]:
    """Run the probe on what `familycorp up` embeds; return the number of pictures and the figures."""
    with tempfile.TemporaryDirectory() as place, MiniStack() as ministack, Valkey() as valkey:
        folder = Path(place, "site")
        folder.mkdir()
        pictures = _make(folder, posts)
        environment = clean_environment(
            **CREDENTIALS,
            FAMILYCORP_ENV="test",
            FAMILYCORP_LOG_LEVEL="ERROR",
            FAMILYCORP_DATABASE_URL=f"sqlite+aiosqlite:///{place}/bench.db",
            FAMILYCORP_AWS_ENDPOINT_URL=ministack.url,
            FAMILYCORP_CACHE_URL=valkey.url,
        )
        os.environ |= environment
        from app.core.settings import Settings

        provision(Settings.from_environment())
        upgrade = [sys.executable, "-m", "familycorp_ops", "db", "upgrade"]
        subprocess.run(upgrade, check=True, capture_output=True, env=environment)
        probe = [sys.executable, __file__, "--probe", str(folder)]
        ran = subprocess.run(probe, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    figures: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return pictures, figures


def main() -> int:
    """Measure, print the table, and write it into a document when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="document whose part `content` is replaced")
    parser.add_argument("--posts", type=int, default=POSTS, help="how many posts")
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--smoke", action="store_true", help="only show that it works; no bar counts")
    chosen = parser.parse_args()
    if chosen.probe:
        sys.stdout.write(json.dumps(asyncio.run(_probe(chosen.probe))) + "\n")
        return 0
    posts = 10 if chosen.smoke else chosen.posts
    pictures, figures = measure(posts)
    ratio = figures["imported"] / figures["alone"]
    held = {True: "yes", False: "**no**"}
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench`: SQLite, MiniStack, Valkey; {posts:,} posts with",
        f"{pictures:,} pictures, which were read, sent and checked in {figures['sent']:.0f} s.",
        f"The import wrote {figures['imported']:.1f} posts/s, the service alone {figures['alone']:.1f}.",
        "",
        "| claim | figure | bar | held |",
        "|---|---:|---:|---|",
        f"| posts/s, of creating and publishing them one by one | {ratio:.2f} | ≥ 0.8 | {held[ratio >= 0.8]} |",
        f"| peak of the import's memory (MB) | {figures['peak']:.0f} | ≤ 400 | {held[figures['peak'] <= 400]} |",
    ]
    table = "\n".join(lines)
    sys.stdout.write(table + "\n")
    if chosen.write:
        chosen.write.write_text(with_part(chosen.write, "content", table))
    return 0 if chosen.smoke or (ratio >= 0.8 and figures["peak"] <= 400) else 1


if __name__ == "__main__":
    sys.exit(main())
