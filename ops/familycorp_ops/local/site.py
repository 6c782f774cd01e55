"""Builds the starter site in `clients/site` and shows it until Ctrl-C: arguments are STATE and maybe API_URL."""

import os
import sys
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from urllib.parse import urlsplit

from familycorp_ops.environment import running_settings
from familycorp_ops.local.state import DEFAULT_PORT, site_port
from familycorp_ops.servers.process import free_port, port_is_free

SITE = Path(__file__).parents[3] / "clients" / "site"


def build_variables(running: Mapping[str, str]) -> dict[str, str]:
    """Return what the site's build reads, from the settings of what `make up` runs."""
    return {
        "API_URL": running["FAMILYCORP_API_URL"],
        "SITE_URL": running["FAMILYCORP_SITE_URL"],
        "FILES_URL": running["FAMILYCORP_AWS_ENDPOINT_URL"],
        "MEDIA_URL": running.get("FAMILYCORP_MEDIA_URL", ""),
    }


def show(state: Path, api_url: str | None = None) -> None:
    """Become `npm run show`, for an API that is named, else for what runs on a state directory."""
    if api_url:
        given = {"API_URL": api_url, "SITE_URL": f"http://localhost:{site_port(DEFAULT_PORT)}"}
    elif running := running_settings(state):
        given = build_variables(running)
    else:
        sys.exit(
            _(
                "Nothing runs on {state}: start it with `make up` in another terminal, or name an API with "
                "`make site API=https://api.example`."
            ).format(state=state.resolve())
        )
    if not port_is_free(urlsplit(given["SITE_URL"]).port or 0):
        given["SITE_URL"] = f"http://localhost:{free_port()}"
    os.chdir(SITE)
    os.execvpe("npm", ["npm", "run", "--silent", "show"], {**os.environ, **given})  # noqa: S606


if __name__ == "__main__":
    show(Path(sys.argv[1]), *sys.argv[2:])
