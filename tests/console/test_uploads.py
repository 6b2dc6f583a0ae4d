"""Files that go straight from the browser to storage: Chromium, the console and Azurite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from azure.storage.blob import BlobServiceClient, ContainerClient, CorsRule
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from batch_sync.pool import LocalQueue
from batch_sync.worker import Worker
from console.access.person import DEVELOPER, SignIn
from console.console import Console
from console.uploads import addresses
from shared.app import App
from shared.app.uploads import addresses as signing
from shared.app.uploads.addresses import CONTAINER
from shared.settings import Settings
from shared.state import RunState
from tests.console.conftest import PATIENCE, Served, World, always_later, pictures, serving, violations

pytestmark = pytest.mark.azurite

ROOT = Path(__file__).parents[2]
PERMISSIONS = "permissions: {admin: [Owners], execute: [Runners], write: [Writers], read: [Readers]}\n"
ROWS = "number,name\ncustomers-1,One\ncustomers-2,Two\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class InStorage:
    """A console whose state, definitions and uploads are in a storage account.

    Attributes:
        asked: The jobs that wait.
    """

    world: World
    app: App
    served: Served
    account: BlobServiceClient
    asked: list[str]

    @property
    def definitions(self) -> ContainerClient:
        return self.account.get_container_client("definitions")

    def define(self, name: str, *, rows: int = 3, more: str = PERMISSIONS) -> None:
        """Write a sync into the container."""
        self.world.define(name, rows=rows, more=more)
        text = (self.world.folder / "syncs" / f"{name}.yaml").read_bytes()
        self.definitions.upload_blob(f"syncs/{name}.yaml", text, overwrite=True)

    def allow_pages(self) -> None:
        """Let pages of the console send files, by the rule of the deployment."""
        rule = (ROOT / "infra" / "modules" / "storage.bicep").read_text("utf-8").partition("cors: {")[2]
        methods, headers = (re.findall("'(.+?)'", rule.partition(f"{key}: [")[2].partition("]")[0]) for key in _KEYS)
        cors = [CorsRule([self.served.url], methods, allowed_headers=headers, max_age_in_seconds=600)]
        self.account.set_service_properties(cors=cors)

    def uploads(self) -> list[str]:
        """What is in the container for uploads."""
        container = self.account.get_container_client(CONTAINER)
        return [*container.list_blob_names()] if container.exists() else []


_KEYS = ("allowedMethods", "allowedHeaders")


@pytest.fixture
def storage(world: World, storage_account: str) -> Iterator[InStorage]:
    """With a person at the machine."""
    yield from _opened(world, storage_account, SignIn({}, DEVELOPER))


@pytest.fixture
def storage_of_many(world: World, storage_account: str) -> Iterator[InStorage]:
    """With the sign-in of the platform."""
    yield from _opened(world, storage_account, SignIn({"WEBSITE_AUTH_ENABLED": "True"}))


def _opened(world: World, connection: str, sign_in: SignIn) -> Iterator[InStorage]:
    account = BlobServiceClient.from_connection_string(connection)
    account.create_container("definitions")
    variables = {
        **world.variables,
        "SYNC_DEFINITIONS": "abfs://definitions/syncs",
        "STATE_STORE": "azure",
        "AzureWebJobsStorage": connection,
    }
    app = App(Settings.load(variables), read_environment=lambda: variables, clock=always_later())
    asked: list[str] = []
    with serving(Console(app=app, sign_in=sign_in, wake=asked.append)) as served:
        yield InStorage(world=world, app=app, served=served, account=account, asked=asked)
    app.state.close()


@pytest.fixture
def context(browser: Browser, storage: InStorage) -> Iterator[BrowserContext]:
    made = browser.new_context(base_url=storage.served.url)
    made.set_default_timeout(PATIENCE)
    yield made
    made.close()


def watched(page: Page) -> list[Request]:
    """The requests of a page that write."""
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method in {"PUT", "POST"} else None)
    return sent


def test_a_file_of_a_source_goes_straight_to_storage(
    context: BrowserContext, storage: InStorage, tmp_path: Path
) -> None:
    """Its bytes do not pass the console; the definition gets its URL, its columns are found, and a run reads it."""
    storage.define("customers")
    storage.allow_pages()
    file = tmp_path / "my rows.csv"
    file.write_text(ROWS)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    sent = watched(page)
    page.goto("/syncs/customers/edit/source")
    page.get_by_label("A file of this machine").set_input_files(file)
    assert violations(page) == []
    pictures(page, "editor-upload", tmp_path)
    page.get_by_role("button", name="Use this file").click()
    expect(page.get_by_text(re.compile("2 columns were found, and [0-9] of them (is|are) new"))).to_be_visible()
    assert [request.method for request in sent] == ["POST", "PUT", "POST"]
    assert sent[1].url.startswith(f"{storage.account.url.rstrip('/')}/{CONTAINER}/files/")
    assert "customers-1,One" not in (sent[2].post_data or "")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    saved = yaml.safe_load(storage.definitions.download_blob("syncs/customers.yaml").readall())
    assert saved["source"]["path"] == "abfs://definitions/syncs/data/my_rows.csv"
    assert storage.definitions.download_blob("syncs/data/my_rows.csv").readall().decode() == ROWS
    assert storage.uploads() == []
    assert storage.app.run("customers").state is RunState.SUCCEEDED
    assert storage.world.accounts() == {"customers-1": "One", "customers-2": "Two"}
    assert wrong == []


def test_mended_rows_go_straight_to_storage(context: BrowserContext, storage: InStorage, tmp_path: Path) -> None:
    """The job has them; nothing stays where the browser has put them."""
    storage.define("customers", more=f"{PERMISSIONS}")
    storage.world.write("customers", [("customers-1", "One"), ("", "Two")])
    storage.allow_pages()
    run = storage.app.run("customers")
    page = context.new_page()
    sent = watched(page)
    page.goto(f"/runs/{run.run_id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file to mend").click()
    mended = tmp_path / "mended.csv"
    text = download.value.path().read_text("utf-8-sig")
    mended.write_text(text.replace('"","Two"', '"customers-2","Two"'))
    page.get_by_label("Send the mended file").set_input_files(mended)
    page.get_by_role("button", name="Retry these rows").click()
    page.wait_for_url("**/jobs/*")
    Worker(storage.app, LocalQueue()).work(storage.asked[0])
    expect(page.get_by_role("heading", name="customers Succeeded")).to_be_visible()
    assert [request.method for request in sent] == ["POST", "PUT", "POST"]
    assert "customers-2" not in (sent[2].post_data or "")
    assert storage.uploads() == []
    assert storage.world.accounts() == {"customers-1": "One", "customers-2": "Two"}


def test_a_file_that_is_too_large_is_not_sent(
    context: BrowserContext, storage: InStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says so before a byte leaves the browser."""
    storage.define("customers")
    storage.allow_pages()
    monkeypatch.setattr(addresses, "MOST_SOURCE", 10)
    file = tmp_path / "rows.csv"
    file.write_text(ROWS)
    page = context.new_page()
    sent = watched(page)
    page.goto("/syncs/customers/edit/source")
    page.get_by_label("A file of this machine").set_input_files(file)
    page.get_by_role("button", name="Use this file").click()
    expect(page.get_by_text("The file has 44 bytes; at most 10 can be sent here.")).to_be_visible()
    assert [request.method for request in sent] == ["POST"]
    assert storage.uploads() == []


@pytest.mark.parametrize("why", ["no rule", "no script", "expired"])
def test_a_file_goes_through_the_app_where_the_storage_does_not_take_it(
    browser: Browser, storage: InStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Without the rule of the storage account, without JavaScript, and with an address that has ended."""
    storage.define("customers")
    if why == "expired":
        storage.allow_pages()
        monkeypatch.setattr(signing, "LIFETIME", timedelta(seconds=-5))
    file = tmp_path / "rows.csv"
    file.write_text(ROWS)
    context = browser.new_context(base_url=storage.served.url, java_script_enabled=why != "no script")
    page = context.new_page()
    answers: list[tuple[str, int]] = []
    page.on("response", lambda got: answers.append((got.request.method, got.status)))
    page.goto("/syncs/customers/edit/source")
    page.get_by_label("A file of this machine").set_input_files(file)
    page.get_by_role("button", name="Use this file").click()
    expect(page.get_by_text("2 columns were found")).to_be_visible()
    context.close()
    assert (("PUT", 403) in answers) is (why == "expired")
    assert storage.definitions.download_blob("syncs/data/rows.csv").readall().decode() == ROWS


def test_a_new_sync_begins_with_a_file(context: BrowserContext, storage: InStorage, tmp_path: Path) -> None:
    """Before it has a name that is saved."""
    storage.define("customers")
    storage.allow_pages()
    file = tmp_path / "rows.csv"
    file.write_text(ROWS)
    page = context.new_page()
    page.goto("/new")
    page.get_by_label("Name", exact=True).fill("fresh")
    page.get_by_label("Or a file of this machine").set_input_files(file)
    page.get_by_role("button", name="Fill it in by hand").click()
    expect(page.get_by_role("heading", name="New sync fresh")).to_be_visible()
    page.get_by_role("button", name="YAML").click()
    expect(page.get_by_label("fresh.yaml")).to_have_value(re.compile("abfs://definitions/syncs/data/rows.csv"))


def test_pages_reach_the_container_for_uploads_and_no_other_place(context: BrowserContext, storage: InStorage) -> None:
    """The policy names it; the browser refuses another container of the same account."""
    storage.define("customers")
    policy = requests.get(storage.served.url, timeout=30).headers["content-security-policy"]
    endpoint = f"{storage.account.url.rstrip('/')}/{CONTAINER}/"
    assert re.findall("connect-src ([^;]*);", policy) == [f"'self' {endpoint}"]
    page = context.new_page()
    page.goto("/")
    refused = "url => fetch(url).then(() => 'reached', () => 'refused')"
    page.evaluate("document.addEventListener('securitypolicyviolation', e => { window.refused = e.blockedURI; })")
    other = storage.account.url.rstrip("/") + "/definitions/x"
    assert page.evaluate(refused, other) == "refused"
    assert page.evaluate("window.refused") == other


def test_only_what_was_signed_for_a_person_and_a_use_is_taken(storage_of_many: InStorage, tmp_path: Path) -> None:
    """Over the API: rights, a name that nobody has signed, another person, another run, a file of another size."""
    storage = storage_of_many
    storage.define("customers")
    storage.world.write("customers", [("customers-1", "One"), ("", "Two")])
    runs = [storage.app.run("customers").run_id for _ in range(2)]
    data = b"number,name,to_mend_row\r\ncustomers-2,Two,2\r\n"

    def post(role: str, path: str, body: Any = None, **claims: str) -> requests.Response:
        session = storage.served.as_person(role, claims=claims)
        session.headers["content-type"] = "application/json"
        return session.post(f"{storage.served.url}/api/{path}", json=body, timeout=30)

    def sent(run: str, content: bytes = data) -> str:
        given = post("Runners", f"runs/{run}/uploads", {"name": "rows.csv", "size": len(data)})
        assert given.status_code == 201
        address = given.json()
        done = requests.put(address["url"], data=content, headers=address["headers"], timeout=30)
        assert done.status_code == 201
        return str(address["upload"])

    def retried(run: str, upload: str, **claims: str) -> tuple[int, str]:
        answer = post("Runners", f"runs/{run}/retry?upload={upload}", **claims)
        return answer.status_code, answer.json().get("detail", "")

    about = {"name": "rows.csv", "size": len(data)}
    assert [post(role, f"runs/{runs[0]}/uploads", about).status_code for role in ("Writers", "Nobody")] == [403, 404]
    assert post("Readers", "syncs/customers/uploads", about).status_code == 403
    assert post("Owners", "uploads", about).status_code == 403
    assert post("Runners", f"runs/{runs[0]}/uploads", {"name": "x", "size": 50_000_001}).status_code == 413
    assert post("Runners", f"runs/{runs[0]}/uploads", {"name": "x", "size": 0}).status_code == 422
    upload = sent(runs[0])
    for refused in (
        retried(runs[0], "0" * 32),
        retried(runs[0], "../signed"),
        retried(runs[1], upload),
        retried(runs[0], upload, oid="00000000-0000-0000-0000-00000000000b"),
    ):
        assert (refused[0], "not announced" in refused[1]) == (422, True)
    larger = retried(runs[0], sent(runs[0], data * 2))
    assert (larger[0], f"bytes, and {len(data)} were announced" in larger[1]) == (422, True)
    assert retried(runs[0], upload)[0] == 202
    assert "used already" in retried(runs[0], upload)[1]
    assert storage.uploads() == []


def as_parameter(storage: InStorage) -> None:
    """Make the path of the source of a sync a parameter."""
    storage.define("customers", more=f"parameters: {{rows: {{description: The file}}}}\n{PERMISSIONS}")
    client = storage.definitions.get_blob_client("syncs/customers.yaml")
    text = client.download_blob().readall().decode()
    path = f"path: {storage.world.folder / 'customers.csv'}"
    assert path in text
    client.upload_blob(text.replace(path, 'path: "@rows"').encode(), overwrite=True)


def test_a_job_gets_its_file_straight_from_the_browser(
    context: BrowserContext, storage: InStorage, tmp_path: Path
) -> None:
    """The plan reads it from storage."""
    as_parameter(storage)
    storage.allow_pages()
    file = tmp_path / "rows.csv"
    file.write_text(ROWS)
    page = context.new_page()
    sent = watched(page)
    page.goto("/syncs/customers/start")
    page.get_by_label("rows: or a file of this machine").set_input_files(file)
    page.get_by_role("button", name="Plan").click()
    page.wait_for_url("**/jobs/*")
    assert [request.method for request in sent] == ["POST", "PUT", "POST"]
    Worker(storage.app, LocalQueue()).work(storage.asked[0])
    expect(page.get_by_role("heading", name="Plan")).to_be_visible()
    job = storage.app.state.job(storage.asked[0])
    assert job is not None
    assert job.request.parameters == {"rows": "abfs://definitions/syncs/data/rows.csv"}
    plan = requests.get(f"{storage.served.url}/api/plans/{job.id}", timeout=30).json()["plan"]
    assert plan["planned"]["created"] == 2


def test_a_program_starts_a_job_with_a_file(storage_of_many: InStorage) -> None:
    """Whoever may run the sync may send one; a sync whose path is no parameter takes none."""
    storage = storage_of_many
    as_parameter(storage)
    session, url = storage.served.as_person("Runners"), f"{storage.served.url}/api/syncs/customers"

    def started() -> requests.Response:
        address = session.post(f"{url}/uploads", json={"name": "rows.csv", "size": len(ROWS)}, timeout=30).json()
        requests.put(address["url"], data=ROWS.encode(), headers=address["headers"], timeout=30)
        return session.post(f"{url}/jobs", json={"kind": "run", "upload": address["upload"]}, timeout=30)

    assert started().status_code == 202
    Worker(storage.app, LocalQueue()).work(storage.asked[0])
    assert storage.world.accounts() == {"customers-1": "One", "customers-2": "Two"}
    storage.define("customers")
    refused = started()
    assert (refused.status_code, "takes no file" in refused.json()["detail"]) == (422, True)


def test_a_program_gives_a_file_to_a_source(storage_of_many: InStorage) -> None:
    """It asks for an address, sends the file, and gets the path for the definition; the audit log has the name."""
    storage = storage_of_many
    storage.define("customers")
    session, url = storage.served.as_person("Writers"), f"{storage.served.url}/api/syncs/customers"
    address = session.post(f"{url}/uploads", json={"name": "in/my rows.csv", "size": len(ROWS)}, timeout=30).json()
    body = {"upload": address["upload"]}
    early = session.post(f"{url}/files", json=body, timeout=30)
    assert (early.status_code, "has not come" in early.json()["detail"]) == (422, True)
    requests.put(address["url"], data=ROWS.encode(), headers=address["headers"], timeout=30)
    kept = session.post(f"{url}/files", json=body, timeout=30)
    assert (kept.status_code, kept.json()) == (201, {"path": "abfs://definitions/syncs/data/my_rows.csv"})
    assert storage.definitions.download_blob("syncs/data/my_rows.csv").readall().decode() == ROWS
    (entry,) = storage.app.state.audit("customers")
    assert entry.action == "gave the file my_rows.csv"


def test_without_storage_files_go_through_the_app(served: Served, world: World) -> None:
    """There are no addresses, no page asks for one, and the policy names no other place."""
    world.define("customers")
    answer = requests.post(f"{served.url}/api/syncs/customers/uploads", json={"name": "x", "size": 1}, timeout=30)
    assert answer.status_code == 404
    kept = requests.post(f"{served.url}/api/syncs/customers/files", json={"upload": "0" * 32}, timeout=30)
    assert kept.status_code == 404
    page = requests.get(f"{served.url}/syncs/customers/edit/source", timeout=30)
    assert "data-address" not in page.text
    assert "connect-src 'self';" in page.headers["content-security-policy"]
