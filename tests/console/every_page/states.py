"""Every page of the console in every state that looks different. A route without an entry here fails a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Page

from tests.console.conftest import principal
from tests.console.every_page.worlds import LONG, TAKEN

__all__ = [
    "FULL", "HUB", "HUB_AHEAD", "HUB_EMPTY", "HUB_REFUSES", "HUB_SLOW", "NEW", "STATES", "UNSIGNED", "VAULT", "Shown",
]  # fmt: skip

Act = Callable[[Page], None]
FULL: Final = "full"
NEW: Final = "new"
UNSIGNED: Final = "unsigned"
VAULT: Final = "vault"
HUB: Final = "hub"
HUB_AHEAD: Final = "hub-ahead"
HUB_EMPTY: Final = "hub-empty"
HUB_REFUSES: Final = "hub-refuses"
HUB_SLOW: Final = "hub-slow"
_HUBS: Final = {
    HUB: "Partition accounts/0 has the most: 1,234,567.",
    HUB_AHEAD: "The app reads no events of the partitions accounts/0, accounts/2",
    HUB_EMPTY: "No events wait in the event hub.",
    HUB_REFUSES: "is not known. The event hub refuses the app",
    HUB_SLOW: "is not known yet: load the page again",
}
_ADMIN: Final = ("Sync.Admin",)
_TABS: Final = {
    "source": "Find the columns of the source",
    "columns": "Columns (2)",
    "mapping": "Source columns without a mapping",
    "filter": "Ask Dataverse, and count",
    "behaviour": "Sync key",
    "post-sync": "Post sync (1)",
    "real-time": "Topic",
    "permissions": "Admin",
    "yaml": "The whole definition as text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A page in one state.

    Attributes:
        name: Of the test, and of the pictures.
        address: Path and query; an id in braces is one that `worlds.filled` gives.
        says: A text that tells this state from others.
        status: HTTP status of the answer.
        roles: Of the person who looks; without any, nobody is signed in.
        act: What the person does before the page is looked at.
        console: `full`, or `new` without any sync, or `unsigned` where the sign-in is not set up, or `vault`, which is
            `full` with a vault for secrets, or one of `_HUBS`, which is `full` with an event hub.
    """

    name: str
    address: str
    says: str
    status: int = 200
    roles: tuple[str, ...] = _ADMIN
    act: Act | None = None
    console: str = FULL


def _presses(name: str) -> Act:
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def _fills(label: str, value: str, button: str) -> Act:
    def act(page: Page) -> None:
        page.get_by_label(label, exact=True).fill(value)
        page.get_by_role("button", name=button, exact=True).click()

    return act


def _finds(text: str) -> Act:
    return _fills("Find in columns: a part of a name, or a number", text, "Find")


def _asks_for_a_secret(page: Page) -> None:
    page.get_by_role("button", name="Write a secret for Client secret").click()


def _asks_for_a_secret_of_a_new_sync(page: Page) -> None:
    _fills("Name", "orders", "Fill it in by hand")(page)
    page.get_by_role("group", name="Parts of the definition").get_by_role("button", name="Destination").click()
    _asks_for_a_secret(page)


def _writes_a_secret(name: str, *, replaces: bool) -> Act:
    def act(page: Page) -> None:
        _asks_for_a_secret(page)
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Replace the secret that has this name").set_checked(replaces)
        _fills("Value", "a-value-of-no-use", "Write the secret")(page)

    return act


def _spoils_and_checks(page: Page) -> None:
    page.get_by_label("Service URL").fill("http://crm.example.com")
    page.get_by_role("button", name="Check", exact=True).click()


def _elsewhere(page: Page, act: Act, then: str) -> None:
    """Let another person do something with the same page, and be shown an address then."""
    other = page.context.new_page()
    other.set_extra_http_headers({"X-MS-CLIENT-PRINCIPAL": principal(*_ADMIN)})
    other.goto(page.url)
    act(other)
    other.wait_for_url(then)
    other.close()


def _overwrites_another_version(page: Page) -> None:
    """Save what another person has saved meanwhile."""
    _elsewhere(page, _fills("Version", "7", "Save"), "**/edit/info?saved=1")
    _fills("Version", "8", "Save")(page)


def _deletes(page: Page) -> None:
    page.get_by_text("Delete this sync", exact=True).click()
    page.get_by_label("Yes, delete").check()
    page.get_by_role("button", name="Delete", exact=True).click()


def _saves_what_is_deleted(page: Page) -> None:
    """Save what another person has deleted meanwhile; the world is without this sync afterwards."""
    _elsewhere(page, _deletes, "**/")
    _fills("Version", "8", "Save")(page)


def _saves_what_is_renamed(page: Page) -> None:
    """Save what another person has renamed meanwhile; the world has the sync with its new name afterwards."""
    name = f"renamed-{LONG}"
    _elsewhere(page, _fills("Name *", name, "Save"), f"**/syncs/{name}/edit/info?saved=1")
    _fills("Version", "8", "Save")(page)


def _saves_with_the_roles(*roles: str) -> Act:
    """Somebody takes away the roles that the person had when the page was opened."""

    def act(page: Page) -> None:
        page.set_extra_http_headers({"X-MS-CLIENT-PRINCIPAL": principal(*roles)})
        _fills("Version", "8", "Save")(page)

    return act


_OVERVIEW: Final = (
    Shown(name="overview", address="/", says="need a person"),
    Shown(name="overview-search", address="/?q=nothing-like-it", says="No sync is like that"),
    Shown(name="overview-few-rights", address="/", says="customers", roles=("Readers",)),
    Shown(name="overview-no-rights", address="/", says="Ask for the app role", roles=("Others",)),
    Shown(name="overview-empty", address="/", says="Make the first one", console=NEW),
)
_SYNCS: Final = (
    Shown(name="sync", address="/syncs/customers", says="What happened to a record"),
    Shown(name="sync-large", address=f"/syncs/{LONG}", says="Rows by outcome"),
    Shown(name="sync-fresh", address="/syncs/fresh", says="No run yet"),
    Shown(name="sync-broken", address="/syncs/broken", says="nonsense"),
    Shown(name="sync-paused", address="/syncs/contacts", says="is paused"),
    Shown(name="sync-running", address="/syncs/moving", says="Running"),
    Shown(name="sync-few-rights", address="/syncs/customers", says="Permissions", roles=("Readers",)),
    Shown(
        name="sync-misfit",
        address="/syncs/misfit",
        says="nickname_of_it",
        act=_presses("Check against the environment"),
    ),
    Shown(
        name="sync-checked",
        address="/syncs/fresh",
        says="fits its environment, and what its source shows",
        act=_presses("Check against the environment"),
    ),
    Shown(name="history", address="/syncs/customers/history?key=customers-3", says="A new name of account 3"),
    Shown(name="history-unknown", address="/syncs/customers/history?key=none", says="Nothing is known of this record"),
    Shown(name="history-no-key", address="/syncs/customers/history", says="Look up a record"),
    Shown(name="history-no-journals", address="/syncs/fresh/history?key=a", says="The sync has no journals yet"),
    Shown(name="start", address="/syncs/customers/start", says="Rows of this region are read"),
    Shown(name="start-plain", address="/syncs/fresh/start", says="This sync has no parameters."),
    Shown(
        name="start-wrong",
        address="/syncs/customers/start",
        says="It was not started",
        act=_fills("since", "someday", "Run"),
    ),
    Shown(name="start-paused", address="/syncs/contacts/start", says="is paused", act=_presses("Run")),
    Shown(name="start-file", address="/syncs/by-file/start", says="or a file of this machine"),
    Shown(
        name="start-few-rights",
        address="/syncs/by-file/start",
        says="Only a person with the right",
        roles=("Operators",),
    ),
    Shown(
        name="start-no-file", address="/syncs/by-file/start", says="choose a file of your machine", act=_presses("Plan")
    ),
    Shown(name="versions", address="/syncs/customers/versions", says="Saved by Ann"),
    Shown(name="versions-older", address="/syncs/customers/versions?before=0", says="No older version"),
    Shown(name="versions-none", address="/syncs/fresh/versions", says="No earlier version"),
)
_JOBS: Final = (
    Shown(name="jobs-active", address="/jobs", says="Dataverse is away"),
    Shown(name="jobs-successful", address="/jobs?state=successful", says="Completed with errors"),
    Shown(name="jobs-failed", address="/jobs?state=failed", says="Refused"),
    Shown(name="jobs-plans", address="/jobs?state=plans", says="The latest plans"),
    Shown(name="jobs-active-empty", address="/jobs", says="Nothing is running", console=NEW),
    Shown(name="jobs-successful-empty", address="/jobs?state=successful", says="No run succeeded yet", console=NEW),
    Shown(name="jobs-failed-empty", address="/jobs?state=failed", says="No run failed", console=NEW),
    Shown(name="jobs-plans-empty", address="/jobs?state=plans", says="No plan yet", console=NEW),
    Shown(name="job-waiting", address="/jobs/{waiting}", says="It waits for its turn"),
    Shown(name="job-held", address="/jobs/{held}?joined=yes", says="Dataverse is away; not before"),
    Shown(name="job-failed", address="/jobs/{failed_plan}", says="Start again"),
    Shown(name="run-succeeded", address="/runs/{first}", says="Undo…"),
    Shown(name="run-errors", address="/runs/{errors}", says="rows are left to mend"),
    Shown(name="run-few-rights", address="/runs/{errors}", says="are not shown", roles=("Operators",)),
    Shown(name="run-retry", address="/runs/{retry}", says="Rows of"),
    Shown(name="run-large", address="/runs/{large}", says="How the writing went"),
    Shown(name="run-running", address="/runs/{running}", says="1,250,000 of 2,000,000 rows"),
    Shown(name="run-failed", address="/runs/{failed}", says="Failed"),
    Shown(name="run-refused", address="/runs/{refused}", says="Nothing was written."),
    Shown(name="run-lost", address="/runs/{lost}", says="Its process has ended."),
    Shown(name="run-undo", address="/runs/{undo}", says="An undo pauses its sync."),
    Shown(name="run-undone", address="/runs/{undone}", says="Run of contacts"),
    Shown(name="plan", address="/plans/{plan}", says="Nothing has been written."),
    Shown(name="plan-few-rights", address="/plans/{plan}", says="Values are masked", roles=("Operators",)),
    Shown(name="plan-nothing", address="/plans/{nothing}", says="There is nothing to write."),
    Shown(name="plan-unsafe", address="/plans/{unsafe}", says="A run would refuse this plan as unsafe"),
    Shown(name="plan-applied", address="/plans/{applied}", says="This plan was applied"),
    Shown(name="plan-confirm", address="/plans/{unsafe}/confirm", says="although it breaks a limit"),
    Shown(name="undo-plan", address="/undo-plans/{undo_plan}", says="Edited since"),
    Shown(name="undo-plan-nothing", address="/undo-plans/{undone_plan}", says="There is nothing to take back"),
)
_REAL_TIME: Final = (
    Shown(name="real-time", address="/real-time", says="4 events are unclaimed"),
    Shown(name="real-time-empty", address="/real-time", says="No sync listens to events", console=NEW),
    Shown(name="dead-letters", address="/real-time/customers", says="Send all again"),
    Shown(
        name="dead-letters-few-rights", address="/real-time/customers", says="with the right read", roles=("Writers",)
    ),
    *(Shown(name=f"real-time-{hub}", address="/real-time", says=says, console=hub) for hub, says in _HUBS.items()),
    *(
        Shown(name=f"dead-letters-{hub}", address="/real-time/customers", says=says, console=hub)
        for hub, says in _HUBS.items()
    ),
    Shown(name="overview-hub-ahead", address="/", says="2 partitions of the event hub are not read", console=HUB_AHEAD),
    Shown(name="dead-letters-no-listener", address="/real-time/fresh", says="The sync has no listener."),
    Shown(name="dead-letter", address="/real-time/customers/letter?id={letter}", says="Text of the event"),
    Shown(
        name="dead-letter-refused",
        address="/real-time/customers/letter?id={letter}",
        says="Your text was refused: Undecodable",
        act=_fills("Text of the event", "{not json", "Send again"),
    ),
    Shown(
        name="dead-letter-few-rights",
        address="/real-time/customers/letter?id={letter}",
        says="with the right read",
        roles=("Operators",),
    ),
    Shown(name="unclaimed", address="/real-time/_unclaimed", says="Send all again"),
    Shown(name="unclaimed-empty", address="/real-time/_unclaimed", says="No dead letters", console=NEW),
    Shown(name="unclaimed-letter", address="/real-time/_unclaimed/letter?id={binary}", says="hexadecimal"),
    Shown(name="audit", address="/audit", says="asked for a plan"),
    Shown(name="audit-none", address="/audit?sync=waiting", says="Nobody has changed or started this sync"),
    Shown(name="audit-empty", address="/audit", says="No entry yet", console=NEW),
)
_EDITOR: Final = (
    Shown(name="new", address="/new", says="Make a first draft"),
    Shown(
        name="new-mistakes", address="/new", says="a name contains only", act=_fills("Name", "A!", "Fill it in by hand")
    ),
    Shown(name="new-draft", address="/new", says="New sync orders", act=_fills("Name", "orders", "Fill it in by hand")),
    Shown(name="editor", address="/syncs/customers/edit", says="What the sync is called"),
    *(
        Shown(
            name=f"editor-{tab}",
            address=f"/syncs/{'customers' if tab in {'real-time', 'permissions'} else LONG}/edit/{tab}",
            says=says,
        )
        for tab, says in _TABS.items()
    ),
    Shown(
        name="editor-read-only", address="/syncs/customers/edit/filter", says="you need the right", roles=("Readers",)
    ),
    Shown(name="editor-broken", address="/syncs/broken/edit", says="2 mistakes"),
    Shown(name="editor-unreadable", address="/syncs/unreadable/edit", says="cannot be read as a definition"),
    Shown(name="editor-destination", address="/syncs/fresh/edit/destination", says="mistake", act=_spoils_and_checks),
    Shown(name="editor-test", address="/syncs/fresh/edit", says="Nothing is missing", act=_presses("Test connection")),
    Shown(name="editor-preview", address="/syncs/fresh/edit", says="A run of the first", act=_presses("Preview")),
    Shown(
        name="editor-conflict",
        address="/syncs/moving/edit",
        says="somebody else has changed",
        act=_overwrites_another_version,
    ),
)
_DRAFTS: Final = (
    Shown(
        name="draft-of-a-deleted-sync",
        address="/syncs/leaving/edit",
        says="somebody else has deleted this definition",
        act=_saves_what_is_deleted,
    ),
    Shown(
        name="draft-of-a-renamed-sync",
        address="/syncs/short/edit",
        says="Somebody else has renamed this sync",
        act=_saves_what_is_renamed,
    ),
    Shown(
        name="draft-as-a-new-sync",
        address=f"/syncs/{LONG}/edit",
        says="Your draft is kept as that of a new sync",
        act=_saves_with_the_roles("Sync.Create"),
    ),
    Shown(
        name="draft-refused",
        address=f"/syncs/{LONG}/edit",
        says="It was not saved, and it is on this page alone.",
        act=_saves_with_the_roles("Others"),
    ),
    Shown(
        name="draft-refused-read-only",
        address="/syncs/customers/edit",
        says="It was not saved, and it is on this page alone.",
        act=_saves_with_the_roles("Readers"),
    ),
)
_LONG_LISTS: Final = (
    Shown(name="editor-long-list", address="/syncs/wide/edit/columns", says="Shown: 1 to 40 of 1,002."),
    Shown(
        name="editor-last-page",
        address="/syncs/wide/edit/columns",
        says="Shown: 1,001 to 1,002 of 1,002.",
        act=lambda page: page.get_by_role("button", name="Last page of columns", exact=True).click(),
    ),
    Shown(
        name="editor-found",
        address="/syncs/wide/edit/columns",
        says="1 to 1 of 1 that have “field999”, of 1,002 in all.",
        act=_finds("field999"),
    ),
    Shown(
        name="editor-not-found",
        address="/syncs/wide/edit/columns",
        says="None of 1,002 has “nothing like it”.",
        act=_finds("nothing like it"),
    ),
    Shown(
        name="editor-long-list-broken",
        address="/syncs/wide-broken/edit/columns",
        says="Shown: 1,001 to 1,002 of 1,002.",
        act=lambda page: page.locator("#mistakes + ul").get_by_role("button").click(),
    ),
)
_SECRETS: Final = (
    Shown(
        name="secret",
        address="/syncs/fresh/edit/destination",
        says="is kept nowhere else",
        act=_asks_for_a_secret,
        console=VAULT,
    ),
    Shown(
        name="secret-of-a-new-sync",
        address="/new",
        says="is kept nowhere else",
        act=_asks_for_a_secret_of_a_new_sync,
        console=VAULT,
    ),
    Shown(
        name="secret-taken",
        address="/syncs/fresh/edit/destination",
        says="Nothing was written.",
        act=_writes_a_secret(TAKEN, replaces=False),
        console=VAULT,
    ),
    Shown(
        name="secret-written",
        address="/syncs/fresh/edit/destination",
        says="is in the vault.",
        act=_writes_a_secret("fresh-client-secret", replaces=True),
        console=VAULT,
    ),
)
_REFUSED: Final = (
    Shown(name="refused-401", address="/", says="Not signed in", status=401, roles=()),
    Shown(name="refused-403", address="/new", says="Not allowed", status=403, roles=("Readers",)),
    Shown(name="refused-404", address="/syncs/not-there", says="Not found", status=404),
    Shown(name="refused-422", address="/syncs/broken/start", says="The definition has mistakes", status=422),
    Shown(name="refused-503", address="/", says="Sign-in is not set up", status=503, console=UNSIGNED),
)
STATES: Final = (*_OVERVIEW, *_SYNCS, *_JOBS, *_REAL_TIME, *_EDITOR, *_DRAFTS, *_LONG_LISTS, *_SECRETS, *_REFUSED)
