"""What the ledger of a sync says after an undo, and after the undo of an undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from shared.app.undoing import undo
from shared.cli.boundary import run as type_in
from shared.errors import RetryLater
from shared.jobs import NoProgress, RunOptions, RunSummary
from shared.memory import parquet_of
from tests.acceptance.test_undo import Meanwhile
from tests.acceptance.world import World, accounts, world

ROWS = [{"number": f"A{n}", "name": f"Name {n}", "city": "Ulm", "revenue": "1.5"} for n in range(1, 5)]
KEPT = ROWS[:3]
LIMITLESS = {"max_delete": "100%", "max_update": "100%"}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("undo_ledger"), in_thread=True) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.forget()
    return shared_world


def define(here: World, *, guarded: bool = False, **behaviour: Any) -> None:
    """A sync of accounts; the name is written unless it was edited where it is `guarded`."""
    definition = accounts(sync_behaviour={"safety": LIMITLESS, **behaviour})
    if guarded:
        definition["destination"]["mappings"][1]["write"] = "unless_edited"
    here.define(definition)


def ran(here: World, rows: list[dict[str, Any]]) -> RunSummary:
    here.csv(rows)
    return here.run()


def undone(here: World, run_id: str, *, force: bool = False) -> RunSummary:
    run = here.app.state.run(run_id)
    assert run is not None
    done = undo(here.app, run, RunOptions(trigger="undo", force=force), NoProgress())
    here.app.state.resume(run.sync)
    return done


def undone_times(here: World, run_id: str, times: int) -> RunSummary:
    """Undo a run, then the undo, and so on."""
    for _ in range(times):
        done = undone(here, run_id)
        assert (done.state, done.updated.done + done.created.done + done.deleted.done) == ("Succeeded", 1)
        run_id = done.run_id
    return done


def fourth(here: World) -> dict[str, Any]:
    """The record A4; empty where there is none."""
    columns = "accountid,name,statecode,lastusedincampaign,description"
    return next(iter(here.records(f"accounts?$select={columns}&$filter=accountnumber eq 'A4'")), {})


RULES: dict[str, tuple[dict[str, Any], str, Any]] = {
    "deactivate": ({"dropped": "deactivate", "returned": "reactivate", "dropped_scope": "own"}, "statecode", 0),
    "expire": ({"dropped": {"expire": "lastusedincampaign"}, "returned": "reactivate"}, "lastusedincampaign", None),
    "set": (
        {"dropped": {"set": {"description": "'gone'"}}, "returned": {"set": {"description": "null"}}},
        "description",
        None,
    ),
}


@pytest.mark.parametrize("times", [1, 2])
def test_an_undo_forgets_no_value_of_other_columns(here: World, times: int) -> None:
    """The run changed one column of two that are written unless they were edited."""
    definition = accounts(sync_behaviour={"safety": LIMITLESS})
    for mapping in definition["destination"]["mappings"][1:3]:
        mapping["write"] = "unless_edited"
    here.define(definition)
    ran(here, ROWS)
    changed = {**ROWS[3], "name": "Changed"}
    undone_times(here, ran(here, [*KEPT, changed]).run_id, times)
    done = ran(here, [*KEPT, {**changed, "name": "Newest", "city": "Bern"}])
    assert (done.updated.done, done.edited) == (1, 0)
    (record,) = here.records("accounts?$select=name,address1_city&$filter=accountnumber eq 'A4'")
    assert (record["name"], record["address1_city"]) == ("Newest", "Bern")


def test_an_undo_of_a_state_notes_its_status_too(here: World) -> None:
    """The status that it sets back with a state that alone is mapped is no edit."""
    definition = accounts(sync_behaviour={"safety": LIMITLESS})
    definition["destination"]["mappings"][2] |= {"target": "statecode", "write": "unless_edited"}
    here.define(definition)
    opened, closed = ([{**row, "city": state} for row in ROWS] for state in ("Active", "Inactive"))
    ran(here, opened)
    assert ran(here, closed).updated.done == len(ROWS)
    undone(here, ran(here, opened).run_id)
    done = ran(here, opened)
    assert (done.updated.done, done.edited) == (len(ROWS), 0)


LOST = {"action": "drop_after", "match": {"method": "POST", "path": "$batch"}, "times": 1}


@pytest.mark.parametrize("lost", ["run", "undo", "undo of the undo"])
def test_a_lost_answer_hides_no_write_from_an_undo(here: World, lost: str) -> None:
    """The repeated request is refused, because the first one has changed the version: that is no edit of others."""
    define(here, guarded=True)
    ran(here, ROWS)
    done, changed = None, [{**row, "name": f"New {row['number']}"} for row in ROWS]
    for step, wanted in (("run", "New A4"), ("undo", "Name 4"), ("undo of the undo", "New A4")):
        if step == lost:
            here.emulator.faults([LOST])
        done = undone(here, done.run_id) if done else ran(here, changed)
        here.emulator.clear_faults()
        assert (done.state, done.updated.done, done.edited) == ("Succeeded", len(ROWS), 0)
        assert fourth(here)["name"] == wanted


def test_an_undo_compares_a_write_that_may_have_been_made(here: World) -> None:
    """The answer was lost, and the record has other values: nobody knows whether the run wrote its own before them."""
    define(here, guarded=True)
    ran(here, ROWS)
    here.emulator.faults([LOST])
    here.csv([{**row, "name": f"New {row['number']}"} for row in ROWS])
    edit = Meanwhile(lambda: here.update("accounts(accountnumber='A4')", {"name": "Of a person"}))
    done = here.run(progress=edit)
    here.emulator.clear_faults()
    assert (done.state, done.updated.done, done.edited) == ("Succeeded", 3, 1)
    again = undone(here, done.run_id)
    assert (again.updated.done, again.edited, fourth(here)["name"]) == (3, 1, "Of a person")


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("times", [2, 4])
def test_a_mark_that_was_given_again_is_one_of_the_sync(here: World, kind: str, times: int) -> None:
    """Its undo was undone: when the row comes back, the record is reactivated."""
    rules, column, without = RULES[kind]
    define(here, **rules)
    ran(here, ROWS)
    run = ran(here, KEPT).run_id
    undone_times(here, run, times)
    assert fourth(here)[column] != without
    assert ran(here, ROWS).reactivated.done == 1
    assert fourth(here)[column] == without


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("times", [2, 3])
def test_the_undo_of_a_reactivation_can_be_undone(here: World, kind: str, times: int) -> None:
    """After two undos the mark is gone, and whoever marks the record then is somebody else; after three it is back."""
    rules, column, without = RULES[kind]
    define(here, **rules)
    ran(here, ROWS)
    ran(here, KEPT)
    marked = fourth(here)[column]
    undone_times(here, ran(here, ROWS).run_id, times)
    is_marked = times % 2 == 1
    assert fourth(here)[column] == (marked if is_marked else without)
    if not is_marked:
        here.update("accounts(accountnumber='A4')", {column: marked})
    assert ran(here, ROWS).reactivated.done == int(is_marked)


@pytest.mark.parametrize("undone_run", ["delete", "reactivation"])
def test_an_undo_keeps_in_which_way_the_sync_marked_the_record(here: World, undone_run: str) -> None:
    """The definition marks in another way afterwards: what is there in its columns is not the mark of the sync."""
    rules, column, _ = RULES["expire"]
    define(here, **rules)
    ran(here, ROWS)
    ran(here, KEPT)
    if undone_run == "delete":
        define(here, guarded=True, dropped="delete")
        run = ran(here, KEPT)
        assert run.deleted.done == 1
    else:
        run = ran(here, ROWS)
        assert run.reactivated.done == 1
    undone(here, run.run_id)
    assert fourth(here)[column]
    here.update("accounts(accountnumber='A4')", {"statecode": 1})
    define(here, dropped="deactivate", returned="reactivate")
    assert (ran(here, ROWS).reactivated.done, fourth(here)["statecode"]) == (0, 1)
    define(here, **rules)
    assert (ran(here, ROWS).reactivated.done, fourth(here)[column]) == (1, None)


@pytest.mark.parametrize("times", [1, 3])
def test_a_record_that_is_created_again_is_one_of_the_sync(here: World, times: int) -> None:
    """`dropped_scope: own`: the next run deletes it again, because its row is still missing."""
    define(here, dropped="delete", dropped_scope="own")
    ran(here, ROWS)
    undone_times(here, ran(here, KEPT).run_id, times)
    assert fourth(here)["name"] == "Name 4"
    assert ran(here, KEPT).deleted.done == 1
    assert fourth(here) == {}


def test_a_record_of_others_that_is_created_again_is_none_of_the_sync(here: World) -> None:
    """It was deleted when all records were dropped that the source lacks."""
    here.create("accounts", {"accountnumber": "A4", "name": "Theirs"})
    define(here, guarded=True, dropped="delete")
    run = ran(here, KEPT)
    assert run.deleted.done == 1
    undone(here, run.run_id)
    define(here, guarded=True, dropped="delete", dropped_scope="own")
    assert ran(here, KEPT).deleted.planned == 0
    assert fourth(here)["name"] == "Theirs"


@pytest.mark.parametrize("way", ["undo of a delete", "undo of the undo of a create"])
@pytest.mark.parametrize("name", ["Name 4", "Edited"])
def test_values_of_a_record_that_is_created_again_are_those_of_the_sync(here: World, way: str, name: str) -> None:
    """A value with `unless_edited` that the sync wrote is written again when the source changes; an edit stays."""
    define(here, guarded=True, dropped="delete")
    ran(here, KEPT)
    run, edited = ran(here, ROWS).run_id, name == "Edited"
    if edited:
        here.update("accounts(accountnumber='A4')", {"name": name})
    if way == "undo of a delete":
        undone(here, ran(here, KEPT).run_id)
    else:
        undone(here, undone(here, run, force=True).run_id)
    assert fourth(here)["name"] == name
    done = ran(here, [*KEPT, {**ROWS[3], "name": "New"}])
    assert [error.error_type for error in done.errors] == (["Edited in target"] if edited else [])
    assert fourth(here)["name"] == ("Edited" if edited else "New")


def test_an_undo_that_died_before_it_noted_the_ledger_is_repeated(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is there already; the repetition notes that it is one of the sync."""
    define(here, dropped="delete", dropped_scope="own")
    ran(here, ROWS)
    run = ran(here, KEPT).run_id
    with monkeypatch.context() as dying:
        dying.setattr("shared.jobs.batch.undo.run.note_in_ledger", lambda *_, **__: None)
        assert undone(here, run).created.done == 1
    assert undone(here, run).created.done == 0
    assert ran(here, KEPT).deleted.done == 1


@pytest.mark.parametrize("again", [False, True])
def test_an_undo_that_died_sets_back_values_of_the_sync(
    here: World, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    """Whether it is repeated or not: nobody has edited the value, so the next run writes that of the source."""
    define(here, guarded=True)
    ran(here, ROWS)
    run = ran(here, [*KEPT, {**ROWS[3], "name": "New"}]).run_id
    with monkeypatch.context() as dying:
        dying.setattr("shared.jobs.batch.undo.run.note_in_ledger", lambda *_, **__: None)
        assert undone(here, run).updated.done == 1
    assert fourth(here)["name"] == "Name 4"
    if again:
        assert undone(here, run).updated.done == 0
    done = ran(here, [*KEPT, {**ROWS[3], "name": "New"}])
    assert (done.errors, fourth(here)["name"]) == ((), "New")
    here.update("accounts(accountnumber='A4')", {"name": "Edited"})
    assert [error.error_type for error in ran(here, ROWS).errors] == ["Edited in target"]


@pytest.mark.parametrize("kind", RULES)
def test_a_mark_that_an_undo_which_died_has_given_is_one_of_the_sync(
    here: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The record is reactivated when its row comes back."""
    rule, column, active = RULES[kind]
    define(here, **rule)
    ran(here, ROWS)
    taken_back = undone(here, ran(here, KEPT).run_id)
    with monkeypatch.context() as dying:
        dying.setattr("shared.jobs.batch.undo.run.note_in_ledger", lambda *_, **__: None)
        assert undone(here, taken_back.run_id).updated.done == 1
    assert fourth(here)[column] != active
    ran(here, ROWS)
    assert fourth(here)[column] == active


def test_a_refused_value_of_an_undo_is_pending_no_more(here: World) -> None:
    """An edit to the very value that the undo wanted to set back stays one."""
    define(here, guarded=True)
    ran(here, ROWS)
    run = ran(here, [*KEPT, {**ROWS[3], "name": "New"}]).run_id
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "name eq 'Name 4'"}})
    undo = undone(here, run)
    assert (undo.failed, undo.rows_in_error) == (1, 1)
    here.emulator.clear_faults()
    here.update("accounts(accountnumber='A4')", {"name": "Name 4"})
    done = ran(here, [*KEPT, {**ROWS[3], "name": "Newer"}])
    assert [error.error_type for error in done.errors] == ["Edited in target"]


def test_what_a_journal_has_of_the_ledger_is_erased(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the other values of the record."""
    define(here, guarded=True, dropped="delete")
    ran(here, [*KEPT, {**ROWS[3], "name": "Secret"}])
    run = ran(here, KEPT).run_id
    assert ["Secret" in written for written in remembered(here, run)] == [True]
    for name, value in here.environment.items():
        monkeypatch.setenv(name, value)
    assert type_in(["erase", "A4", "--yes"], open_app=lambda: here.app) == 0
    assert remembered(here, run) == []


def secrets(here: World) -> list[str]:
    """Where the value `Secret` is kept of the sync and its runs."""
    state, found = here.app.state, []
    head = state.ledger("accounts")
    parts = [state.ledger_part("accounts", name) for name in (head.parts if head else ())]
    found += ["ledger" for part in parts if part is not None and has_secret(here, part)]
    for run in state.runs():
        for name in state.journal_parts(run.run_id):
            part = state.journal_part(run.run_id, name) or b""
            if name.endswith(".parquet") and has_secret(here, part):
                found.append(name)
    return found


def has_secret(here: World, part: bytes) -> bool:
    file = here.folder / "part.parquet"
    file.write_bytes(part)
    rows = duckdb.execute(f"SELECT count(*) FROM '{file}' AS row WHERE CAST(row AS VARCHAR) LIKE '%Secret%'").fetchall()
    return bool(rows[0][0])


@pytest.fixture
def with_a_secret(here: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A record whose name is secret: in the ledger, in the parts of journals with keys and in those without."""
    for name, value in here.environment.items():
        monkeypatch.setenv(name, value)
    define(here, guarded=True, dropped="delete")
    rows = [*KEPT, {**ROWS[3], "name": "Secret"}]
    ran(here, rows)
    ran(here, KEPT)
    ran(here, rows)
    assert {each.partition("-")[0] for each in secrets(here)} == {"ledger", "planned", "deleted", "remembered"}
    return here


def test_a_running_sync_refuses_an_erasure_before_anything_is_removed(with_a_secret: World) -> None:
    """The journals alone know the id by which the ledger is searched: the second call still finds it."""
    here, command = with_a_secret, ["erase", "A4", "--yes"]
    before, state = secrets(here), with_a_secret.app.state
    lease = state.acquire_lease("sync/accounts", holder="run", seconds=60)
    assert lease is not None
    assert type_in(command, open_app=lambda: here.app) == 1
    assert secrets(here) == before
    state.release_lease(lease)
    assert type_in(command, open_app=lambda: here.app) == 0
    assert secrets(here) == []


@pytest.mark.parametrize("writes", range(6))
def test_a_second_erasure_removes_what_one_that_was_interrupted_has_left(
    with_a_secret: World, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Wherever the store became unavailable: after so many writes."""
    here = with_a_secret
    with monkeypatch.context() as failing:
        fails = failing_after(parquet_of, [0], writes)
        for module in ("erasing_journals", "erasing_memory"):
            failing.setattr(f"shared.jobs.batch.undo.{module}.parquet_of", fails)
        assert type_in(["erase", "A4", "--yes"], open_app=lambda: here.app) != 0
        assert secrets(here)
    assert type_in(["erase", "A4", "--yes"], open_app=lambda: here.app) == 0
    assert secrets(here) == []


def failing_after(write: Callable[..., Any], done: list[int], writes: int) -> Callable[..., Any]:
    def tried(*arguments: Any, **named: Any) -> Any:
        if done[0] == writes:
            raise RetryLater("the store is unavailable", retry_after=1)
        done[0] += 1
        return write(*arguments, **named)

    return tried


def remembered(here: World, run_id: str) -> list[str]:
    """The written values of the ledger in the journal of a run."""
    found: list[str] = []
    for name in here.app.state.journal_parts(run_id):
        if name.startswith("remembered"):
            file = here.folder / "part.parquet"
            file.write_bytes(here.app.state.journal_part(run_id, name) or b"")
            found += [written for (written,) in duckdb.execute(f"SELECT written FROM '{file}'").fetchall()]
    return found


def test_what_is_kept_of_a_sync_without_definition_is_erased(with_a_secret: World) -> None:
    """Its name is taken; a name of which nothing is kept is refused."""
    here = with_a_secret
    (here.folder / "syncs" / "accounts.yaml").unlink()
    assert type_in(["erase", "A4", "--sync", "account", "--yes"], open_app=lambda: here.app) == 1
    assert secrets(here)
    assert type_in(["erase", "A4", "--sync", "accounts", "--yes"], open_app=lambda: here.app) == 0
    assert secrets(here) == []


def test_a_ledger_of_a_deleted_sync_is_searched_with_all_others(with_a_secret: World) -> None:
    """Without a name of a sync."""
    here = with_a_secret
    (here.folder / "syncs" / "accounts.yaml").unlink()
    assert type_in(["erase", "A4", "--yes"], open_app=lambda: here.app) == 0
    assert secrets(here) == []


@pytest.mark.parametrize("damage", ["half of a part", "a part that does not count"])
def test_parts_of_a_ledger_that_cannot_be_seen_are_erased(with_a_secret: World, damage: str) -> None:
    """A damaged part, of which it is not known what it has, and one that a run has left which died."""
    here, state = with_a_secret, with_a_secret.app.state
    head = state.ledger("accounts")
    assert head is not None
    name, part = head.parts[-1], state.ledger_part("accounts", head.parts[-1]) or b""
    if damage == "half of a part":
        state.put_ledger_part("accounts", name, part[: len(part) // 2])
    else:
        name = "0-left.parquet"
        state.put_ledger_part("accounts", name, part)
    before = state.ledger_parts("accounts")
    assert type_in(["erase", "A4"], open_app=lambda: here.app) == 0
    assert state.ledger_parts("accounts") == before
    assert type_in(["erase", "A4", "--yes"], open_app=lambda: here.app) == 0
    assert name not in state.ledger_parts("accounts")
    assert secrets(here) == []
    is_lost = "its files are missing or damaged" in ran(here, KEPT).message
    assert is_lost == (damage == "half of a part")
    assert "ledger" not in ran(here, KEPT).message


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("key", ["X1", "x1"])
def test_records_of_others_that_only_the_undone_run_has_matched_are_not_own(here: World, key: str, times: int) -> None:
    """Equal, changed and adopted ones; the first are in no change. What was the sync's own before stays so."""
    define(here, dropped="delete", dropped_scope="own", key_match="exact")
    here.create("accounts", {"accountnumber": key, "name": "Theirs"})
    here.create("accounts", {"accountnumber": "X2", "name": "Equal"})
    ran(here, KEPT)
    added = [{"number": f"X{n}", "name": name, "city": "", "revenue": ""} for n, name in ((1, "Wrong"), (2, "Equal"))]
    run = ran(here, [*KEPT[:2], *added, {**KEPT[2], "city": "Bern"}])
    for _ in range(times):
        run = undone(here, run.run_id)
        assert (run.state, run.updated.done) == ("Succeeded", 2)
    done = ran(here, KEPT[:2])
    assert (done.deleted.done, done.failed) == (1, 0)
    assert {each["accountnumber"].upper() for each in here.records("accounts")} == {"A1", "A2", "X1", "X2"}


def test_a_record_that_a_later_run_matches_is_own_again(here: World) -> None:
    """Its row is in the source after the undo."""
    define(here, dropped="delete", dropped_scope="own")
    here.create("accounts", {"accountnumber": "A4", "name": "Theirs"})
    undone(here, ran(here, ROWS).run_id)
    ran(here, ROWS)
    assert (ran(here, KEPT).deleted.done, fourth(here)) == (1, {})


def test_the_undo_of_some_records_leaves_the_others_own(here: World) -> None:
    """With a condition, only what it lets through is taken back."""
    define(here, dropped="delete", dropped_scope="own")
    for number in ("A3", "A4"):
        here.create("accounts", {"accountnumber": number, "name": "Theirs"})
    run = here.app.state.run(ran(here, ROWS).run_id)
    assert run is not None
    undo(here.app, run, RunOptions(trigger="undo"), NoProgress(), where="accountnumber = 'A4'")
    here.app.state.resume(run.sync)
    assert ran(here, ROWS[:2]).deleted.done == 1
    assert fourth(here)["name"] == "Theirs"
