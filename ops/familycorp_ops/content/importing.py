"""From a folder to an import: its files are read here, and imported where the database is."""

import asyncio
import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.categories.schemas import CategoryCreate
from app.content.importing import CATEGORIES, LOCK, Finding, Import, Outcome, Step
from app.content.schemas import FilePost, ImportJob, NamedPost
from app.core.clock import new_id
from app.core.database import engine
from app.core.observability import context
from app.functions.operator import ImportRunning, Progress
from app.redirects.schemas import RedirectCreate
from familycorp_ops import messages
from familycorp_ops.admin.operator import CallFailedError, Operator, RefusedError
from familycorp_ops.content import files, manifest, pictures, redirects, sending
from familycorp_ops.content.files import Source
from familycorp_ops.content.notes import Note, Omitted, shortened
from familycorp_ops.content.sites import reading, recognition
from familycorp_ops.content.sites.kinds import Kind
from familycorp_ops.content.sites.mapping import Mapping as SiteMapping
from familycorp_ops.content.sites.mapping import Proposal
from familycorp_ops.content.uploads import Uploads
from familycorp_ops.content.yamltext import Fault
from familycorp_ops.environment import CommandError
from familycorp_ops.messages import marked

_LOOKS_AGAIN_S = 2.0


@dataclass
class Summary:
    """Outcome of an import or of a dry run."""

    dry_run: bool
    request_id: str = field(default_factory=lambda: str(new_id()))
    """The correlation id of the audit entries."""
    outcomes: list[Outcome] = field(default_factory=list)
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    ignored: int = 0
    pending: bool = False
    """Whether visitors don't see some accepted changes yet."""
    kind: Kind = Kind.familycorp
    recognised_by: str = ""
    notes: list[tuple[str, Note]] = field(default_factory=list)
    """How posts differ from what the files of another generator say."""
    omitted: list[Omitted] = field(default_factory=list)
    """Pages of another generator that no post was made of."""
    proposal: Proposal = field(default_factory=Proposal)

    files_sent: int = 0
    """Pictures and files that were uploaded, or would be."""
    files_there: int = 0
    redirects: Counter[str] = field(default_factory=Counter)
    """What became of the lines of `redirects.csv`, or would."""

    def count(self, result: str) -> int:
        """Return how many files have a result."""
        return sum(outcome.result == result for outcome in self.outcomes)

    @property
    def left_out(self) -> bool:
        """Whether anything of the folder was left out that no mapping file says to leave out."""
        return bool(
            self.faults
            or any(note.kind == "left_out" for _file, note in self.notes)
            or any(not omitted.settled for omitted in self.omitted)
        )


@dataclass
class Manner:
    """How to read a folder.

    Args:
        kind: what it is of; None recognises it.
        zone: time zone of dates without offset.
        mapping: what differs between the site and this service.
    """

    kind: Kind | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Seoul"))
    mapping: SiteMapping = field(default_factory=SiteMapping)


class NothingToImport(Exception):
    """The folder holds neither posts nor categories."""


class Listener:
    """Hears how an import goes; this one says nothing of it."""

    def progress(self, title: str, done: int, total: int) -> None:
        """Hear how far a step is."""

    def fault(self, file: str, fault: Fault) -> None:
        """Hear of an error."""

    def outcome(self, outcome: Outcome) -> None:
        """Hear what became of a file."""


class Folder:
    """A folder's files: the import that they ask for, and what becomes of them.

    Raises `NothingToImport`.

    Args:
        directory: the folder.
        summary: the counts that it adds to.
        listener: what it reports progress to.
        manner: how to read the folder.
    """

    def __init__(self, directory: Path, summary: Summary, listener: Listener, manner: Manner) -> None:
        self._summary, self._listener = summary, listener
        found = recognition.recognised(directory) if manner.kind is None else None
        summary.kind, summary.recognised_by = found or (manner.kind or Kind.familycorp, "--from")
        root = directory if directory.is_dir() else directory.parent
        self.uploads = Uploads(root, manifest.files(root))
        """The files that the posts name."""
        if summary.kind is Kind.familycorp:
            sources, self._categories = self._own(directory)
        else:
            sources, self._categories = self._foreign(directory, manner)
        summary.notes = [(source.name, note) for source in sources for note in sorted(source.notes)]
        self._redirects = self._led(directory / redirects.NAME, sources)
        self._sources = {source.name: source for source in sources}
        for source in self._sources.values():
            if source.faults:
                self._failed(source, source.faults)
        self._total = 0

    @property
    def job(self) -> ImportJob:
        """The import that the files ask for."""
        return ImportJob.model_construct(
            categories=self._categories,
            language=messages.chosen(),
            adds_categories=self._summary.kind is not Kind.familycorp,
            posts=[
                NamedPost.model_construct(file=source.name, post=source.post)
                for source in self._sources.values()
                if source.post and not source.faults
            ],
        )

    async def send(self, way: sending.Way) -> None:
        """Send the files that the posts name, and take those that are refused out of them; a dry run looks alone.

        Raises `CommandError` where a file can't be sent.
        """
        named = [
            file
            for file in self.uploads.files.values()
            if any(not self._sources[naming.file].faults for naming in file.namings)
        ]
        progress = partial(self._listener.progress, marked("Uploading"))
        found = sending.Sending(way, named, progress)
        await found.look()
        if not self._summary.dry_run:
            await found.send()
        self._summary.files_sent = len(found.missing)
        self._summary.files_there = found.there
        for upload, why in found.refused.items():
            self._refused(upload, why)

    async def lead(self, led: redirects.Redirects) -> None:
        """Have the folder's redirects lead, but for those that posts name themselves."""
        progress = partial(self._listener.progress, marked("Redirects"))
        found, faults = await led.lead(self._redirects, progress, dry_run=self._summary.dry_run)
        self._summary.redirects += found
        if faults:
            self._failed(self._sources[redirects.NAME], faults)

    def _led(self, path: Path, sources: list[Source]) -> Mapping[int, RedirectCreate]:
        """Read the file of redirects that an export wrote, if there is one."""
        if self._summary.kind is not Kind.familycorp or not path.is_file():
            return {}
        found, faults = redirects.read(path)
        sources.append(Source(redirects.NAME, faults))
        return found

    def _refused(self, upload: UUID, why: str) -> None:
        for naming in self.uploads.files[upload].namings:
            source = self._sources[naming.file]
            note = Note(naming.line, "left_out", naming.subject, shortened(naming.target), "", why)
            self._summary.notes.append((naming.file, note))
            if source.post:
                source.post = _without(source.post, upload)

    def _own(self, directory: Path) -> tuple[list[Source], list[CategoryCreate]]:
        """Read a folder of this service's own format."""
        paths, self._summary.ignored = files.find(directory)
        if not paths and not (directory / CATEGORIES).exists():
            raise NothingToImport
        sources = []
        for number, path in enumerate(paths, start=1):
            sources.append(files.read_post(path, path.relative_to(directory).as_posix(), self.uploads))
            self._listener.progress(marked("Reading"), number, len(paths))
        self._summary.ignored -= len(self.uploads.files)
        _check_together(sources)
        categories = files.read_categories(directory / CATEGORIES)
        return [categories, *sources], list(categories.categories)

    def _foreign(self, directory: Path, manner: Manner) -> tuple[list[Source], list[CategoryCreate]]:
        """Read a folder of another generator."""
        layout = reading.LAYOUTS[self._summary.kind](directory)
        options = reading.Options(manner.zone, manner.mapping, self.uploads)
        site = reading.Reader(
            layout, options, lambda done, total: self._listener.progress(marked("Reading"), done, total)
        ).read()
        if not site.sources and not site.omitted:
            raise NothingToImport
        self._summary.omitted, self._summary.proposal = site.omitted, site.proposal
        return site.sources, list(site.categories.values())

    def report(self, step: Step) -> None:
        """Report what a part of the import did."""
        texts = {"created": _("{category} created"), "renamed": _("{category} renamed")}
        for change, slug in step.categories:
            self._summary.categories.append(texts.get(change, _("reordered")).format(category=slug))
        for outcome in step.outcomes:
            if outcome.findings:
                source = self._sources[outcome.file]
                self._failed(source, [source.at_line(finding) for finding in outcome.findings])
            else:
                self._finished(outcome)
        self._total = max(self._total, step.remaining)
        if self._total:
            self._listener.progress(marked("Importing"), self._total - step.remaining, self._total)
        self._summary.pending = step.pending

    def _failed(self, source: Source, faults: Sequence[Fault]) -> None:
        for fault in faults:
            self._summary.faults.append((source.name, fault))
            self._listener.fault(source.name, fault)
        self._finished(Outcome(source.name, source.slug, "failed"))

    def _finished(self, outcome: Outcome) -> None:
        self._summary.outcomes.append(outcome)
        self._listener.outcome(outcome)


async def run(directory: Path, summary: Summary, listener: Listener, manner: Manner | None = None) -> None:
    """Import a directory, or with `summary.dry_run` find out what that would do; `summary` grows meanwhile.

    Raises `NothingToImport`, `CommandError` while another import into the same database runs, and `Unavailable` when
    a store doesn't respond; posts imported until then stay.
    """
    token = context.bind(summary.request_id)
    try:
        if summary.dry_run:
            await _run(directory, summary, listener, manner or Manner())
            return
        async with engine.exclusively(LOCK, waits=_refuse):
            await _run(directory, summary, listener, manner or Manner())
    finally:
        context.unbind(token)


async def _run(directory: Path, summary: Summary, listener: Listener, manner: Manner) -> None:
    folder = Folder(directory, summary, listener, manner)
    await folder.send(sending.Way())
    async for step in Import(folder.job, dry_run=summary.dry_run).steps():
        folder.report(step)
    await folder.lead(redirects.Redirects())


def run_there(
    directory: Path, summary: Summary, listener: Listener, operator: Operator, manner: Manner
) -> None:
    """Import a directory into an environment in AWS, as `run` does here.

    The job is left in the bucket under the digest of its content, and written in parts, a call each. How far it is
    stands beside it: what a call has done that is killed stays, and the next one, of any run, goes on there.

    Raises `NothingToImport`, `CommandError`, and `RefusedError` where the job is refused.
    """
    summary.request_id = operator.request_id
    folder = Folder(directory, summary, listener, manner)
    asyncio.run(folder.send(sending.RemoteWay(operator)))
    content = folder.job.model_dump_json(by_alias=True).encode()
    name = hashlib.sha256(content).hexdigest()
    operator.leave(name, content)
    said, resumes = Progress(), False
    while not said.finished:
        answer = _advanced(operator, begun=resumes, name=name, dry_run=summary.dry_run, resume=resumes)
        folder.report(
            Step(
                answer.outcomes[len(said.outcomes) :],
                answer.categories[len(said.categories) :],
                answer.remaining,
                answer.pending,
            )
        )
        said, resumes = answer, True
    asyncio.run(folder.lead(redirects.Redirects(operator)))


def _advanced(operator: Operator, *, begun: bool, **arguments: Any) -> Progress:
    """Return how far an import is after one more call; a call that ends without a response is made once more.

    Raises `CommandError` where another import runs. One that was `begun` waits: its own last call may still run.
    """
    failed = False
    while True:
        try:
            return Progress.model_validate(operator.write("content.import", **arguments))
        except CallFailedError:
            if failed:
                raise
            failed = True
        except RefusedError as refused:
            if refused.code != ImportRunning.code:
                raise
            if not (begun or failed):
                _refuse()
            time.sleep(_LOOKS_AGAIN_S)


def _refuse() -> None:
    raise CommandError(_("Another import is running: run the same command again when it has ended."))


def _without(post: FilePost, upload: UUID) -> FilePost:
    """Return a post that doesn't name a file any more."""
    address = f"upload:{upload}"
    return post.model_copy(
        update={
            "body": pictures.replaced(post.body, lambda target, _at: None if target == address else target),
            "thumbnail": None if post.thumbnail == upload else post.thumbnail,
            "attachments": [attached for attached in post.attachments if attached != upload],
        }
    )


def _check_together(sources: Sequence[Source]) -> None:
    """Find what two files can't both have; neither is imported, since it is unknown which is meant."""
    slugs = defaultdict[str, list[Source]](list)
    translations = defaultdict[tuple[str, str], list[Source]](list)
    for source in sources:
        if source.slug is not None:
            slugs[source.slug].append(source)
        if source.post and source.post.translation_key:
            translations[source.post.translation_key, source.post.lang].append(source)
    for same, field_, rule in (
        *((same, "slug", "duplicate_slug") for same in slugs.values()),
        *((same, "translationKey", "translation_exists") for same in translations.values()),
    ):
        for source in same:
            others = [s.name for s in same if s is not source]
            if others:
                what = "slug" if field_ == "slug" else "translation key and language"
                message = f"{', '.join(others[:3])} has this {what}, too"
                source.faults.append(source.at_line(Finding(field_, rule, message)))
