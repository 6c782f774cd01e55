"""From files to posts: what each file changes, and making it so through the application's own services."""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from gettext import gettext as _
from itertools import islice
from pathlib import Path
from typing import TypeVar

from app.auth.subject import Subject
from app.categories import service as categories
from app.categories.schemas import CategoryCreate, CategoryOrder, CategoryUpdate
from app.core.clock import new_id, now
from app.core.database import engine
from app.core.http.problems import PreconditionFailed, Problem, Unavailable
from app.core.observability import context
from app.core.write_path import outbox
from app.posts import commands as posts
from app.posts.models import ARCHIVED, DRAFT, PUBLISHED, SCHEDULED, PostRevision
from familycorp_ops.content import files, stored
from familycorp_ops.content.files import FilePost, Source
from familycorp_ops.content.stored import Stored
from familycorp_ops.content.yamltext import Fault
from familycorp_ops.messages import marked

IMPORTER = Subject("import", role="system")

TOGETHER = 25
"""How many posts share an invalidation of the cache and wait for one another until visitors see them."""

T = TypeVar("T")


@dataclass
class Outcome:
    """What became of a file, or would: it was `created`, `changed`, left `unchanged`, or `failed`."""

    file: str
    slug: str | None
    result: str
    changes: Sequence[str] = ()


@dataclass
class Summary:
    """What an import did, or would do."""

    dry_run: bool
    request_id: str = field(default_factory=lambda: str(new_id()))
    """The correlation id of the audit entries."""
    outcomes: list[Outcome] = field(default_factory=list)
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    ignored: int = 0
    owes: bool = False
    """Whether some of what was accepted isn't where visitors see it yet."""

    def count(self, result: str) -> int:
        """Return how many files have a result."""
        return sum(outcome.result == result for outcome in self.outcomes)


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

    def waits(self) -> None:
        """Hear that another import has to end first."""


class Plan:
    """What a file asks for, compared with what is stored under its slug.

    Args:
        source: the file.
        post: what it says.
        there: what is stored.
    """

    def __init__(self, source: Source, post: FilePost, there: Stored | None) -> None:
        self.source, self.post, self.there = source, post, there
        self.id = there.post.id if there else None
        self.leader: Plan | None = None
        """The file whose post this one's is to be a translation of."""
        self.keeps_relation = False
        # A scheduled post whose time has come is published, whether the scheduler was here first or not.
        at = post.scheduled_at
        due = at is not None and at <= now()
        self.state = PUBLISHED if due else post.state
        known = there.post.first_published_at if there else None
        self.first_published_at = post.published_at or known or (at if due else None)
        self.text_changes: list[str] = []
        self.base: PostRevision | None = None
        if there:
            self.text_changes, self.base = self._compare(there)

    def _compare(self, there: Stored) -> tuple[list[str], PostRevision]:
        """Return what differs from the newest revision, and that revision.

        Where the file says what is public already, an editor's unpublished work on a newer one stays alone.
        """
        changes = self._differences(there.newest, there.post.category)
        if changes and there.public and self.state == there.post.state == PUBLISHED:
            from_public = self._differences(there.public, there.post.published_category)
            if not from_public:
                return [], there.public
        return changes, there.newest

    def _differences(self, revision: PostRevision, category: str | None) -> list[str]:
        names = ("title", "tags", "excerpt", "body")
        changes = [name for name in names if getattr(self.post, name) != getattr(revision, name)]
        return changes + ["category"] * (self.post.category != category)

    @property
    def revises(self) -> list[str]:
        """What a new revision is to be written for."""
        if self.there is None:
            return []
        changes, there = list(self.text_changes), self.there.post
        if self.first_published_at != there.first_published_at:
            changes.append("publishedAt")
        if not self.keeps_relation and there.translation_key != (self.leader.id if self.leader else there.id):
            changes.append("translationKey")
        return changes

    @property
    def changes(self) -> list[str]:
        """What is to change."""
        if self.there is None:
            return []
        changes, there = self.revises, self.there.post
        if self.state != there.state or (self.state == PUBLISHED and self.base is not self.there.public):
            changes.append("state")
        if self.state == SCHEDULED and self.post.scheduled_at != there.scheduled_at:
            changes.append("scheduledAt")
        return changes

    def outcome(self) -> Outcome:
        """Return what importing the file does."""
        result = "created" if self.there is None else "changed" if self.changes else "unchanged"
        return Outcome(self.source.name, self.post.slug, result, self.changes)

    async def carry_out(self) -> None:
        """Make it so; raise the services' `Problem` where that can't be."""
        changes, revises = self.changes, self.revises
        if self.there is None:
            written = await posts.create(
                self._request(), None, IMPORTER, first_published_at=self.first_published_at
            )
            self.id, version = written.id, written.version
            state: str = written.state
        else:
            there = self.there.post
            version, state = there.version, there.state
            if state == ARCHIVED != self.state or (
                state != DRAFT and self.state in {DRAFT, SCHEDULED} - {state}
            ):
                written = await posts.unpublish(there.id, version, IMPORTER)
                version, state = written.version, written.state
            if revises:
                written = await posts.update(
                    there.id, self._request(), version, IMPORTER, first_published_at=self.first_published_at
                )
                version = written.version
        assert self.id  # noqa: S101 - it was stored or created above.
        if self.state == PUBLISHED and (changes or self.there is None):
            await posts.publish(self.id, version, IMPORTER)
        elif self.state == ARCHIVED and state != ARCHIVED:
            await posts.archive(self.id, version, IMPORTER)
        elif self.state == SCHEDULED and (state != SCHEDULED or "scheduledAt" in changes):
            assert self.post.scheduled_at  # noqa: S101 - the file's rules see to it.
            await posts.schedule(self.id, self.post.scheduled_at, version, IMPORTER)

    def _request(self) -> FilePost:
        """Return the file's post with what no file carries: the ids of other posts and of uploads."""
        translation_of = self.leader.id if self.leader else None
        if not self.there or not self.base:
            return self.post.model_copy(update={"translation_of": translation_of})
        there = self.there.post
        if (
            translation_of is None
            and (self.keeps_relation or self.leader)
            and there.translation_key != there.id
        ):
            translation_of = there.translation_key
        return self.post.model_copy(
            update={
                "translation_of": translation_of,
                "thumbnail": self.base.thumbnail and uuid.UUID(self.base.thumbnail["id"]),
                "attachments": [uuid.UUID(a["id"]) for a in self.base.attachments],
            }
        )


async def run(directory: Path, summary: Summary, listener: Listener) -> None:
    """Import a directory, or with `summary.dry_run` find out what that would do; `summary` grows meanwhile.

    It waits until no other import into the same database runs. Raises `NothingToImport`, and `Unavailable` when a
    store doesn't answer; what was imported until then stays.
    """
    token = context.bind(summary.request_id)
    try:
        await _Import(directory, summary, listener).run()
    finally:
        context.unbind(token)


class _Import:
    """One run."""

    def __init__(self, directory: Path, summary: Summary, listener: Listener) -> None:
        self._directory, self._summary, self._listener = directory, summary, listener

    async def run(self) -> None:
        if self._summary.dry_run:
            await self._run()
            return
        # What two imports find missing, both would create.
        async with engine.exclusively("import", waits=self._listener.waits):
            await self._run()

    async def _run(self) -> None:
        sources = self._read()
        _check_together(sources)
        known = await self._categories()
        for source in sources:
            if source.post and source.post.category not in known:
                message = f"there is no category {source.post.category}; {files.CATEGORIES} can create it"
                source.blame("category", "unknown_category", message)
        plans = _relate(await self._plans([s for s in sources if not s.faults]))
        for source in sources:
            if source.faults:
                self._failed(source, source.faults)
        outcomes = [(plan, plan.outcome()) for plan in plans]
        for __, outcome in outcomes:
            if self._summary.dry_run or outcome.result == "unchanged":
                self._finished(outcome)
        if not self._summary.dry_run:
            await self._write([plan for plan, outcome in outcomes if outcome.result != "unchanged"])
            # An earlier run may have been killed between a commit and its effects.
            self._summary.owes = not await outbox.drain()

    def _read(self) -> list[Source]:
        paths, self._summary.ignored = files.find(self._directory)
        if not paths and not (self._directory / files.CATEGORIES).exists():
            raise NothingToImport
        sources = []
        for number, path in enumerate(paths, start=1):
            sources.append(files.read_post(path, path.relative_to(self._directory).as_posix()))
            self._listener.progress(marked("Reading"), number, len(paths))
        return sources

    async def _plans(self, sources: Sequence[Source]) -> list[Plan]:
        """Compare files with what is stored."""
        plans = []
        for part in _batches(sources, stored.BATCH):
            said = [(source, source.post) for source in part if source.post]
            there = {s.post.slug: s for s in await stored.by_slug([post.slug for _, post in said])}
            for source, post in said:
                found = there.get(post.slug)
                if found and found.post.lang != post.lang:
                    message = f"the post is in {found.post.lang}, and a post's language can't change"
                    source.blame("lang", "lang_fixed", message)
                else:
                    plans.append(Plan(source, post, found))
        return plans

    async def _categories(self) -> set[str]:
        """Bring the categories to what their file says; return the slugs of all."""
        listed, version = await categories.editorial()
        names = {c.slug: c.name for c in listed.items}
        slugs = list(names)
        read = files.read_categories(self._directory / files.CATEGORIES)
        self._failed(read, read.faults)
        changes, writes = self._summary.categories, not self._summary.dry_run
        try:
            for category in read.categories:
                if category.slug not in names:
                    changes.append(_("{category} created").format(category=category.slug))
                    slugs.append(category.slug)
                    if writes:
                        __, version = await categories.create(category, IMPORTER)
                elif category.name != names[category.slug]:
                    changes.append(_("{category} renamed").format(category=category.slug))
                    if writes:
                        request = CategoryUpdate(name=category.name)
                        __, version = await categories.rename(category.slug, request, version, IMPORTER)
            order = _ordered(slugs, read.categories)
            if order != slugs:
                changes.append(_("reordered"))
                if writes:
                    await categories.reorder(CategoryOrder(slugs=order), version, IMPORTER)
        except Unavailable:
            raise
        except Problem as problem:
            self._failed(read, _faults(problem, read))
        return set(slugs)

    async def _write(self, plans: Sequence[Plan]) -> None:
        done = 0
        # A translation needs the post that it translates.
        for part in _batches(sorted(plans, key=lambda plan: plan.leader is not None), TOGETHER):
            async with outbox.together():
                for plan in part:
                    outcome = plan.outcome()
                    try:
                        await plan.carry_out()
                    except Unavailable:
                        raise
                    except Problem as problem:
                        self._failed(plan.source, _faults(problem, plan.source))
                    else:
                        self._finished(outcome)
                    done += 1
                    self._listener.progress(marked("Importing"), done, len(plans))

    def _failed(self, source: Source, faults: Sequence[Fault]) -> None:
        for fault in faults:
            self._summary.faults.append((source.name, fault))
            self._listener.fault(source.name, fault)
        if faults:
            self._finished(Outcome(source.name, source.slug, "failed"))

    def _finished(self, outcome: Outcome) -> None:
        self._summary.outcomes.append(outcome)
        self._listener.outcome(outcome)


def _check_together(sources: Sequence[Source]) -> None:
    """Find what two files can't both have; neither is imported, since nothing tells which is meant."""
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
                source.blame(field_, rule, f"{', '.join(others[:3])} has this {what}, too")


def _relate(plans: list[Plan]) -> list[Plan]:
    """Find out whose translation each post is to be.

    The first that leads the group already, or else the first, stays or becomes its leader. A file that is alone
    with its key leaves its post's relation as it is: the other may be elsewhere, or have an error.
    """
    groups = defaultdict[str, list[Plan]](list)
    for plan in plans:
        if plan.post.translation_key:
            groups[plan.post.translation_key].append(plan)
    for group in groups.values():
        leader = next((p for p in group if p.there and p.there.post.translation_key == p.id), group[0])
        for plan in group:
            plan.leader = None if plan is leader else leader
            plan.keeps_relation = len(group) == 1
    return plans


def _ordered(slugs: Sequence[str], wanted: Sequence[CategoryCreate]) -> list[str]:
    """Return the slugs, those that are listed first and in their order."""
    first = [c.slug for c in wanted]
    return [*first, *(slug for slug in slugs if slug not in first)]


def _faults(problem: Problem, source: Source) -> list[Fault]:
    """Return what a service found wrong, at the lines of the file."""
    renamed = {"publishAt": "scheduledAt", "translationOf": "translationKey"}
    of_code = {"slug_taken": "slug", "translation_exists": "translationKey"}
    found = []
    for broken in problem.violations:
        name = broken.field.removeprefix("body.")
        name = renamed.get(name, name)
        found.append(Fault(source.line(name), name, broken.rule, str(broken.text)))
    name_ = of_code.get(problem.code)
    message = str(problem)
    if problem.code == PreconditionFailed.code:
        message = "The post was changed during the import. Run the import again to compare it."
    return found or [Fault(source.line(name_), name_, problem.code, message)]


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
