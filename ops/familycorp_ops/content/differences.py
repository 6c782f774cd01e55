"""What an import of another generator's site changed and left out, in the order in which people ask for it."""

from collections import defaultdict
from dataclasses import dataclass

from familycorp_ops.content.importing import Summary
from familycorp_ops.content.notes import Note


@dataclass
class Group:
    """Notes of one kind about one thing for one reason."""

    subject: str
    why: str
    places: list[tuple[str, Note]]

    @property
    def files(self) -> int:
        """How many files have it."""
        return len({file for file, _note in self.places})


def groups(summary: Summary, kind: str) -> list[Group]:
    """Return the notes of a kind, the most frequent first."""
    found = defaultdict[tuple[str, str], list[tuple[str, Note]]](list)
    for file, note in summary.notes:
        if note.kind == kind:
            found[note.subject, note.why].append((file, note))
    sorted_ = sorted(found.items(), key=lambda item: -len(item[1]))
    return [Group(subject, why, places) for (subject, why), places in sorted_]
