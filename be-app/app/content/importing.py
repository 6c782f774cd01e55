"""From files to posts: what each file changes, and making it so through the application's own services."""

import uuid
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeVar

from pydantic.alias_generators import to_camel

from app.audit import service as audit
from app.auth.subject import Subject
from app.categories import service as categories
from app.categories.schemas import CategoryCreate, CategoryOrder, CategoryUpdate
from app.content import aliases, stored
from app.content.schemas import FilePost, ImportJob, NamedPost
from app.content.stored import Stored
from app.core.clock import now
from app.core.database import engine
from app.core.http.problems import PreconditionFailed, Problem, Unavailable
from app.core.messages import marked
from app.core.observability.context import request_id
from app.core.translation import Language, Text
from app.core.write_path import outbox
from app.posts import commands as posts
from app.posts.models import ARCHIVED, DRAFT, PUBLISHED, SCHEDULED, PostRevision

IMPORTER = Subject("import", role="system")

IMPORTED = "content.imported"
"""Action of an import's own audit entry; everything that the import did has its correlation id."""

LOCK = "import"
"""Name of the lock (`engine.exclusively`) that an import holds: what two find missing, both would create."""

CATEGORIES = "categories.yaml"
"""Name of the categories' outcome: the file that lists them."""

TOGETHER = 25
"""Number of posts that share one invalidation of the cache, and become visible with it."""

_NO_CATEGORY = marked("There is no category {category}; {file} can create it.")
_LANG_FIXED = marked("The post is in {lang}, and a post's language can't change.")
_CHANGED_MEANWHILE = marked("The post was changed during the import. Run the import again to compare it.")

T = TypeVar("T")


class Finding(NamedTuple):
    """A problem of a file; `field` names the key where it is about one."""

    field: str | None
    rule: str
    message: str


@dataclass
class Outcome:
    """The outcome of a file, or of a dry run: it was `created`, `changed`, left `unchanged`, or `failed`."""

    file: str
    slug: str | None
    result: str
    changes: Sequence[str] = ()
    findings: Sequence[Finding] = ()


@dataclass
class Step:
    """The outcome of a part of an import or of a dry run."""

    outcomes: list[Outcome] = field(default_factory=list)
    categories: list[tuple[str, str]] = field(default_factory=list)
    """Changes of categories, each with its slug: `created`, `renamed`, or `reordered`, which has none."""
    remaining: int = 0
    """Number of posts that are still to be written."""
    pending: bool = False
    """Whether visitors don't see some accepted changes yet."""


class Plan:
    """A file compared with the stored post of its slug.

    Args:
        named: the file's name and content.
        there: the stored post.
    """

    def __init__(self, named: NamedPost, there: Stored | None) -> None:
        self.file, self.post, self.there = named.file, named.post, there
        self.id = there.post.id if there else None
        self.leader: Plan | None = None
        """The file whose post this one's is to be a translation of."""
        self.keeps_relation = False
        self.leads_aliases = False
        """Whether some of the file's aliases don't lead to the post yet."""
        # A scheduled post whose time has come is published, whether the scheduler was here first or not.
        at = self.post.scheduled_at
        due = at is not None and at <= now()
        self.state = PUBLISHED if due else self.post.state
        known = there.post.first_published_at if there else None
        self.first_published_at = self.post.published_at or known or (at if due else None)
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
        names = ("title", "tags", "excerpt", "body", "description", "canonical_url", "noindex")
        changes = [to_camel(name) for name in names if getattr(self.post, name) != getattr(revision, name)]
        changes += ["category"] * (self.post.category != category)
        thumbnail = self.post.thumbnail
        named = revision.thumbnail and revision.thumbnail["id"]
        changes += ["thumbnail"] * (thumbnail is not None and str(thumbnail) != named)
        return changes + ["attachments"] * (self._attachments(revision) != _attached(revision))

    def _thumbnail(self, revision: PostRevision) -> uuid.UUID | None:
        """Return the file's thumbnail; a file that names none leaves the one that there is."""
        there = revision.thumbnail
        return self.post.thumbnail or (uuid.UUID(there["id"]) if there else None)

    def _attachments(self, revision: PostRevision) -> list[uuid.UUID]:
        return self.post.attachments or _attached(revision)

    @property
    def revises(self) -> list[str]:
        """Reasons for a new revision."""
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
        """The changes to make."""
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
        changes = self.changes + ["aliases"] * (self.leads_aliases and self.there is not None)
        result = "created" if self.there is None else "changed" if changes else "unchanged"
        return Outcome(self.file, self.post.slug, result, changes)

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
        elif self.state == SCHEDULED and (state != SCHEDULED or changes):  # A change moves what is pinned.
            assert self.post.scheduled_at  # noqa: S101 - the file's rules see to it.
            await posts.schedule(self.id, self.post.scheduled_at, version, IMPORTER)

    def _request(self) -> FilePost:
        """Return the file's post with what it leaves as it is, and the id of the post that it translates."""
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
                "thumbnail": self._thumbnail(self.base),
                "attachments": self._attachments(self.base),
            }
        )


class Import:
    """One import of a job.

    Args:
        job: the files' content and options.
        done: names of files whose outcome is known from an earlier run of the same job, which are left alone.
        dry_run: whether to find out what would change, and to change nothing.
    """

    def __init__(self, job: ImportJob, *, done: Collection[str] = (), dry_run: bool = False) -> None:
        self._job, self._done, self._dry_run = job, done, dry_run

    async def steps(self) -> AsyncGenerator[Step, None]:
        """Import, and yield each part's outcome; completed parts stay if a later one fails.

        Raises `Unavailable` when a store doesn't respond.
        """
        step = Step()
        known = await self._categories(step)
        changing = []
        for plan in _relate(await self._plans(known, step)):
            outcome = plan.outcome()
            if plan.file in self._done:
                continue
            if self._dry_run or outcome.result == "unchanged":
                step.outcomes.append(outcome)
            else:
                changing.append(plan)
        step.remaining = len(changing)
        yield step
        if self._dry_run:
            return
        # A translation needs the post that it translates.
        remaining = len(changing)
        for part in _batches(sorted(changing, key=lambda plan: plan.leader is not None), TOGETHER):
            remaining -= len(part)
            yield Step(await _written(part, self._job.language), remaining=remaining)
        if changing:
            async with engine.writing() as session:
                posts_ = len(self._job.posts)
                audit.record(session, IMPORTER.id, IMPORTED, f"import:{request_id()}", posts=posts_)
        # An earlier run may have been killed between a commit and its effects.
        yield Step(pending=not await outbox.drain())

    async def _plans(self, known: Collection[str], step: Step) -> list[Plan]:
        """Compare posts with the stored ones."""
        plans = []
        for part in _batches(self._job.posts, stored.BATCH):
            there = await stored.by_slug([named.post.slug for named in part])
            absent = await aliases.missing([named.post for named in part])
            for named in part:
                found = there.get(named.post.slug)
                if findings := _unfit(named.post, found, known, self._job.language):
                    if named.file not in self._done:
                        step.outcomes.append(Outcome(named.file, named.post.slug, "failed", (), findings))
                else:
                    plans.append(plan := Plan(named, found))
                    plan.leads_aliases = not absent.isdisjoint(named.post.aliases)
        return plans

    async def _categories(self, step: Step) -> set[str]:
        """Bring the categories to what the job says; return the slugs of all."""
        listed, version = await categories.editorial()
        names = {c.slug: c.name for c in listed.items}
        slugs, wanted, writes = list(names), self._job.categories, not self._dry_run
        try:
            for category in wanted:
                if category.slug not in names:
                    step.categories.append(("created", category.slug))
                    slugs.append(category.slug)
                    if writes:
                        __, version = await categories.create(category, IMPORTER)
                elif category.name != names[category.slug] and not self._job.adds_categories:
                    step.categories.append(("renamed", category.slug))
                    if writes:
                        request = CategoryUpdate(name=category.name)
                        __, version = await categories.rename(category.slug, request, version, IMPORTER)
            order = slugs if self._job.adds_categories else _ordered(slugs, wanted)
            if order != slugs:
                step.categories.append(("reordered", ""))
                if writes:
                    await categories.reorder(CategoryOrder(slugs=order), version, IMPORTER)
        except Unavailable:
            raise
        except Problem as problem:
            if CATEGORIES not in self._done:
                step.outcomes.append(
                    Outcome(CATEGORIES, None, "failed", (), _findings(problem, self._job.language))
                )
        return set(slugs)


def _attached(revision: PostRevision) -> list[uuid.UUID]:
    return [uuid.UUID(attachment["id"]) for attachment in revision.attachments]


def _unfit(post: FilePost, there: Stored | None, known: Collection[str], language: Language) -> list[Finding]:
    """Return why a post can't be imported."""
    found = []
    if post.category not in known:
        text = Text(_NO_CATEGORY, {"category": post.category, "file": CATEGORIES})
        found.append(Finding("category", "unknown_category", text.in_language(language)))
    if there and there.post.lang != post.lang:
        text = Text(_LANG_FIXED, {"lang": there.post.lang})
        found.append(Finding("lang", "lang_fixed", text.in_language(language)))
    return found


async def _written(plans: Sequence[Plan], language: Language) -> list[Outcome]:
    outcomes = []
    async with outbox.batched():
        for plan in plans:
            outcome = plan.outcome()
            try:
                await plan.carry_out()
                led = await aliases.lead(plan.post, IMPORTER, language) if plan.leads_aliases else []
            except Unavailable:
                raise
            except Problem as problem:
                outcome = Outcome(plan.file, plan.post.slug, "failed", (), _findings(problem, language))
            else:
                outcome.findings = [
                    Finding("aliases", "redirect", redirect.message)
                    for redirect in led
                    if redirect.message is not None
                ]
            outcomes.append(outcome)
    return outcomes


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


def _findings(problem: Problem, language: Language) -> list[Finding]:
    """Return what a service found wrong, by the keys of the file."""
    renamed = {"publishAt": "scheduledAt", "translationOf": "translationKey"}
    of_code = {"slug_taken": "slug", "translation_exists": "translationKey"}
    found = []
    for broken in problem.violations:
        name = broken.field.removeprefix("body.")
        found.append(Finding(renamed.get(name, name), broken.rule, broken.text.in_language(language)))
    message = problem.in_language(language)
    if problem.code == PreconditionFailed.code:
        message = Text(_CHANGED_MEANWHILE).in_language(language)
    return found or [Finding(of_code.get(problem.code), problem.code, message)]


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
