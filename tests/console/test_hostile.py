"""What others may write, send or ask for in order to harm: over the whole console, by its table of routes."""

from __future__ import annotations

import base64
import gzip
import http.client
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import pytest
import requests
from starlette.responses import Response

from console.application import ROUTES
from console.web.routing import Path
from console.web.visit import Visit
from shared.state import AuditEntry, DeadLetter, JobKind, JobRequest
from tests.console.conftest import LISTENER, Served, World, console_of, serving
from tests.waiting import until_true

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
HTML: Final = "\"'><script>evil</script><img src=x onerror=evil()>"
TERMINAL: Final = "\x1b[31m\x9b2J\u202eevil"
WRITES: Final = [path for path in ROUTES if path.method != "GET"]
FILES: Final = ("../outside.yaml", "..\\outside.yaml", "/outside.yaml", "\x00.yaml", ".hidden.yaml", "a\r\nb: c.yaml")
IN_PATHS: Final = (
    "..", "%2e%2e", "..%2f..%2fstate.db", "..%5c..%5cstate.db", "%2fetc%2fpasswd", "%00", "x%00.csv", "%ff", "%ed%a0%80",
    "%0d%0aset-cookie:%20a=b", "%1b%5b31m", "%3cscript%3eevil%3c%2fscript%3e", "x')%20or%20('1'%20eq%20'1", "x" * 5000,
)  # fmt: skip


TEXT: Final = b'{"text": "name: ours"}'
GZIP: Final = gzip.compress(TEXT)


def _members() -> bytes:
    return b"".join(gzip.compress(bytes([each])) for each in TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a request that was sent as it is."""

    status: int
    headers: Mapping[str, str]
    text: str


def asked(
    served: Served, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answer:
    """Send a request; other clients would mend the path before."""
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=30)
    connection.request(method, target, body=body or None, headers={"origin": served.url} | dict(headers or {}))
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    text = answer.read().decode(errors="replace")
    connection.close()
    return Answer(status=answer.status, headers=found, text=text)


def filled(path: Path, ids: Mapping[str, str]) -> str:
    """A path with a value for each parameter."""
    return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "x"), path.path)


def _done(_visit: Visit) -> Response:
    return Response(status_code=204)


@pytest.fixture
def ids(world: World) -> dict[str, str]:
    """A sync with a run, a plan and a listener."""
    world.define("ours", more=LISTENER)
    run = world.app.run("ours").run_id
    job = JobRequest(id="job1", sync="ours", requested=NOW, kind=JobKind.PLAN)
    world.app.state.request_job(job)
    return {"sync": "ours", "run": run, "job": job.id, "listener": "crm"}


@pytest.fixture
def stubbed(world: World, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A console in which every route answers 204 to what it lets pass."""
    monkeypatch.setattr("console.application.ROUTES", [replace(path, answer=_done) for path in ROUTES])
    with console_of(world.app) as console, serving(console) as made:
        yield made


def test_no_write_is_taken_from_a_page_of_another_site(stubbed: Served, ids: dict[str, str]) -> None:
    """By the origin, or by what the browser says about the site; the same request of an own page passes."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    foreign = [
        *({"origin": origin} | kind for origin in ("https://evil.example", "null") for kind in (form, {})),
        {"sec-fetch-site": "cross-site"} | form,
        {"sec-fetch-site": "same-site"},
    ]
    wrong = []
    for path in WRITES:
        target = filled(path, ids)
        found = [asked(stubbed, path.method, target, headers, b"a=1").status for headers in foreign]
        if (found, asked(stubbed, path.method, target, form, b"a=1").status) != ([403] * len(foreign), 204):
            wrong.append(f"{path.method} {path.path}: {found}")
    assert (wrong, len(WRITES) > 20) == ([], True)


def test_a_form_without_an_origin_is_refused(stubbed: Served, ids: dict[str, str]) -> None:
    """Browsers name the origin of each post; also a plain text and a form with a file can come from another site."""
    kinds = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; charset=utf-8")
    for path in (each for each in WRITES if each.method == "POST"):
        for kind in kinds:
            headers = {"content-type": kind}
            answer = requests.post(stubbed.url + filled(path, ids), data="a=1", headers=headers, timeout=10)
            assert answer.status_code == 403, path.path


def test_every_body_has_a_bound(stubbed: Served, ids: dict[str, str]) -> None:
    """What is said to be larger is not read; what says nothing of its size is read up to the bound."""
    for path in WRITES:
        too_large = {"content-length": str(path.most_bytes + 1)}
        connection = http.client.HTTPConnection(urlsplit(stubbed.url).netloc, timeout=10)
        connection.putrequest(path.method, filled(path, ids))
        for name, value in {"origin": stubbed.url, **too_large}.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == 413, path.path
        connection.close()
    chunks = (b"x" * 100_000 for _ in range(21))
    answer = requests.put(f"{stubbed.url}/api/syncs/ours/definition", data=chunks, timeout=10)
    assert answer.status_code == 413


def test_a_small_body_that_unpacks_to_a_large_one_is_refused(stubbed: Served, ids: dict[str, str]) -> None:
    """With the same bound as a body that is not packed; one of that size is taken."""
    for path in WRITES:
        for more, status in ((0, 204), (1, 413)):
            answer = _packed(stubbed, path, ids, gzip.compress(bytes(path.most_bytes + more), 1))
            assert answer.status == status, path.path
    assert "also counted when the body is unpacked" in answer.text


def _packed(
    served: Served, path: Path, ids: dict[str, str], body: bytes, encoding: str = "gzip", kind: str = "text/csv"
) -> Answer:
    headers = {"content-type": kind, "content-encoding": encoding}
    return asked(served, path.method, filled(path, ids), headers, body)


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "aes128gcm", "*"])
def test_a_body_that_is_packed_in_another_way_is_refused(stubbed: Served, ids: dict[str, str], encoding: str) -> None:
    """Every route says what can be sent instead."""
    for path in WRITES:
        answer = _packed(stubbed, path, ids, b"{}", encoding)
        assert (answer.status, answer.headers["accept-encoding"]) == (415, "gzip"), path.path
        assert "packed once with gzip" in answer.text


@pytest.mark.parametrize(
    "body",
    [b"{}", GZIP[:-1], GZIP + b"{}", GZIP[:-8] + bytes(8), gzip.compress(b"") * 1001],
    ids=["not packed", "cut off", "more behind it", "another checksum", "too many members"],
)
def test_a_damaged_packed_body_is_refused(stubbed: Served, ids: dict[str, str], body: bytes) -> None:
    """It is the fault of the request, whatever is wrong with it."""
    for path in (each for each in WRITES if len(body) <= each.most_bytes):
        answer = _packed(stubbed, path, ids, body)
        assert (answer.status, "or it is damaged or cut off" in answer.text) == (400, True), path.path


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", GZIP), ("X-GZIP", GZIP), ("identity", TEXT), ("", TEXT), ("gzip", b""), ("gzip", _members())],
    ids=["gzip", "its other name", "none", "empty name", "no body", "several members"],
)
def test_what_is_packed_arrives_unpacked(
    world: World, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch, encoding: str, body: bytes
) -> None:
    """On every route; no body stays none."""
    routes = [replace(path, answer=lambda visit: Response(visit.body.raw)) for path in ROUTES]
    monkeypatch.setattr("console.application.ROUTES", routes)
    with console_of(world.app) as console, serving(console) as served:
        for path in WRITES:
            answer = _packed(served, path, ids, body, encoding)
            assert (answer.status, answer.text) == (200, TEXT.decode() if body else ""), path.path


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x\r\nbroken"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 20_001),
        ("application/x-www-form-urlencoded", b"&".join([b"do=save"] * 20_001)),
    ],
    ids=["no boundary", "many parts", "many fields"],
)
def test_a_form_that_cannot_be_read_is_refused_as_everything_else(
    stubbed: Served, ids: dict[str, str], kind: str, body: bytes
) -> None:
    """With a page for people, and with problem details for programs."""
    for path in WRITES:
        if len(body) <= path.most_bytes:
            answer = asked(stubbed, path.method, filled(path, ids), {"content-type": kind}, body)
            expected = "application/problem+json" if path.path.startswith("/api/") else "text/html; charset=utf-8"
            assert (answer.status, answer.headers["content-type"]) == (400, expected), path.path
            assert "The form that was sent cannot be read." in answer.text


def test_no_path_leads_elsewhere(served: Served, ids: dict[str, str]) -> None:
    """Whatever stands in a parameter of a path: nothing is found, and no header is added."""
    wrong = []
    for path in ROUTES:
        for name in re.findall(r"\{(\w+)\}", path.path):
            for value in IN_PATHS:
                answer = asked(served, path.method, filled(path, ids | {name: value}))
                is_right = 400 <= answer.status < 500 or (name == "tab" and answer.status == 200)
                if not is_right or "set-cookie" in answer.headers or "<script>evil" in answer.text:
                    wrong.append(f"{path.method} {path.path} with {value[:40]}: {answer.status} {answer.text[:100]}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize(
    "target",
    [
        "/syncs/ours/edit/info?version=..%2f..%2f..%2fstate",
        "/syncs/ours/edit?version=%00",
        "/real-time/ours/letter?id=..%2f..%2fstate.db",
        "/real-time/ours/letter?id=%ff%00",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2fstyle.css",
        "//evil.example/",
        "/\\evil.example",
    ],
)
def test_no_query_leads_elsewhere(served: Served, ids: dict[str, str], target: str) -> None:
    """Ids in queries name what the store has, and no file."""
    answer = asked(served, "GET", target)
    assert (answer.status, answer.headers.get("location")) == (404, None)


@pytest.mark.parametrize(
    "target",
    [
        "/jobs?state={}",
        "/jobs?page={}",
        "/audit?sync={}",
        "/audit?until={}",
        "/real-time/ours?limit={}",
        "/syncs/ours/start?p.x={}",
        "/?search={}",
        "/real-time/ours?settled={}",
        "/jobs/job1?joined={}",
    ],
)
def test_queries_are_shown_as_text(served: Served, ids: dict[str, str], target: str) -> None:
    """And bring no header and no server error."""
    for value in (*IN_PATHS, "%22%27%3e%3cscript%3eevil%3c%2fscript%3e", "-1", "1e9", "9" * 400):
        answer = asked(served, "GET", target.format(value))
        assert answer.status < 500
        assert "set-cookie" not in answer.headers
        assert "<script>evil" not in answer.text


def test_a_file_of_a_form_has_no_path(served: Served, ids: dict[str, str], world: World) -> None:
    """The file of a new definition has the name of its sync, whatever name a browser sends."""
    text = (world.folder / "syncs" / "ours.yaml").read_bytes().replace(b"name: ours", b"name: mine")
    form = {"_text": base64.b64encode(text).decode(), "_tab": "yaml", "do": "save:anyway"}
    for name in (*FILES, "mine.yaml"):
        sent = form | {"_file": name}
        answer = requests.post(
            f"{served.url}/new/edit", data=sent, headers={"origin": served.url}, timeout=30, allow_redirects=False
        )
        assert answer.status_code in {200, 303, 400, 422}
    assert not (world.folder / "outside.yaml").exists()
    assert sorted(path.name for path in (world.folder / "syncs").glob("*.yaml")) == ["mine.yaml", "ours.yaml"]


def test_texts_of_others_are_text(served: Served, world: World) -> None:
    """Values of rows, messages, names and files, on every page: no HTML of theirs is HTML."""
    hostile(world, HTML)
    pages = pages_of(served, world)
    shown = [target for target, text in pages.items() if "evil" in text]
    assert [target for target, text in pages.items() if "<script>evil" in text or "<img src=x" in text] == []
    assert len(shown) == len(pages), sorted(set(pages) - set(shown))


def test_texts_of_others_do_not_steer_a_terminal(served: Served, world: World) -> None:
    """In pages and in answers to programs, which people look at with curl."""
    hostile(world, TERMINAL)
    found = pages_of(served, world)
    for target in ("/api/status", "/api/jobs", "/api/audit", "/api/listeners", "/api/syncs/ours/dead-letters"):
        found[target] = asked(served, "GET", target).text
    assert [target for target, text in found.items() if re.search("[\x1b\x9b\u202e]", text)] == []


def hostile(world: World, text: str) -> None:
    """Write a text wherever others can write one."""
    quoted = text.replace('"', '""')
    world.define("ours", more=LISTENER)
    file = world.folder / "syncs" / "ours.yaml"
    escaped = "".join(f"\\u{ord(each):04x}" for each in text)
    comment = "".join(each for each in text if each.isprintable() or each == "\u202e")
    file.write_text(f'description: "{escaped}"\n' + file.read_text() + f"# {comment}\n")
    (world.folder / "syncs" / f"{text.replace('/', '')}.yaml").write_text(f'name: "{escaped}"\n')
    world.write("ours", [("ours-1", f'"{quoted}"'), *[(f'"{quoted}"', "Twice")] * 2])
    state = world.app.state
    letter = DeadLetter(
        id="ours/h/0/7", sync="ours", body=text.encode(), partition="0", sequence=7, error=text, message=text,
        properties={text: text}, system={"hub": text, "key": text}, kept=NOW,
    )  # fmt: skip
    state.add_dead_letters([letter])
    entry = AuditEntry(id="1", at=NOW, by=text, name=text, action=text, sync=text, before=text, after=text)
    state.add_audit(entry)


def pages_of(served: Served, world: World) -> dict[str, str]:
    """Pages that show what others wrote."""
    job = JobRequest(id=uuid.uuid4().hex, sync="ours", requested=NOW, kind=JobKind.PLAN, requested_by="evil")
    served.console.ask(job)
    run = world.app.run("ours").run_id
    until_true(lambda: (found := world.app.state.job(job.id)) is not None and found.ended is not None)
    targets = (
        "/", "/syncs/ours", "/syncs/ours/edit/info", "/syncs/ours/edit/yaml", "/audit", "/real-time/ours",
        "/real-time/ours/letter?id=ours%2Fh%2F0%2F7", f"/plans/{job.id}", f"/runs/{run}", "/jobs?state=plans",
    )  # fmt: skip
    answers = {target: asked(served, "GET", target) for target in targets}
    assert {target: answer.status for target, answer in answers.items() if answer.status != 200} == {}
    return {target: answer.text for target, answer in answers.items()}
