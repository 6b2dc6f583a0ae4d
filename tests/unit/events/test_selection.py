"""A listener's SQL over new and old decides which events are used and what their key is."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions import SyncDefinition
from shared.definitions.models.listener import Topic
from shared.errors import DefinitionError
from shared.events import Event, EventAction, EventPosition, Message, SelectedEvents, Selection, Unusable
from shared.events.selection import listener_problems
from shared.workspace import Workspace

LONG = Decimal("1.23456789012345678")


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace.open(threads=1) as opened:
        yield opened


def event(new: dict[str, Any], old: dict[str, Any] | None = None, action: EventAction = EventAction.UPSERT) -> Event:
    message = Message(body=b"", partition="0", sequence=1)
    return Event(
        message=message, action=action, new=new, old=old or {}, position=EventPosition(partition="0", sequence=1)
    )


def selected(workspace: Workspace, *events: Event, **topic: Any) -> SelectedEvents:
    return Selection(Topic(**topic)).select(events, workspace)


def wanted(workspace: Workspace, *events: Event, **topic: Any) -> list[int]:
    return [index for index, _ in selected(workspace, *events, **topic).wanted]


def test_without_expressions_every_event_is_used(workspace: Workspace) -> None:
    """No query is made and no key is set."""
    found = selected(workspace, event({"n": 1}))
    assert [each.key for _, each in found.wanted] == [""]


def test_a_filter_sees_new_and_old(workspace: Workspace) -> None:
    """Null counts as false; filtered events are counted."""
    found = selected(
        workspace,
        event({"country": "CA"}, {"country": "US"}),
        event({"country": "CA"}, {"country": "CA"}),
        event({}),
        filter="new.country = 'CA' and old.country <> 'CA'",
    )
    assert ([index for index, _ in found.wanted], found.filtered) == ([0], 2)


def test_fields_have_the_type_that_json_gives_them(workspace: Workspace) -> None:
    """Numbers compare as numbers, booleans need no comparison, nested fields and unusual names work."""
    events = (event({"n": 10, "f": Decimal("9.5"), "ok": True, "a b": "x", "in": {"side": {"deep": 3}}}),)
    assert wanted(workspace, *events, filter="new.n > 9 and new.f < 10") == [0]
    assert wanted(workspace, *events, filter="new.ok and new.\"a b\" = 'x'") == [0]
    assert wanted(workspace, *events, filter='new."in".side.deep + 1 = 4') == [0]


@pytest.mark.parametrize(
    ("condition", "passing"),
    [
        ("new.n > 5", []),
        ("new.n IS NULL OR new.n > 5", [0, 1]),
        ("coalesce(new.n, 0) < 5", [0, 1]),
        ("new.n", []),
        ("NOT coalesce(new.n, false)", [0, 1]),
        ("length(new.n) = 1", []),
        ("new.n = 'a'", []),
        ("new.n.deep > 5", []),
        ("new.o.n + 1 > 5 OR new.o.m = 'x'", [1]),
    ],
)
def test_a_field_without_a_value_fits_every_expression(
    workspace: Workspace, condition: str, passing: list[int]
) -> None:
    """A condition that is then not true filters the event; it is no error of the event."""
    found = selected(workspace, event({}), event({"n": None, "o": {"n": None, "m": "x"}}), filter=condition)
    assert ([index for index, _ in found.wanted], found.failed) == (passing, ())


def test_a_name_in_quoted_text_is_no_field(workspace: Workspace) -> None:
    """Text in quotes is only text."""
    assert wanted(workspace, event({"t": "new.x"}), filter="new.t = 'new.x'") == [0]


def test_the_record_of_a_delete_is_also_new(workspace: Workspace) -> None:
    """A filter over new also selects deletes."""
    assert wanted(workspace, event({}, {"country": "CA"}, EventAction.DELETE), filter="new.country = 'CA'") == [0]


def test_the_message_key_is_computed(workspace: Workspace) -> None:
    """As text, from several fields and types."""
    found = selected(workspace, event({"number": 7, "site": "x"}), message_key="concat(new.number, '-', new.site)")
    assert [each.key for _, each in found.wanted] == ["7-x"]


def keys(workspace: Workspace, *values: Any, key: str = "new.n") -> list[str]:
    found = selected(workspace, *(event({"n": value}) for value in values), message_key=key)
    assert (found.filtered, found.failed) == (0, ())
    return [each.key for _, each in found.wanted]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (2**53, 2**53 + 1),
        ("9007199254740992.0", "9007199254740993.0"),
        ("9007199254740992", "9007199254740993"),
        ("12345678901234567.88", "12345678901234567.89"),
        ("1234567890123456.5", "1234567890123456.51"),
        ("0.123456789012345678", "0.123456789012345679"),
        ("-" + "9" * 37 + ".0", "-" + "9" * 36 + "8.0"),
        ("9" * 38, "9" * 37 + "8"),
        ("9" * 50, "9" * 49 + "8"),
    ],
)
def test_two_numbers_are_never_taken_for_one(workspace: Workspace, one: str | int, other: str | int) -> None:
    """Neither in a message key nor in a filter, alone, in an object, or next to each other."""
    numbers = [value if isinstance(value, int) else Decimal(value) for value in (one, other)]
    assert len(set(keys(workspace, *numbers))) == 2
    assert len(set(keys(workspace, *({"id": number} for number in numbers)))) == 2
    first, second = numbers
    changes = [event({"n": first}, {"n": first}), event({"n": first}, {"n": second})]
    assert wanted(workspace, *changes, filter="new.n <> old.n") == [1]


@pytest.mark.parametrize(
    ("condition", "passing"),
    [
        ("new.n = 9007199254740993", [1]),
        ("new.n > 9007199254740992", [1]),
        ("new.n * 2 + 0.5 > 1 AND new.n / 3 > 1", [0, 1, 2]),
        ("new.n = 12345678901234.567", []),
        ("new.n BETWEEN 12345678901234.566 AND 12345678901234.566", [2]),
    ],
)
def test_a_filter_compares_numbers_exactly(workspace: Workspace, condition: str, passing: list[int]) -> None:
    """Those of an event, with each other and with those of the expression."""
    texts = ("9007199254740992.0", "9007199254740993.0", "12345678901234.566")
    assert wanted(workspace, *(event({"n": Decimal(text)}) for text in texts), filter=condition) == passing


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**14), max_value=10**14)
    | st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**20), max_value=10**20)
)
def test_the_key_of_a_number_does_not_depend_on_other_fields(number: Decimal) -> None:
    """Nor on how many zeros end it: the same number is the same key."""
    with Workspace.open(threads=1) as workspace:
        beside = [event({"n": value, "x": x}) for value in (number, Decimal(f"{number:f}0")) for x in (None, LONG)]
        found = selected(workspace, *beside, filter="new.x IS NULL OR new.x > 0", message_key="new.n")
    assert len({each.key for _, each in found.wanted}) == 1


@pytest.mark.parametrize(
    ("value", "key"),
    [("5", "5.0"), ("12.50", "12.5"), ("-0.001", "-0.001"), ("9007199254740993", "9007199254740993.0")],
)
def test_the_key_of_a_number_has_no_more_digits_than_the_number(workspace: Workspace, value: str, key: str) -> None:
    """A number with a point keeps one place."""
    assert keys(workspace, Decimal(value)) == [key]


def test_one_bad_value_affects_no_other_event(workspace: Workspace) -> None:
    """The event whose value does not fit is reported, without its value."""
    events = [event({"amount": text}) for text in ("1", "secret", "3")]
    found = selected(workspace, *events, filter="new.amount::INTEGER > 2")
    assert [index for index, _ in found.wanted] == [2]
    ((index, failure),) = found.failed
    assert index == 1
    assert "secret" not in failure.reason


def test_parameters_are_bound(workspace: Workspace) -> None:
    """An `@name` reads the run's parameter."""
    workspace.bind({"country": "CA"})
    assert wanted(workspace, event({"country": "CA"}), filter="new.country = @country") == [0]


@pytest.mark.parametrize("text", ["(select 1)", "country = 'CA'", "new.a; drop table x", "sum(new.a)"])
def test_expressions_over_other_data_are_refused(text: str) -> None:
    """Subqueries, unknown names and statements are mistakes of the definition."""
    with pytest.raises(DefinitionError, match=r"listener\.topic\.filter"):
        Selection(Topic(filter=text))


def test_a_value_that_cannot_be_used_rejects_only_its_event(workspace: Workspace) -> None:
    """The reason says what is wrong; an event whose expressions do not read the value is not affected."""
    bad = event({"n": Unusable(reason="too long"), "t": "x"})
    found = selected(workspace, event({"n": 10}), bad, filter="new.n > 9")
    assert [index for index, _ in found.wanted] == [0]
    ((index, failure),) = found.failed
    assert (index, failure.reason) == (
        1,
        "the listener's filter or message key uses a value that cannot be used: too long",
    )
    assert wanted(workspace, bad, filter="new.t = 'x'") == [0]


def test_an_expression_can_read_a_whole_object_beside_its_fields(workspace: Workspace) -> None:
    """An object or an array is JSON; a field of it is read out of the same JSON."""
    events = (event({"a": {"b": 1}, "tags": ["x", "y"]}), event({"tags": []}))
    assert wanted(workspace, *events, filter="new.a is not null") == [0]
    assert wanted(workspace, *events, filter="json_array_length(new.tags) = 2") == [0]
    assert wanted(workspace, *events, filter="new.a is not null and new.a.b is not null") == [0]


def test_mistakes_in_a_listener_are_reported_at_their_keys() -> None:
    """A definition without a listener has none."""
    from_events: dict[str, Any] = {
        "name": "s",
        "source": {"type": "events", "columns": [{"name": "n"}]},
        "destination": {
            "type": "dynamics",
            "entity": "account",
            "service_url": "https://org.crm.dynamics.com/",
            "client_id": "x",
            "client_secret": {"env": "X"},
            "id_column": "accountid",
            "mappings": [{"source": "n", "target": "accountnumber"}],
        },
        "sync_behaviour": {"sync_key": ["accountnumber"]},
    }

    def paths(**topic: str) -> list[str | None]:
        listener = {"listener": {"name": "live", "topic": topic}} if topic else {}
        definition = SyncDefinition.model_validate({**from_events, **listener})
        return [problem.path for problem in listener_problems(definition)]

    assert paths() == []
    assert paths(filter="new.n = 1", message_key="new.n") == []
    assert paths(filter="n = 1") == ["listener.topic.filter"]
    assert paths(message_key="new.n; drop table x") == ["listener.topic.message_key"]


ADDRESS = {"address": {"city": "Calgary", "lines": ["1 A St"]}}


@pytest.mark.parametrize(
    "condition",
    [
        "new.address is not null and new.address.city = 'Calgary'",
        "new.address is null or new.address.city like 'Cal%'",
        "new.address is not null and upper(new.address.city) = 'CALGARY'",
        "new.address.city = 'Calgary' and new.address.lines is not null and new.address.lines[0] = '\"1 A St\"'",
        "new.address ->> 'city' = new.address.city",
    ],
)
def test_an_object_and_a_field_in_it_are_both_read(workspace: Workspace, condition: str) -> None:
    """The field has its own type, also where the expression reads the whole object."""
    found = selected(workspace, event(ADDRESS), filter=condition)
    assert ([index for index, _ in found.wanted], found.failed) == ([0], ())


def test_a_message_key_may_be_in_an_object_that_the_filter_reads(workspace: Workspace) -> None:
    found = selected(workspace, event(ADDRESS), filter="new.address is not null", message_key="new.address.city")
    assert [each.key for _, each in found.wanted] == ["Calgary"]


def test_names_that_differ_in_case_are_different_fields(workspace: Workspace) -> None:
    """As in JSON; senders may write one name in several ways."""
    events = (
        event({"Country": "CA", "a": {"B": 1}}),
        event({"country": "CA", "A": {"b": 1}}),
        event({"COUNTRY": "CA"}),
    )
    assert wanted(workspace, *events, filter="new.Country = 'CA' or new.country = 'CA'") == [0, 1]
    assert wanted(workspace, *events, filter="coalesce(new.a.B, new.A.b) = 1") == [0, 1]
    found = selected(workspace, *events, filter="new.Country = 'CA'", message_key="new.country")
    assert [(index, each.key) for index, each in found.wanted] == [(0, "")]


def test_text_that_looks_like_a_field_is_text(workspace: Workspace) -> None:
    found = selected(workspace, event({"a": "new.a"}), filter="new.a = 'new.a'", message_key="'it''s ' || new.a")
    assert [each.key for _, each in found.wanted] == ["it's new.a"]
