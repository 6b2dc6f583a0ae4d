"""The console as a browser or a program has it: over HTTP, with a Dataverse behind it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from batch_sync.local_runner import LocalRunner
from console.access.person import SignIn
from console.application import application
from console.console import Console
from console.local import bound, local_console
from emulator.testing import RunningEmulator, running
from shared.app import App
from shared.settings import Settings

CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), "")
DEFINITION = """
name: {name}
source:
  type: delimited
  path: {file}
  columns:
    - {{name: number, mandatory: true, validate: true}}
    - {{name: name, max_length: 160}}
destination:
  type: dynamics
  entity: account
  service_url: {service_url}
  tenant_id: {tenant_id}
  client_id: {client_id}
  client_secret: {{env: DATAVERSE_SECRET}}
  id_column: accountid
  filter: "startswith(accountnumber,'{name}-')"
  mappings:
    - {{source: number, target: accountnumber}}
    - {{source: name, target: name}}
sync_behaviour: {{sync_key: [accountnumber], dropped: delete}}
"""

# Far more than a page takes: what waits for a job may have to wait for much other work on the machine.
PATIENCE = 60_000  # milliseconds
expect.set_options(timeout=PATIENCE)

LISTENER = "listener: {name: crm, topic: {format: json, action: $.op, records: $.row}}\n"


@pytest.fixture(scope="session")
def emulator() -> Iterator[RunningEmulator]:
    """A Dataverse for the session."""
    with running(in_thread=True) as server:
        yield server


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A folder of definitions with files, an empty Dataverse, and the app that is told of both."""

    folder: Path
    emulator: RunningEmulator
    app: App
    variables: Mapping[str, str] = field(repr=False)

    def define(self, name: str, *, rows: int = 3, more: str = "") -> None:
        """Write a sync of accounts and its file."""
        self.write(name, [(f"{name}-{number}", f"Account {number}") for number in range(rows)])
        server = self.emulator
        text = DEFINITION.format(
            name=name,
            file=self.folder / f"{name}.csv",
            service_url=server.service_url,
            tenant_id=server.tenant_id,
            client_id=server.client_id,
        )
        (self.folder / "syncs" / f"{name}.yaml").write_text(text + more)

    def write(self, name: str, rows: list[tuple[str, str]]) -> None:
        """Write the file of a sync."""
        lines = ["number,name", *(",".join(row) for row in rows)]
        (self.folder / f"{name}.csv").write_text("\n".join(lines) + "\n")

    def accounts(self) -> dict[str, str]:
        """Names of the accounts in Dataverse by their number."""
        headers = {"Authorization": f"Bearer {self.emulator.token()}"}
        url = f"{self.emulator.service_url}accounts?$select=accountnumber,name"
        found: list[dict[str, Any]] = requests.get(url, headers=headers, timeout=10).json()["value"]
        return {row["accountnumber"]: row["name"] for row in found}


@contextmanager
def made_world(emulator: RunningEmulator, folder: Path) -> Iterator[World]:
    """A world in a folder, with the state in a file, for the length of a `with` block."""
    (folder / "syncs").mkdir()
    variables = {
        "SYNC_DEFINITIONS": str(folder / "syncs"),
        "STATE_STORE": f"sqlite:///{folder / 'state.db'}",
        "DATAVERSE_SECRET": emulator.client_secret,
        "PATH": os.environ["PATH"],
    }
    app = App(Settings.load(variables), read_environment=lambda: variables, clock=always_later())
    yield World(folder=folder, emulator=emulator, app=app, variables=variables)
    app.state.close()


@pytest.fixture
def world(emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A fresh world."""
    emulator.reset()
    monkeypatch.chdir(tmp_path)
    with made_world(emulator, tmp_path) as made:
        yield made


def always_later() -> Callable[[], float]:
    """A clock by which the folder of definitions is looked at again each time."""
    moments = iter(range(0, 10**9, 100))
    return lambda: float(next(moments))


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A console that answers.

    Attributes:
        url: Its address, without a slash at the end.
    """

    url: str
    console: Console

    def as_person(self, *roles: str, claims: Mapping[str, str] | None = None) -> requests.Session:
        """A session with the header that the platform makes for a person with these roles."""
        session = requests.Session()
        session.headers["X-MS-CLIENT-PRINCIPAL"] = principal(*roles, claims=claims)
        return session


def principal(*roles: str, claims: Mapping[str, str] | None = None) -> str:
    """The header that App Service Authentication makes."""
    known = {"oid": "00000000-0000-0000-0000-00000000000a", "name": "Ann"} | dict(claims or {})
    found = [{"typ": kind, "val": value} for kind, value in known.items()]
    found += [{"typ": "roles", "val": role} for role in roles]
    value = {"auth_typ": "aad", "claims": found, "name_typ": "name", "role_typ": "roles"}
    return base64.b64encode(json.dumps(value).encode()).decode()


@contextmanager
def serving(console: Console) -> Iterator[Served]:
    """Serve a console for the length of a `with` block."""
    listening = bound(0)
    config = uvicorn.Config(application(console), log_level="warning", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield Served(url=f"http://127.0.0.1:{listening.getsockname()[1]}", console=console)
    server.should_exit = True
    thread.join(timeout=10)


@contextmanager
def console_of(app: App) -> Iterator[Console]:
    """The console of an app; at the end its jobs are not looked for any more, which later tests would notice."""
    made = LocalRunner(app)
    yield local_console(app, made)
    made.stop(within=10)


@pytest.fixture
def runner(world: World) -> Iterator[LocalRunner]:
    """What runs the jobs of a console: without its end it would look for jobs of every former test."""
    made = LocalRunner(world.app)
    yield made
    made.stop(within=10)


@pytest.fixture
def served(world: World, runner: LocalRunner) -> Iterator[Served]:
    """The console of whoever sits at the machine."""
    with serving(local_console(world.app, runner)) as made:
        yield made


@pytest.fixture
def served_to_many(world: World, runner: LocalRunner) -> Iterator[Served]:
    """The console with the sign-in of the platform: every request needs the header."""
    local = local_console(world.app, runner)
    sign_in = SignIn({"WEBSITE_AUTH_ENABLED": "True"})
    with serving(Console(app=world.app, sign_in=sign_in, wake=local.wake, hosts=None)) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright, whose event loop would be in the way of the Functions runtime's."""
    if not CHROMIUM:
        pytest.skip("Chromium is not installed: nothing can show the pages")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """A page of the console; what its script does wrong, or the browser refuses, fails the test."""
    context = browser.new_context(base_url=served.url)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    yield opened
    context.close()
    assert wrong == []


def pictures_in(folder: Path) -> Path:
    """Where the pictures are written: the folder of the setting PICTURES, for people who want to look at them."""
    found = Path(os.environ.get("PICTURES") or folder)
    found.mkdir(parents=True, exist_ok=True)
    return found


def pictures(page: Page, name: str, folder: Path) -> None:
    """Take pictures of a page: light, dark, at 800 and at 360 px; none may be wider than its window."""
    target = pictures_in(folder)
    forms = (("light", 1200, "light"), ("dark", 1200, "dark"), ("half", 800, "dark"), ("narrow", 360, "light"))
    for form, width, scheme in forms:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.screenshot(path=target / f"{name}-{form}.png", full_page=True)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name} is wider than a window of {width} px"
    page.set_viewport_size({"width": 1200, "height": 900})
    page.emulate_media(color_scheme="light")


def unreachable(page: Page) -> list[str]:
    """What can be used on a page and does not get the focus by the Tab key alone, as HTML."""
    usable = (
        "a[href], button:not([aria-hidden=true]), input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
    )
    count = int(page.evaluate(f"() => document.querySelectorAll(`{usable}`).length"))
    page.evaluate("() => { document.activeElement?.blur(); window.reached = new Set(); }")
    for _ in range(count + 2):
        page.keyboard.press("Tab")
        page.evaluate("() => window.reached.add(document.activeElement)")
    missed = "each => each.checkVisibility() && !window.reached.has(each)"
    found: list[str] = page.evaluate(
        f"() => [...document.querySelectorAll(`{usable}`)].filter({missed}).map(each => each.outerHTML)"
    )
    page.evaluate("() => document.activeElement?.blur()")
    return found


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page, one line each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}" for each in found]
