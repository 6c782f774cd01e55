"""The processes behind `familycorp up`: their settings, and what each needs before it starts."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from gettext import gettext as _
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from familycorp_ops.admin.db import is_current
from familycorp_ops.environment import DATABASE, SETTINGS
from familycorp_ops.local.state import cdn_port, provider_port, site_port
from familycorp_ops.local.steps import Step
from familycorp_ops.servers.ministack import CREDENTIALS, DEVELOPMENT_ORIGINS, MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import CLIENT_ID
from familycorp_ops.servers.process import (
    LOOPBACK,
    Process,
    clean_environment,
    http_ok,
    port_is_free,
    stop_all,
)
from familycorp_ops.servers.valkey import Valkey

if TYPE_CHECKING:
    from app.core.settings import Settings

ROLE_GROUPS = "admins=admin,editors=editor,viewers=viewer"
"""Roles of the local login provider's groups."""


def load_demo(__: "Settings") -> None:
    """Load the demonstration content; called on the first start, when all stores are there."""
    from familycorp_ops import environment  # noqa: PLC0415
    from familycorp_ops.content import load_demo as load  # noqa: PLC0415
    from familycorp_ops.local import demo_files  # noqa: PLC0415

    load()
    environment.run(demo_files.add())


def restore(__: "Settings") -> None:
    """Write read models and wake-up markers to the emulator again, which lost them because it was killed."""
    from app.functions.drain import restore as restore_all  # noqa: PLC0415

    asyncio.run(restore_all())


class Services:
    """The processes behind `familycorp up` and the order in which they start."""

    def __init__(self, state: Path, port: int) -> None:
        self._state = state
        api_url = f"http://localhost:{port}"
        self.console_url = f"{api_url}/console/"
        (state / SETTINGS).unlink(missing_ok=True)
        logs = state / "logs"
        rmtree(logs, ignore_errors=True)  # Logs are of one run.
        logs.mkdir(exist_ok=True)
        self.valkey = Valkey(directory=state / "valkey", log=logs / "valkey.log")
        self.provider = NanoIDP(
            api_urls=[api_url],
            port=provider_port(state),
            directory=state / "provider",
            log=logs / "provider.log",
        )
        # Pages of this machine may do so anyway; somebody who works on others names their origin.
        named = os.environ.get("FAMILYCORP_CORS_ORIGINS", "").split(",")
        origins = list(filter(None, map(str.strip, named)))
        self.emulator = MiniStack(
            directory=state / "emulator",
            log=logs / "emulator.log",
            persist=True,
            origins=[*origins, api_url, *DEVELOPMENT_ORIGINS],
        )
        media_port = cdn_port(state)
        settings = {
            **CREDENTIALS,
            "FAMILYCORP_ENV": "local",
            "FAMILYCORP_DATABASE_URL": f"sqlite+aiosqlite:///{state / DATABASE}",
            "FAMILYCORP_CACHE_URL": self.valkey.url,
            "FAMILYCORP_AWS_ENDPOINT_URL": self.emulator.url,
            "FAMILYCORP_API_URL": api_url,
            "FAMILYCORP_SITE_URL": f"http://localhost:{site_port(port)}",
            "FAMILYCORP_MEDIA_URL": f"http://localhost:{media_port}",
            "FAMILYCORP_CORS_ORIGINS": ",".join(origins),
            "FAMILYCORP_OIDC_ISSUER": self.provider.url,
            "FAMILYCORP_OIDC_CLIENT_ID": CLIENT_ID,
            "FAMILYCORP_OIDC_POST_LOGOUT_URI": self.console_url,
            "FAMILYCORP_ROLE_GROUPS": ROLE_GROUPS,
        }
        self._environment = clean_environment(**settings)
        api = ["uvicorn", "app.main:app", "--host", LOOPBACK, "--port", str(port), "--no-access-log"]
        # There is no proxy before it, so a client that claims to forward another address made it up.
        api += ["--no-proxy-headers", "--no-server-header", "--timeout-graceful-shutdown", "1"]
        self.api = self._python(_("The API"), "api", "-m", *api, ready=lambda: http_ok(port, "/health"))
        self.worker = self._python(_("The worker"), "worker", "-m", "app.functions.worker")
        self.cdn = self._python(
            _("The pictures' CDN"),
            "cdn",
            *("-m", "familycorp_ops.local.cdn", str(media_port)),
            ready=lambda: not port_is_free(media_port),
        )
        self._setup: list[Process] = []
        self._loaded = state / "demo-loaded"
        self._unsaved = state / "emulator-unsaved"
        self._lost = self._unsaved.exists()

    def steps(self) -> list[Step]:
        """Return what to start, each after the steps it needs."""
        valkey = Step(_("Cache (Valkey)"), self.valkey)
        emulator = Step(_("AWS emulator (MiniStack)"), self.emulator)
        tables = self._call(_("Tables, bucket and keys"), "tables", "local.provision", "provision", emulator)
        stores = [valkey, emulator, tables]
        # To ask Alembic takes two seconds.
        current = is_current(self._state / DATABASE)
        if not current:
            stores.append(self._call(_("Database schema"), "schema", "admin.db", "upgrade"))
        # On a later start everything is in place, and the API needn't wait for the check of the tables.
        complete = current and self._loaded.exists() and not self._lost
        if self._lost:
            stores.append(
                self._call(_("Data that the emulator lost"), "restore", "local.services", "restore", *stores)
            )
        self._unsaved.touch()
        if not self._loaded.exists():
            stores.append(
                self._call(_("Demonstration content"), "demo", "local.services", "load_demo", *stores)
            )
        api = Step("API", self.api, [valkey, emulator] if complete else stores)
        # The API asks the provider when the first person logs in, so it needn't wait for it.
        provider = Step(_("Login provider (NanoIDP)"), self.provider)
        pictures = Step(_("Pictures (CDN)"), self.cdn)
        return [*stores, provider, pictures, api, Step(_("Worker"), self.worker, stores)]

    def finish(self) -> None:
        """Note that every step is done, and with which settings."""
        variables = {k: v for k, v in self._environment.items() if k.startswith("FAMILYCORP_")}
        (self._state / SETTINGS).write_text(json.dumps(variables))
        self._loaded.touch()
        self._lost = False

    def places(self) -> dict[str, str]:
        """Return where everything is, for programs."""
        return {
            "url": self._environment["FAMILYCORP_API_URL"],
            "consoleUrl": self.console_url,
            "mediaUrl": self._environment["FAMILYCORP_MEDIA_URL"],
            "loginUrl": self.provider.url,
            "awsUrl": self.emulator.url,
            "cacheUrl": self.valkey.url,
            "state": str(self._state),
            "settings": str(self._state / SETTINGS),
        }

    def lasting(self) -> list[Process]:
        """Return the processes that run until the end."""
        return [self.valkey, self.emulator, self.provider, self.api, self.worker, self.cdn]

    def stop(self, console: Console) -> None:
        """Stop every process: first those that use the stores, then the stores."""
        console.print(_("Stopping ..."))
        stop_all([*self._setup, self.api, self.worker, self.cdn])
        stop_all([self.emulator, self.valkey, self.provider])
        if self.emulator.returncode in {0, None} and not self._lost:
            self._unsaved.unlink(missing_ok=True)
        console.print(
            _("Stopped. The data stays in {state}.").format(state=escape(str(self._state))), soft_wrap=True
        )

    def _call(self, title: str, log: str, module: str, function: str, *after: Step) -> Step:
        """Return the step in which a process calls a function of this package with the settings."""
        call = f"from familycorp_ops.{module} import {function} as step; step(settings())"
        process = self._python(title, log, "-c", f"from app.core.settings import settings; {call}")
        self._setup.append(process)
        return Step(title, process, after, ends=True)

    def _python(
        self, name: str, log: str, *arguments: str, ready: Callable[[], bool] | None = None
    ) -> Process:
        return Process(
            name,
            [sys.executable, *arguments],
            log=self._state / "logs" / f"{log}.log",
            environment=self._environment,
            # Python finds modules in the current directory, which may be any.
            cwd=self._state,
            ready=ready,
        )
