"""Every format gives the same kind of event, and decoding never raises."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models.listener import EventFormat, Topic
from shared.events import Decoded, Event, EventAction, Message, RecordReference, Undecodable, Unusable, decode, read

NOT_SENT = "__debezium_unavailable_value"


def decoded(body: Any, *, properties: Mapping[str, Any] | None = None, content_type: str = "", key: str | None = None, **topic: Any) -> Decoded:  # fmt: skip
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    made = Message(body=raw, partition="0", sequence=7, properties=properties or {}, content_type=content_type, key=key)
    given = Topic(**topic)
    return decode(made, given, read(made, given).body)


def one(body: Any, **given: Any) -> Event:
    (event,) = decoded(body, **given)
    assert isinstance(event, Event), event
    return event


def reason(body: Any, **given: Any) -> str:
    (found,) = decoded(body, **given)
    assert isinstance(found, Undecodable), found
    return found.reason


class TestJson:
    def test_the_whole_body_is_one_record_to_upsert(self) -> None:
        """Without `records` and `action` the body has the new values of the record."""
        event = one({"number": "A1", "name": None})
        assert (event.action, event.new, event.old) == (EventAction.UPSERT, {"number": "A1", "name": None}, {})
        assert (event.position.partition, event.position.sequence, event.position.when) == ("0", 7, None)

    def test_records_may_be_an_array_and_each_gets_its_number(self) -> None:
        """Every element is an event; an element that is no object is undecodable without an effect on the others."""
        found = decoded({"data": [{"n": 1}, 5, {"n": 2}]}, records="$.data")
        assert [type(item).__name__ for item in found] == ["Event", "Undecodable", "Event"]
        assert isinstance(found[1], Undecodable)
        assert found[1].item == 1
        assert isinstance(found[2], Event)
        assert found[2].position.item == 2

    def test_a_path_compares_numbers_by_their_values(self) -> None:
        """A fraction too."""
        found = decoded({"rows": [{"n": 1.1}, {"n": 2}]}, records="$.rows[?@.n == 1.1]")
        assert [float(each.new["n"]) for each in found if isinstance(each, Event)] == [1.1]

    def test_a_body_that_is_an_array_holds_many_records(self) -> None:
        """The default is the whole body, whether it is one record or many."""
        assert len(decoded([{"n": 1}, {"n": 2}])) == 2

    def test_of_an_array_only_the_records_that_match_are_used(self) -> None:
        """Each has its number in the array; with `records`, the array is the place where these are looked for."""
        body = [{"t": "x", "n": 1}, {"t": "y", "n": 2}, 5, {"t": "x", "n": 3}]
        found = decoded(body, match={"t": "x"})
        assert [each.position.item for each in found if isinstance(each, Event)] == [0, 3]
        assert [each.item for each in found if isinstance(each, Undecodable)] == [2]
        assert len(decoded([{"t": "x", "rows": [{"n": 1}]}], match={"t": "x"}, records="$[*].rows[*]")) == 1

    def test_a_path_may_select_and_filter(self) -> None:
        """All of JSONPath is supported, not only dots."""
        found = decoded({"rows": [{"t": "x", "n": 1}, {"t": "y", "n": 2}]}, records="$.rows[?(@.t=='y')]")
        assert [event.new["n"] for event in found if isinstance(event, Event)] == [2]

    @pytest.mark.parametrize(
        ("word", "action"),
        [
            ("insert", EventAction.INSERT),
            ("C", EventAction.INSERT),
            ("Updated", EventAction.UPDATE),
            ("D", EventAction.DELETE),
            ("merge", EventAction.UPSERT),
            ("crm.customer.deleted", EventAction.DELETE),
        ],
    )
    def test_the_action_is_read_from_record_or_envelope(self, word: str, action: EventAction) -> None:
        """The path is tried in the record first, then in the body."""
        assert one({"op": word, "data": {"n": 1}}, records="$.data", action="$.op").action is action
        assert one({"op": "insert", "data": {"op": word}}, records="$.data", action="$.op").action is action

    def test_a_deleted_record_is_old_and_is_also_new_in_expressions(self) -> None:
        """For a delete, expressions over new see the deleted record."""
        event = one({"op": "d", "n": 1}, action="$.op")
        assert event.old["n"] == event.fields["n"] == 1

    @pytest.mark.parametrize(
        ("body", "topic", "says"),
        [
            ({"a": 1}, {"records": "$.data"}, "no value at $.data"),
            ({"a": 1}, {"records": "$.data[*]"}, "no value at $.data[*]"),
            ({"data": "busy"}, {"records": "$.data[?@.n > 1]"}, "no value at $.data"),
            (5, {}, "a number"),
            (None, {}, "null"),
            ("text", {}, "text"),
            ([True], {}, "true or false"),
            ([[1]], {}, "an array"),
            ({"n": 1}, {"action": "$.op"}, "no action at $.op"),
            ({"op": "sing"}, {"action": "$.op"}, "does not mean insert"),
            ({"op": 3}, {"action": "$.op"}, "does not mean insert"),
        ],
    )
    def test_a_wrong_structure_is_undecodable(self, body: Any, topic: dict[str, Any], says: str) -> None:
        """The reason names what is missing, never a value."""
        assert says in reason(body, **topic)

    def test_an_undecodable_body_stays_undecodable(self) -> None:
        """The reason of the parser is kept."""
        assert "not JSON" in reason(b"{")


class TestCloudEvents:
    ATTRIBUTES: ClassVar = {"specversion": "1.0", "type": "crm.customer.updated", "id": "1", "source": "/erp"}

    def test_structured(self) -> None:
        """The record is the data, the action the last word of the type, the moment the time."""
        event = one(
            {**self.ATTRIBUTES, "time": "2026-03-01T10:00:00+01:00", "data": {"n": 1}},
            format="cloudevents",
            content_type="application/cloudevents+json; charset=utf-8",
        )
        assert (event.action, event.new) == (EventAction.UPDATE, {"n": 1})
        assert event.position.when == datetime(2026, 3, 1, 9, tzinfo=UTC)

    @pytest.mark.parametrize("prefix", ["cloudEvents:", "cloudEvents_", "ce_", "ce-"])
    def test_binary(self, prefix: str) -> None:
        """In binary mode the attributes are application properties and the body is the data alone."""
        properties = {prefix + name: value for name, value in self.ATTRIBUTES.items()}
        event = one({"n": 1}, format="cloudevents", properties=properties, content_type="application/json")
        assert (event.action, event.new) == (EventAction.UPDATE, {"n": 1})

    def test_a_content_type_of_cloudevents_wins_over_properties(self) -> None:
        """A structured event keeps its mode even when a broker copied its attributes into properties."""
        event = one(
            {**self.ATTRIBUTES, "data": {"n": 2}},
            format="cloudevents",
            properties={"ce_specversion": "1.0"},
            content_type="application/cloudevents+json",
        )
        assert event.new == {"n": 2}

    def test_the_events_of_a_batch_are_numbered(self) -> None:
        """An array of CloudEvents, some with several records, is one sequence of events."""
        batch = [{**self.ATTRIBUTES, "data": [{"n": 1}, {"n": 2}]}, {"data": {}}, {**self.ATTRIBUTES, "data": {"n": 3}}]
        found = decoded(batch, format="cloudevents")
        assert [item.position.item if isinstance(item, Event) else item.item for item in found] == [0, 1, 2, 3]
        assert isinstance(found[2], Undecodable)

    @pytest.mark.parametrize("kind", ["x.customer.updated", "x.order.deleted"])
    def test_of_a_batch_only_the_events_that_match_are_used(self, kind: str) -> None:
        """In any order; each has its number in the batch, and what is no event is left to nobody else."""
        kinds = ["x.customer.updated", "x.order.deleted", "x.customer.updated"]
        batch = [{**self.ATTRIBUTES, "type": each, "data": [{"n": 1}, {"n": 2}]} for each in kinds]
        found = decoded([*batch, {"data": {}}, 5], format="cloudevents", match={"type": kind})
        items = [item for place, each in enumerate(kinds) if each == kind for item in (2 * place, 2 * place + 1)]
        assert [each.position.item for each in found if isinstance(each, Event)] == items
        assert [each.item for each in found if isinstance(each, Undecodable)] == [6, 7]

    def test_data_may_be_base64_or_json_text(self) -> None:
        """Both ways in which the JSON format carries data that is not an object are read."""
        encoded = base64.b64encode(b'{"n": 1}').decode()
        assert one({**self.ATTRIBUTES, "data_base64": encoded}, format="cloudevents").new == {"n": 1}
        text = {**self.ATTRIBUTES, "datacontenttype": "application/json", "data": '{"n": 2}'}
        assert one(text, format="cloudevents").new == {"n": 2}

    def test_a_type_without_a_known_verb_is_an_upsert(self) -> None:
        """Most senders only report a change."""
        assert (
            one({**self.ATTRIBUTES, "type": "crm.customer", "data": {}}, format="cloudevents").action
            is EventAction.UPSERT
        )

    @pytest.mark.parametrize(
        ("kind", "action"),
        [
            ("com.example.object.deleted.v2", EventAction.DELETE),
            ("com.example.object.deleted.v1beta1", EventAction.DELETE),
            ("com.example.object.deleted/2024-05-01", EventAction.DELETE),
            ("google.cloud.storage.object.v1.deleted", EventAction.DELETE),
            ("Microsoft.Storage.BlobDeleted", EventAction.DELETE),
            ("Microsoft.Storage.BlobCreated", EventAction.INSERT),
            ("Microsoft.KeyVault.SecretNewVersionCreated", EventAction.INSERT),
            ("Microsoft.Storage.BlobTierChanged", EventAction.UPDATE),
            ("CustomerDeletedEvent", EventAction.DELETE),
            ("CUSTOMER_DELETED", EventAction.DELETE),
            ("crm.customer-removed.event.v3", EventAction.DELETE),
            ("crm.customer.undeleted", EventAction.UPSERT),
            ("crm.new.customer.shipped", EventAction.UPSERT),
            ("crm.PlanD", EventAction.UPSERT),
            ("orders.d", EventAction.DELETE),
            ("v2", EventAction.UPSERT),
            ("", EventAction.UPSERT),
        ],
    )
    def test_the_verb_is_the_last_word_of_the_type(self, kind: str, action: EventAction) -> None:
        """Punctuation and capitals separate words; versions and the word "event" after the verb are ignored."""
        assert one({**self.ATTRIBUTES, "type": kind, "data": {}}, format="cloudevents").action is action

    @pytest.mark.parametrize(
        "kind", ["com.x.deletion.requested", "Microsoft.Resources.ResourceDeleteFailure", "blobdeleted"]
    )
    def test_a_type_that_contains_delete_is_not_guessed(self, kind: str) -> None:
        """A deleted record must not be written as an existing one."""
        event = {**self.ATTRIBUTES, "type": kind, "data": {"op": "u"}}
        assert "mentions a delete" in reason(event, format="cloudevents")
        assert one(event, format="cloudevents", action="$.op").action is EventAction.UPDATE

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"specversion": None}, "version 1"),
            ({"specversion": "0.3"}, "version 1"),
            ({"data_base64": "%%"}, "not Base64"),
            ({"data_base64": 5}, "not Base64"),
            ({"data_base64": base64.b64encode(b"\xff").decode()}, "not UTF-8"),
            ({"data": None}, "null"),
        ],
    )
    def test_what_is_no_cloudevent_is_undecodable(self, change: dict[str, Any], says: str) -> None:
        """Wrong versions and unreadable data have their reasons."""
        assert says in reason({**self.ATTRIBUTES, "data": {}, **change}, format="cloudevents")

    def test_no_specversion(self) -> None:
        """An ordinary JSON object is no CloudEvent."""
        assert "no specversion" in reason({"n": 1}, format="cloudevents")


SCHEMA = {
    "type": "struct",
    "fields": [
        {
            "field": "after",
            "type": "struct",
            "fields": [
                {"field": "d", "type": "int32", "name": "io.debezium.time.Date"},
                {"field": "ts", "type": "int64", "name": "io.debezium.time.MicroTimestamp"},
                {"field": "t", "type": "int64", "name": "io.debezium.time.MicroTime"},
                {
                    "field": "m",
                    "type": "bytes",
                    "name": "org.apache.kafka.connect.data.Decimal",
                    "parameters": {"scale": "2"},
                },
                {"field": "v", "type": "struct", "name": "io.debezium.data.VariableScaleDecimal"},
                {"field": "z", "type": "string", "name": "io.debezium.time.ZonedTimestamp"},
            ],
        }
    ],
}


class TestDebezium:
    def change(self, op: str, before: Any = None, after: Any = None, **source: Any) -> dict[str, Any]:
        return {"op": op, "before": before, "after": after, "source": {"table": "customers", **source}, "ts_ms": 1}

    @pytest.mark.parametrize(
        ("op", "action"), [("c", EventAction.INSERT), ("u", EventAction.UPDATE), ("r", EventAction.UPSERT)]
    )
    @pytest.mark.parametrize("wrapping", ["plain", "with its schema"])
    def test_rows_are_read_with_and_without_a_schema(self, op: str, action: EventAction, wrapping: str) -> None:
        """Create, update and snapshot read have the new row."""
        change = self.change(op, before={"n": 1}, after={"n": 2}, ts_ms=1_700_000_000_000)
        event = one({"schema": None, "payload": change} if wrapping != "plain" else change, format="debezium")
        assert (event.action, event.new, event.old) == (action, {"n": 2}, {"n": 1})
        assert event.position.when == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)

    def test_a_delete_has_the_row_before(self) -> None:
        """The deleted row is the old one; a snapshot's time of zero is no time."""
        event = one(self.change("d", before={"n": 1}, ts_ms=0), format="debezium")
        assert (event.action, event.new, event.old, event.position.when) == (EventAction.DELETE, {}, {"n": 1}, None)

    @pytest.mark.parametrize("key", ['{"n": 1}', '{"schema": {"fields": []}, "payload": {"n": 1}}'])
    def test_a_delete_without_old_values_is_identified_by_its_key(self, key: str) -> None:
        """A table that logs no old values still sends its primary key as the message key."""
        assert one(self.change("d"), format="debezium", key=key).old == {"n": 1}

    @pytest.mark.parametrize("body", [b"", b"null", b'{"schema": null, "payload": null}'])
    def test_a_tombstone_is_ignored(self, body: bytes) -> None:
        """The null that follows a delete is for log compaction only."""
        assert decoded(body, format="debezium") == ()

    def test_a_logical_message_is_ignored(self) -> None:
        """It belongs to no row."""
        assert decoded({"op": "m", "message": {}}, format="debezium") == ()

    @pytest.mark.parametrize(
        "placeholder",
        [
            NOT_SENT,
            base64.b64encode(NOT_SENT.encode()).decode(),
            NOT_SENT.encode().hex(),
            json.dumps({NOT_SENT: NOT_SENT}, separators=(",", ":")),
            {NOT_SENT: NOT_SENT},
            [NOT_SENT],
            [base64.b64encode(NOT_SENT.encode()).decode()],
            list(NOT_SENT.encode()),
            ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"],
        ],
    )
    def test_a_large_value_that_was_not_sent_is_absent(self, placeholder: object) -> None:
        """PostgreSQL's placeholder, in the form of its column, must not be written as if it were the value."""
        change = self.change("u", before={"n": 1, "photo": placeholder}, after={"n": 1, "photo": placeholder})
        assert one(change, format="debezium").new == {"n": 1}
        assert one(change, format="debezium").old == {"n": 1}

    @pytest.mark.parametrize("value", [["x"], {}, [], [NOT_SENT, "x"], {"a": NOT_SENT}, f"{NOT_SENT} ", 0, False, None])
    def test_other_values_are_sent(self, value: object) -> None:
        """A part of them may look like the placeholder."""
        change = self.change("u", after={"n": 1, "photo": value})
        assert one(change, format="debezium").new == {"n": 1, "photo": value}

    def test_dates_and_decimals_are_converted_by_the_schema(self) -> None:
        """Counted days and microseconds, and unscaled bytes."""
        after = {
            "d": 20_000,
            "ts": 1_700_000_000_123_456,
            "t": 3_600_000_000,
            "m": base64.b64encode((-12345).to_bytes(2, "big", signed=True)).decode(),
            "v": {"scale": 3, "value": base64.b64encode(b"\x07").decode()},
            "z": "2026-01-01T00:00:00Z",
        }
        event = one({"schema": SCHEMA, "payload": self.change("c", after=after)}, format="debezium")
        assert event.new == {
            "d": "2024-10-04",
            "ts": "2023-11-14T22:13:20.123456",
            "t": "01:00:00",
            "m": Decimal("-123.45"),
            "v": Decimal("0.007"),
            "z": "2026-01-01T00:00:00Z",
        }

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"d": 2_147_483_647}, "outside the years 1 to 9999"),  # PostgreSQL's date 'infinity'
            ({"ts": 9_223_372_036_825_200_000}, "outside the years 1 to 9999"),
            ({"d": 10**4000}, "outside the years 1 to 9999"),
            ({"d": "x"}, "match the event's schema"),
            ({"ts": "x" * 1_000_000}, "match the event's schema"),
            ({"t": 1.5}, "match the event's schema"),
            ({"t": 839 * 3_600_000_000}, "outside -838:59:59"),
            ({"m": "%"}, "match the event's schema"),
            ({"m": base64.b64encode(b"\x07" * 5000).decode()}, "more than 4,300 digits"),
            ({"v": {}}, "match the event's schema"),
            ({"v": {"scale": 10**9, "value": "Bw=="}}, "exponent"),
            ({"v": {"scale": -(10**9), "value": "Bw=="}}, "exponent"),
        ],
    )
    def test_a_value_that_contradicts_its_schema_affects_no_other(self, wrong: dict[str, Any], says: str) -> None:
        """Only infinite dates and similar values are unusable; the event continues without them."""
        event = one({"schema": SCHEMA, "payload": self.change("c", after={"n": 1, **wrong})}, format="debezium")
        (value,) = (event.new[name] for name in wrong)
        assert isinstance(value, Unusable)
        assert (says in value.reason, event.new["n"]) == (True, 1)

    @pytest.mark.parametrize(
        "schema", [{"fields": [{}]}, {"fields": 5}, {"fields": [{"field": "after", "fields": [1]}]}]
    )
    def test_a_schema_that_debezium_does_not_write_is_undecodable(self, schema: Any) -> None:
        """Without a valid schema the numbers have no known meaning."""
        body = {"schema": schema, "payload": self.change("c", after={"n": 1})}
        assert "schema" in reason(body, format="debezium")

    @pytest.mark.parametrize(
        ("microseconds", "text"),
        [
            (0, "00:00:00"),
            (86_399_999_999, "23:59:59.999999"),
            (86_400_000_000, "24:00:00"),
            (90_000_000_000, "25:00:00"),
            (-1_000_000, "-00:00:01"),
            (-1, "-00:00:00.000001"),
            (3_020_399_000_000, "838:59:59"),
            (-3_020_399_000_000, "-838:59:59"),
        ],
    )
    def test_a_time_can_be_more_than_a_day_or_negative(self, microseconds: int, text: str) -> None:
        """MySQL's TIME is a duration too: it keeps its hours and its sign, as MySQL writes them."""
        body = {"schema": SCHEMA, "payload": self.change("c", after={"t": microseconds})}
        assert one(body, format="debezium").new == {"t": text}

    @pytest.mark.parametrize("ts", [10**30, -1, 2**63, "now", None, 1.5])
    def test_an_invalid_commit_time_is_ignored(self, ts: Any) -> None:
        """It is used only to order events and rejects none."""
        assert one(self.change("c", after={"n": 1}, ts_ms=ts), format="debezium").position.when is None

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({"n": 1}, "no op"),
            ([], "no op"),
            ({"op": "x"}, "not one of"),
            ({"op": []}, "not one of"),
            ({"op": "t"}, "run the batch"),
            ({"op": "c"}, "before and after are missing"),
            ({"op": "u", "before": {"n": 1}}, "no after"),
            ({"op": "d"}, "before and after are missing"),
        ],
    )
    def test_what_is_no_change_is_undecodable(self, body: Any, says: str) -> None:
        """Schema changes, truncates and incomplete events have their reasons."""
        assert says in reason(body, format="debezium")


class TestMongoDb:
    SOURCE: ClassVar = {"connector": "mongodb", "collection": "customers"}
    KEY: ClassVar = json.dumps({"id": json.dumps({"$oid": "596e275826f08b2730779e1f"})})

    def change(self, op: str, **parts: Any) -> dict[str, Any]:
        return {"op": op, "before": None, "after": None, "source": self.SOURCE, **parts}

    def test_documents_are_read_from_text(self) -> None:
        """Extended JSON in the event becomes plain values."""
        document = {
            "_id": {"$oid": "596e275826f08b2730779e1f"},
            "n": {"$numberLong": "1004"},
            "price": {"$numberDecimal": "12.50"},
            "since": {"$date": 1_700_000_000_000},
            "until": {"$date": {"$numberLong": "253402300800000"}},
            "at": {"$date": "2024-05-01T00:00:00Z"},
            "tags": [{"$numberInt": "1"}, "x"],
            "odd": {"$numberDouble": "NaN"},
            "raw": {"$binary": {"base64": "AQI=", "subType": "00"}},
            "nothing": {"$undefined": True},
            "address": {"city": "Bern"},
            "$other": {"$timestamp": {"t": 1, "i": 2}},
        }
        before = json.dumps({"n": 1})
        event = one(self.change("u", after=json.dumps(document), before=before), format="debezium")
        assert isinstance(event.new["odd"], Unusable)
        assert isinstance(event.new["until"], Unusable)
        assert {name: value for name, value in event.new.items() if name not in ("odd", "until")} == {
            "_id": "596e275826f08b2730779e1f",
            "n": 1004,
            "price": Decimal("12.50"),
            "since": "2023-11-14T22:13:20.000Z",
            "at": "2024-05-01T00:00:00Z",
            "tags": [1, "x"],
            "raw": "AQI=",
            "nothing": None,
            "address": {"city": "Bern"},
            "$other": {"$timestamp": {"t": 1, "i": 2}},
        }
        assert event.old == {"n": 1}

    def test_a_delete_is_identified_by_the_id_in_its_key(self) -> None:
        """The key has the id as JSON text under its own name."""
        assert one(self.change("d"), format="debezium", key=self.KEY).old == {"_id": "596e275826f08b2730779e1f"}

    def test_an_update_without_its_document_has_the_changed_fields(self) -> None:
        """Set fields, removed fields as null; a field of which only a part is sent cannot be used."""
        description = {
            "updatedFields": json.dumps({"name": "x", "address.city": "Bern", "tags.0": 1}),
            "removedFields": ["phone"],
            "truncatedArrays": [{"field": "orders", "newSize": 2}],
        }
        event = one(self.change("u", updateDescription=description), format="debezium", key=self.KEY)
        assert {name: event.new[name] for name in ("_id", "name", "phone")} == {
            "_id": "596e275826f08b2730779e1f", "name": "x", "phone": None,
        }  # fmt: skip
        for name in ("address", "tags", "orders"):
            assert "update_full" in event.new[name].reason

    @pytest.mark.parametrize(
        ("parts", "says"),
        [
            ({"after": "{"}, "cannot be read"),
            ({"after": "[1]"}, "not a JSON object"),
            ({"after": "[" * 100 + "]" * 100}, "nested too deeply"),
            ({"updateDescription": {"updatedFields": "x"}}, "cannot be read"),
            ({"updateDescription": 5}, "before and after are missing"),
        ],
    )
    def test_what_is_no_document_is_undecodable(self, parts: dict[str, Any], says: str) -> None:
        """The text in the event is read as strictly as the body."""
        assert says in reason(self.change("u", **parts), format="debezium", key=self.KEY)


def reference(kind: str, **fields: Any) -> dict[str, Any]:
    return {"__type": f"{kind}:http://schemas.microsoft.com/xrm/2011/Contracts", **fields}


def pairs(**values: Any) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in values.items()]


ACCOUNT = "0e4ecae3-0000-4000-8000-000000000001"
IDENTITY = {"accountid": ACCOUNT, "activityid": ACCOUNT}


def context(name: str, *, target: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "MessageName": name,
        "PrimaryEntityName": "account",
        "PrimaryEntityId": ACCOUNT,
        "OperationCreatedOn": "/Date(1506409448000-0700)/",
        "InputParameters": pairs(Target=target) if target else None,
        **more,
    }


def entity(**values: Any) -> dict[str, Any]:
    return reference("Entity", Attributes=pairs(**values), Id=ACCOUNT, LogicalName="account", RowVersion=None)


class TestDataverse:
    def test_an_update_has_the_changed_attributes(self) -> None:
        """The attributes of the target, with values in the notation that a mapping expects."""
        target = entity(
            name="A",
            revenue=reference("Money", Value=12.5),
            industrycode=reference("OptionSetValue", Value=7),
            new_tags=[{"Value": 9}, {"Value": 1}],
            primarycontactid=reference("EntityReference", Id="c1", LogicalName="contact", Name="B"),
            new_since="/Date(1506384247000)/",
            new_never="/Date(-62135596800000)/",
            description=None,
        )
        event = one(context("Update", target=target), format="dataverse")
        assert event.action is EventAction.UPDATE
        assert event.new == {
            "accountid": ACCOUNT,
            "activityid": ACCOUNT,
            "name": "A",
            "revenue": Decimal("12.5"),
            "industrycode": 7,
            "new_tags": "1,9",
            "primarycontactid": "c1",
            "new_since": "2017-09-26T00:04:07.000Z",
            "new_never": None,
            "description": None,
        }
        assert event.position.when == datetime(2017, 9, 26, 7, 4, 8, tzinfo=UTC)

    def test_images_complete_the_record(self) -> None:
        """The image after the change is part of the new record, the image before it is the old one."""
        body = context(
            "Update",
            target=entity(name="new"),
            PreEntityImages=pairs(pre=entity(name="old", accountnumber="A1")),
            PostEntityImages=pairs(post=entity(name="new", accountnumber="A1")),
        )
        event = one(body, format="dataverse")
        assert (event.new["accountnumber"], event.old["name"]) == ("A1", "old")

    def test_a_delete_names_its_target_by_reference(self) -> None:
        """The image before, where one is registered, adds the key."""
        target = reference("EntityReference", Id=ACCOUNT, LogicalName="account")
        event = one(
            context("Delete", target=target, PreEntityImages=pairs(p=entity(accountnumber="A1"))), format="dataverse"
        )
        assert (event.action, event.old) == (EventAction.DELETE, {**IDENTITY, "accountnumber": "A1"})

    @pytest.mark.parametrize(
        ("table", "column", "also"),
        [("task", "activityid", True), ("new_visit", "activityid", True), ("activityparty", "activitypartyid", False)],
    )
    def test_a_delete_of_an_activity_carries_its_id(self, table: str, column: str, *, also: bool) -> None:
        """The id of every activity is activityid; that of a table which points at one is its own."""
        target = reference("EntityReference", Id=ACCOUNT, LogicalName=table)
        for body in (context("Delete", target=target), context("Delete", PrimaryEntityName=table)):
            event = one(body, format="dataverse")
            assert (event.old[column], "activityid" in event.old) == (ACCOUNT, also)

    @pytest.mark.parametrize(
        ("properties", "more"),
        [
            ({"MessageMaxSizeExceeded": True}, {}),
            ({"x-ms-dynamics-msg-size-exceeded": "True"}, {}),
            ({}, {"SharedVariables": pairs(MessageMaxSizeExceeded=True)}),
            ({}, {}),
        ],
    )
    def test_a_message_without_values_needs_a_read(self, properties: dict[str, Any], more: dict[str, Any]) -> None:
        """Above the size limit the service removes parameters and images: only the id is left."""
        event = one(context("Update", **more), format="dataverse", properties=properties)
        assert event.reread == RecordReference(entity="account", id=ACCOUNT)
        assert event.new == IDENTITY

    def test_a_delete_without_values_needs_no_read(self) -> None:
        """A delete has only the id in any case."""
        event = one(context("Delete"), format="dataverse")
        assert (event.reread, event.old) == (None, IDENTITY)

    def test_bulk_messages_have_several_targets(self) -> None:
        """CreateMultiple and similar messages have one event for each target."""
        body = context("UpdateMultiple")
        body["InputParameters"] = pairs(
            Targets=reference("EntityCollection", Entities=[entity(name="A"), entity(name="B")])
        )
        found = decoded(body, format="dataverse")
        assert [event.new["name"] for event in found if isinstance(event, Event)] == ["A", "B"]

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({"n": 1}, "not a RemoteExecutionContext"),
            ([], "not a RemoteExecutionContext"),
            (context("Associate"), "not one of Create"),
            (context("Create", PrimaryEntityId="00000000-0000-0000-0000-000000000000"), "no record id"),
            (context("Create", PrimaryEntityId=None), "no record id"),
        ],
    )
    def test_what_is_no_record_message_is_undecodable(self, body: Any, says: str) -> None:
        """`match` should exclude other messages; they are not interpreted."""
        assert says in reason(body, format="dataverse")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3) | st.sampled_from(["c", "u", "1.0", "Update"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                *("op", "before", "after", "source", "schema", "payload", "fields", "field", "name", "parameters"),
                *("specversion", "data", "data_base64", "type", "time", "MessageName", "PrimaryEntityName", "key"),
                *("PrimaryEntityId", "value", "InputParameters", "PreEntityImages", "Attributes", "Target", "Targets"),
                *("__type", "Value", "Id"),
            ]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("form", list(EventFormat))
@given(body=JSON_VALUES)
def test_no_json_makes_decoding_raise(form: EventFormat, body: Any) -> None:
    """Any JSON gives events or undecodable ones, in every format."""
    for found in decoded(body, format=form, key='{"n": 1}'):
        assert isinstance(found, Event | Undecodable)
