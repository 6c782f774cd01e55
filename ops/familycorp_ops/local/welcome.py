"""Summary that `familycorp up` shows once everything runs."""

from collections.abc import Mapping
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape

from familycorp_ops.servers.people import PEOPLE


def welcome(console: Console, state: Path, port: int, console_url: str, seconds: float) -> None:
    """Show where everything is, and who may log in; `seconds` is how long the start took."""
    *others, last = (person.username for person in PEOPLE)
    # Not 127.0.0.1: browsers wouldn't send the login's cookies there, which `localhost` has.
    url = f"http://localhost:{port}"
    with suppress(ValueError):
        state = state.relative_to(Path.cwd())
    running, began = _("FamilyCorp is running"), _("started in {seconds:.1f} s").format(seconds=seconds)
    people = _("as {others} or {last}; each one's password is the same word").format(
        others=", ".join(others), last=last
    )
    rows = {
        _("API"): f"[cyan]{url}/v1/posts[/]",
        _("Docs"): f"[cyan]{url}/docs[/]",
        _("Health"): f"[cyan]{url}/health[/]",
        _("Feed"): f"[cyan]{url}/v1/feed.atom[/]",
        _("Console"): f"[cyan]{console_url}[/]  {people}",
    }
    kept = {
        _("Data"): escape(str(state)),
        _("Logs"): _("{directory}; `familycorp logs -f` and `familycorp top` show them").format(
            directory=escape(str(state / "logs"))
        ),
    }
    width = max(map(cell_len, [*rows, *kept])) + 3

    def lines(of: Mapping[str, str]) -> str:
        return "\n".join(f"  {name}{' ' * (width - cell_len(name))}{what}" for name, what in of.items())

    console.print(
        f"""
[bold green]{running}[/]  [dim]{began}[/]

{lines(rows)}

[bold]{_("Try")}[/]
  curl '{url}/v1/posts?lang=ko'
  curl -G '{url}/v1/search' --data-urlencode 'q=제품'
  curl '{url}/v1/categories'

{lines(kept)}

[dim]{_("Ctrl-C stops everything; the data stays.")}[/]""",
        soft_wrap=True,
    )
