"""Every page in every state: readable in each form, and usable with the keyboard alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import pytest
import requests
from azure.keyvault.secrets import SecretClient
from playwright.sync_api import Browser, ConsoleMessage, Error, Page
from starlette.routing import compile_path

from console.access.person import SignIn
from console.application import ROUTES
from console.console import Console
from console.local import local_console
from emulator.testing import RunningEmulator
from shared.app import App
from shared.app.event_hub.asking import WaitingEvents
from shared.app.event_hub.waiting import PartitionState
from shared.settings import Settings
from tests.console.conftest import PATIENCE, Served, World, always_later, made_world, pictures_in, principal, serving
from tests.console.every_page.looks import looks, open_parts, still, tabbed_through, violations_in
from tests.console.every_page.states import (
    FULL,
    HUB,
    HUB_AHEAD,
    HUB_EMPTY,
    HUB_REFUSES,
    HUB_SLOW,
    NEW,
    STATES,
    UNSIGNED,
    VAULT,
    Shown,
)
from tests.console.every_page.worlds import TAKEN, filled
from tests.event_hubs import hub_of, refusing_hub, slow_hub
from tests.unit.secrets.fake_cloud import FakeCloud
from tests.unit.secrets.fixtures import server

__all__ = ["server"]

FILES = {"/static/{name}", "/runs/{run}/files/{name}"}
"""What is no page: the browser loads it, or keeps it."""
PAGES = [path for path in ROUTES if path.method == "GET" and not path.path.startswith("/api/")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a page is looked at.

    Attributes:
        rules: What axe-core is asked for again; what no form changes is asked once, in the first one.
        is_laid_out: Whether the layout is another one than before.
    """

    name: str
    width: int
    scheme: Literal["light", "dark"]
    rules: Sequence[str] = ()
    is_laid_out: bool = True


FORMS: Final = (
    Form(name="light", width=1280, scheme="light"),
    Form(name="dark", width=1280, scheme="dark", rules=("color-contrast", "link-in-text-block"), is_laid_out=False),
    Form(name="narrow", width=360, scheme="light", rules=("target-size", "scrollable-region-focusable")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consoles:
    """The consoles that answer, by name, and the ids of what the full one shows."""

    served: Mapping[str, Served]
    ids: Mapping[str, str]

    def url(self, shown: Shown) -> str:
        """The whole address of a page."""
        ids = {name: quote(value, safe="") for name, value in self.ids.items()}
        return self.served[shown.console].url + shown.address.format_map(ids)


@pytest.fixture(scope="module")
def vault(server: FakeCloud) -> Iterator[str]:
    """The address of a vault with one secret, to which the console of this process may write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
        patch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
        patch.setenv("IDENTITY_HEADER", "header-of-this-app")
        # The vault's challenge names https://vault.azure.net, which is no domain above localhost.
        client = partial(SecretClient, verify_challenge_resource=False)
        patch.setattr("azure.keyvault.secrets.SecretClient", client)
        taken = {"id": f"{server.url}/secrets/{TAKEN}/{1:032x}", "tags": {"dynamics-sync": "fresh"}}
        server.versions[TAKEN] = [taken | {"attributes": {"enabled": True, "created": 1, "updated": 1}}]
        yield server.url


@pytest.fixture(scope="module")
def consoles(emulator: RunningEmulator, vault: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoles]:
    """A console that has been through everything, the same with a vault and with hubs, and others without syncs or a sign-in."""
    emulator.reset()
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("full")
        stack.enter_context(pytest.MonkeyPatch.context()).chdir(folder)
        full, new = (
            stack.enter_context(made_world(emulator, each)) for each in (folder, tmp_path_factory.mktemp("new"))
        )
        served = {
            FULL: stack.enter_context(serving(console_of(full))),
            NEW: stack.enter_context(serving(console_of(new))),
        }
        served[VAULT] = stack.enter_context(serving(console_of(with_vault(full, vault))))
        for name, waiting in {**hubs(), HUB_SLOW: stack.enter_context(slow_hub())}.items():
            served[name] = stack.enter_context(serving(replace(console_of(full), waiting=waiting)))
        served[UNSIGNED] = stack.enter_context(serving(console_of(new, signs_in=False)))
        yield Consoles(served=served, ids=filled(full, served[FULL]))


def with_vault(world: World, vault: str) -> World:
    """The same world for an app that writes secrets."""
    variables = {**world.variables, "CONSOLE_SECRETS_VAULT": vault}
    app = App(Settings.load(variables), read_environment=lambda: variables, clock=always_later())
    return replace(world, app=app, variables=variables)


def hubs() -> dict[str, WaitingEvents]:
    """Hubs in each state that a page shows."""
    known, ahead, unknown = PartitionState.KNOWN, PartitionState.AHEAD, PartitionState.UNKNOWN
    ahead_hub = hub_of(("accounts/0", None, ahead), ("accounts/1", 3, known), ("accounts/2", None, ahead))
    ahead_hub.now()  # the first page shows what was said before, and does not wait
    return {
        HUB: hub_of(
            ("accounts/0", 1_234_567, known),
            ("accounts/1", 0, known),
            ("accounts/2", None, unknown),
            ("accounts/3", 12, known),
        ),
        HUB_AHEAD: ahead_hub,
        HUB_EMPTY: hub_of(*((f"accounts/{number}", 0, known) for number in range(3))),
        HUB_REFUSES: refusing_hub(),
    }


def console_of(world: World, *, signs_in: bool = True) -> Console:
    """A console that asks the platform who sends a request."""
    sign_in = SignIn({"WEBSITE_AUTH_ENABLED": str(signs_in)})
    return Console(app=world.app, sign_in=sign_in, wake=local_console(world.app).wake)


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Page]:
    """The window of all pages."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    yield opened
    context.close()


@pytest.fixture(scope="module", params=STATES, ids=[each.name for each in STATES])
def shown(request: pytest.FixtureRequest, window: Page, consoles: Consoles) -> Iterator[Page]:
    """A page in a state; what its script does wrong, or the browser refuses, is an error."""
    state: Shown = request.param
    wrong: list[str] = []

    def on_console(said: ConsoleMessage) -> None:
        is_the_page = said.text.startswith("Failed to load resource") and "/static/" not in said.location["url"]
        if said.type == "error" and not is_the_page:  # the status of the page itself is known
            wrong.append(said.text)

    def on_error(error: Error) -> None:
        wrong.append(str(error))

    window.set_extra_http_headers({"X-MS-CLIENT-PRINCIPAL": principal(*state.roles)} if state.roles else {})
    window.set_viewport_size({"width": 1280, "height": 900})
    window.emulate_media(color_scheme="light", reduced_motion="reduce")
    window.on("console", on_console)
    window.on("pageerror", on_error)
    answer = window.goto(consoles.url(state))
    if state.act:
        state.act(window)
    # While the browser loads the page that follows a form, there is no `main` yet.
    window.wait_for_function("says => document.querySelector('main')?.innerText.includes(says)", arg=state.says)
    still(window)
    yield window
    window.remove_listener("console", on_console)
    window.remove_listener("pageerror", on_error)
    assert (answer and answer.status, wrong) == (state.status, [])


def test_every_page_has_an_entry() -> None:
    """A new route of the application fails here until its page is in the table."""
    covered = {route_of(each.address) for each in STATES}
    assert {path.path for path in PAGES} - FILES - covered == set()


def route_of(address: str) -> str:
    """The route that answers to an address; empty where none does."""
    path = address.partition("?")[0]
    return next((each.path for each in PAGES if compile_path(each.path)[0].match(path)), "")


def test_what_is_no_page_is_loaded_or_kept(consoles: Consoles) -> None:
    """The browser shows none of the files that have no entry."""
    ids, served = consoles.ids, consoles.served[FULL]
    known = {
        "/static/{name}": "/static/style.css",
        "/runs/{run}/files/{name}": f"/runs/{ids['errors']}/files/{ids['file']}",
    }
    for path in FILES:
        answer = served.as_person("Sync.Admin").get(served.url + known[path], timeout=10)
        assert (answer.status_code, "html" in answer.headers["content-type"]) == (200, False), path


def test_a_title_names_one_page(consoles: Consoles) -> None:
    """People find a page by its title among their tabs, and in the history of the browser."""
    pages: dict[str, set[str]] = {}
    for state in STATES:
        if state.status != 200 or state.act:
            continue
        url = consoles.url(state)
        text = requests.get(url, headers={"X-MS-CLIENT-PRINCIPAL": principal(*state.roles)}, timeout=10).text
        title = text.partition("<title>")[2].partition("</title>")[0]
        pages.setdefault(title, set()).add(re.sub(r"\?(?!state|key).*|^http://[^/]+", "", url))
    assert {title: found for title, found in pages.items() if len(found) > 1} == {}


def test_a_refusal_keeps_the_frame(consoles: Consoles) -> None:
    """Whoever is signed in finds the other pages; nobody else sees what there is."""
    framed = {}
    for state in (each for each in STATES if each.status != 200):
        headers = {"X-MS-CLIENT-PRINCIPAL": principal(*state.roles)} if state.roles else {}
        text = requests.get(consoles.url(state), headers=headers, timeout=10).text
        framed[state.status] = 'aria-label="Main"' in text
    assert framed == {401: False, 403: True, 404: True, 422: True, 503: False}


@pytest.mark.parametrize("form", FORMS, ids=[each.name for each in FORMS])
def test_it_is_readable(form: Form, shown: Page, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """In light, in dark and in a narrow window: axe-core finds nothing, and nothing is cut or wider than the window."""
    shown.set_viewport_size({"width": form.width, "height": 900})
    shown.emulate_media(color_scheme=form.scheme)
    shown.evaluate("() => document.activeElement.blur()")  # the skip link lies over others while it has the focus
    open_parts(shown, whole=False)
    found = looks(shown) if form.is_laid_out else {}
    if "PICTURES" in os.environ:
        name = request.node.callspec.id.removesuffix(f"-{form.name}")
        shown.screenshot(path=pictures_in(tmp_path) / f"{name}-{form.name}.png", full_page=True)
    if form.is_laid_out:
        open_parts(shown, whole=True)
        found |= {f"open: {name}": value for name, value in looks(shown).items()}
    found["violations"] = violations_in(shown, *form.rules)
    h1 = found.pop("h1", ["-"])
    found.pop("open: h1", None)
    assert (len(h1), bool("".join(h1))) == (1, True)
    wrong = {name: value for name, value in found.items() if value}
    assert wrong == {}, json.dumps(wrong, indent=1)


def test_no_window_is_too_small(shown: Page) -> None:
    """Also between a phone and a large window, as on a tablet or half a screen, with all parts open."""
    open_parts(shown, whole=True)
    wider = {}
    for width in (360, 480, 700, 710, 800, 900, 1000, 1085, 1095, 1200):
        shown.set_viewport_size({"width": width, "height": 900})
        wider[width] = shown.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert {width: pixels for width, pixels in wider.items() if pixels > 0} == {}


def test_the_keyboard_is_enough(shown: Page) -> None:
    """Tab comes to everything that can be used, in the order of the page and with a ring, and back to the link that skips the frame."""
    shown.set_viewport_size({"width": 1280, "height": 320})  # less to draw, as often as Tab is pressed
    open_parts(shown, whole=False)
    open_with_enter(shown)
    shown.evaluate(
        "() => { document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); }"
    )
    found = tabbed_through(shown)
    assert "Skip to the content" in found.pop("first")
    assert found.pop("wentRound")
    wrong = {name: value for name, value in found.items() if value}
    assert wrong == {}, json.dumps(wrong, indent=1)


def open_with_enter(page: Page) -> None:
    """Open every part that can be opened; the first one is also closed and opened again."""
    for number, summary in enumerate(page.locator("details > summary").element_handles()):
        was_open = summary.evaluate("each => each.parentElement.open")
        for is_open in (True, False, True)[int(was_open) :] if number == 0 or was_open else (True,):
            summary.press("Enter")
            assert summary.evaluate("each => each.parentElement.open") is is_open
