"""Random operations on the emulator and on a dictionary: both have the same rows at the end."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client

KEYS = st.sampled_from(["a", "A ", "b", "ä", "c", "d"])
NAMES = st.sampled_from(["one", "two", "", "x" * 161])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), KEYS, NAMES),
        st.tuples(st.just("create"), KEYS, NAMES),
        st.tuples(st.just("update"), KEYS, NAMES),
        st.tuples(st.just("delete"), KEYS, st.just("")),
        st.tuples(st.just("bulk"), st.lists(st.tuples(KEYS, NAMES), min_size=1, max_size=4), st.just("")),
        st.tuples(st.just("sync"), st.just(""), st.just("")),
    ),
    max_size=14,
)
SLOW = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True, limits="none") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def client(emulator: RunningEmulator) -> Iterator[Client]:
    with Client(emulator) as client:
        yield client


class Model:
    """The expected content of the table: folded key -> name, and whether a step should succeed."""

    def __init__(self) -> None:
        self.rows: dict[str, str | None] = {}

    def apply(self, step: tuple[str, Any, str]) -> bool:
        kind, key, name = step
        if kind == "bulk":
            return self._bulk(key)
        folded = _folded(key)
        if kind == "delete":
            return self.rows.pop(folded, self) is not self
        known = folded in self.rows
        allowed = {"upsert": True, "create": not known, "update": known}[kind]
        if not allowed or len(name) > 160:
            return False
        self.rows[folded] = name or None
        return True

    def _bulk(self, items: list[tuple[str, str]]) -> bool:
        keys = [_folded(key) for key, _ in items]
        if len(set(keys)) < len(keys) or any(len(name) > 160 for _, name in items):
            return False
        self.rows |= {_folded(key): name or None for key, name in items}
        return True


def _folded(key: str) -> str:
    return {"ä": "a"}.get(key.strip().lower(), key.strip().lower())


class Mirror:
    """A copy that only change tracking updates."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.link: str | None = None
        self.rows: dict[str, tuple[str, str | None]] = {}

    def sync(self) -> None:
        path: str | None = self.link or "accounts?$select=name,accountnumber"
        while path is not None:
            page = self.client.send("GET", path, Prefer="odata.track-changes,odata.maxpagesize=3").json()
            for row in page["value"]:
                if row.get("reason") == "deleted":
                    self.rows.pop(row["id"], None)
                else:
                    self.rows[row["accountid"]] = (_folded(row["accountnumber"]), row.get("name"))
            self.link = _path(page.get("@odata.deltaLink")) or self.link
            path = _path(page.get("@odata.nextLink"))


def _path(link: str | None) -> str | None:
    return link.partition("/api/data/v9.2/")[2] if link else None


def _send(client: Client, step: tuple[str, Any, str]) -> bool:
    kind, key, name = step
    path = f"accounts(accountnumber='{key}')"
    match kind:
        case "create":
            return client.send("POST", "accounts", {"accountnumber": key, "name": name}).ok
        case "update":
            return client.send("PATCH", path, {"name": name}, If_Match="*").ok
        case "upsert":
            return client.send("PATCH", path, {"name": name}).ok
        case "delete":
            return client.send("DELETE", path).ok
        case _:
            return client.upsert([{"accountnumber": one, "name": other} for one, other in key]).ok


@SLOW
@given(steps=STEPS)
def test_random_work_gives_the_rows_of_the_model_and_change_tracking_follows(
    steps: list[tuple[str, Any, str]], client: Client, emulator: RunningEmulator
) -> None:
    """Each step has the result of the model; a refused step changes nothing; a mirror by delta links is equal."""
    emulator.reset()
    model, mirror = Model(), Mirror(client)
    for step in steps:
        if step[0] == "sync":
            mirror.sync()
        else:
            assert _send(client, step) == model.apply(step), step
    rows = client.send("GET", "accounts?$select=name,accountnumber,versionnumber").json()["value"]
    assert {_folded(row["accountnumber"]): row["name"] for row in rows} == model.rows
    assert len({row["versionnumber"] for row in rows}) == len(rows)
    mirror.sync()
    assert sorted(mirror.rows.values(), key=str) == sorted(model.rows.items(), key=str)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("order", ["", "&$orderby=numberofemployees desc,name", "&$orderby=name"])
def test_pages_of_any_size_have_every_row_once(
    client: Client, emulator: RunningEmulator, size: int, order: str
) -> None:
    """In the requested order, for every page size."""
    emulator.reset()
    client.upsert([{"accountnumber": str(n), "name": f"n{n % 5}", "numberofemployees": n % 3} for n in range(20)])
    whole = client.send("GET", f"accounts?$select=accountnumber,name,numberofemployees{order}").json()["value"]
    path: str | None = f"accounts?$select=accountnumber,name,numberofemployees{order}"
    pages = []
    while path is not None:
        page = client.send("GET", path, Prefer=f"odata.maxpagesize={size}").json()
        pages.append(page["value"])
        path = _path(page.get("@odata.nextLink"))
    assert all(len(page) == size for page in pages[:-1])
    assert list(itertools.chain.from_iterable(pages)) == whole


def test_bulk_messages_write_the_same_values_as_single_requests(client: Client, emulator: RunningEmulator) -> None:
    """Both have the same checks and the same stored values."""
    emulator.reset()
    body = {
        "name": "  Ä ",
        "revenue": 10.005,
        "new_segments": "3,1",
        "new_expiredon": "2024-02-03T10:00:00+05:30",
        "new_dueon": "2024-02-29",
        "creditonhold": True,
        "industrycode": 3,
        "fax": "",
    }
    assert client.send("PATCH", "accounts(accountnumber='single')", body).status_code == 204
    assert client.upsert([{"accountnumber": "bulk", **body}]).status_code == 204
    inactive = {"statecode": 1}  # which a new row cannot be
    assert client.send("PATCH", "accounts(accountnumber='single')", inactive).status_code == 204
    assert client.upsert([{"accountnumber": "bulk", **inactive}]).status_code == 204
    columns = "name,revenue,revenue_base,new_segments,new_expiredon,new_dueon,creditonhold,industrycode,statecode,statuscode,fax,_ownerid_value,donotphone"
    single, bulk = client.send("GET", f"accounts?$select={columns}&$orderby=accountnumber desc").json()["value"]
    for row in (single, bulk):
        del row["@odata.etag"], row["accountid"]
    assert single == bulk
    assert (bulk["new_expiredon"], bulk["statuscode"], bulk["fax"]) == ("2024-02-03T04:30:00Z", 2, None)
