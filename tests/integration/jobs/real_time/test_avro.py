"""Avro and compressed events have the effect of JSON events; a poison message is a dead letter and blocks no other."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from shared.jobs.real_time.events import EventSync, replay
from shared.jobs.real_time.listeners import AT_ONCE
from tests.integration.jobs.real_time.conftest import Make
from tests.unit.events.avro.samples import CUSTOMER, binary, container, single_object

AVRO = {"format": "avro", "action": "$.op"}


def customer(number: str, op: str = "c", name: str | None = None, revenue: float | None = None) -> dict[str, Any]:
    return {"op": op, "number": number, "name": name, "revenue": revenue}


@pytest.fixture
def schema(tmp_path: Path) -> str:
    file = tmp_path / "customer.avsc"
    file.write_text(json.dumps(CUSTOMER), "utf-8")
    return str(file)


def test_containers_change_records(make: Make) -> None:
    """Several records in one body are events in this order; a delete event deletes, and null clears a column."""
    world = make(topic=AVRO)
    world.run(container(CUSTOMER, [customer("A", name="one", revenue=1.5), customer("B", name="two")], codec="deflate"))
    world.run(container(CUSTOMER, [customer("A", "u", name="uno"), customer("B", "d")]))
    assert (world.accounts(), world.letters) == ({"A": {"name": "uno"}}, [])


@pytest.mark.parametrize(
    ("encoding", "write"),
    [
        ("auto", binary),
        ("auto", single_object),
        ("confluent", lambda schema, value: b"\0\0\0\0\x09" + binary(schema, value)),
    ],
)
def test_records_are_read_with_the_schema_of_a_file(make: Make, schema: str, encoding: str, write: Any) -> None:
    """The listener names it; filter and match read the record."""
    world = make(
        topic={**AVRO, "schema": schema, "encoding": encoding, "filter": "new.revenue > 1", "match": {"op": "c"}}
    )
    bodies = [write(CUSTOMER, customer(number, revenue=revenue)) for number, revenue in (("A", 1.0), ("B", 2.5))]
    assert world.run(*bodies, write(CUSTOMER, customer("C", "u", revenue=9.0)))["filtered"] == 1
    assert (world.accounts(), world.letters) == ({"B": {"revenue": 2.5}}, [])


def test_a_poison_message_is_a_dead_letter_and_is_replayed_with_the_right_schema(make: Make, schema: str) -> None:
    """The dead letter has the original body; a replay with the right schema applies it."""
    world = make(topic={**AVRO, "schema": schema})
    newer = {**CUSTOMER, "fields": [*CUSTOMER["fields"], {"name": "city", "type": "string"}]}
    changed = single_object(newer, {**customer("B"), "city": "Bern"})
    world.run(binary(CUSTOMER, customer("A")), changed, b"\xff", b"", binary(CUSTOMER, customer("C")))
    assert (set(world.accounts()), world.reasons) == ({"A", "C"}, dict.fromkeys((1, 2, 3), "Undecodable"))
    letter = next(each for each in world.letters if each.sequence == 1)
    assert (letter.body, "written with another schema" in letter.message) == (changed, True)
    Path(schema).write_text(json.dumps(newer), "utf-8")
    assert replay([letter], world.listeners, world.tools).settled == 1
    assert world.accounts()["B"] == {"city": "Bern"}


def test_a_column_of_bytes_is_rejected_with_its_name(make: Make) -> None:
    """The event is rejected only if the definition reads the column."""
    photo = {
        **CUSTOMER,
        "fields": [*CUSTOMER["fields"], {"name": "city", "type": "bytes"}, {"name": "x", "type": "bytes"}],
    }
    body = container(photo, [{**customer("A"), "city": b"\xff", "x": b"\xff"}])
    world = make(topic=AVRO)
    world.run(body)
    (letter,) = world.letters
    assert letter.message == "city: the value is bytes, which are no text"
    narrow = make(topic=AVRO, columns=[{"name": "number"}], mappings=[{"source": "number", "target": "accountnumber"}])
    narrow.run(body, first=9)
    assert set(narrow.accounts()) == {"A"}


def test_events_without_their_schema_are_dead_letters(make: Make, tmp_path: Path) -> None:
    """The reason names the file; other syncs continue."""
    world = make(topic={**AVRO, "schema": str(tmp_path / "missing.avsc")})
    world.syncs.append(EventSync(definition=world.define("others", schema=None)))
    world.run(container(CUSTOMER, [customer("A")]))
    (letter,) = world.letters
    assert (letter.sync, "missing.avsc does not exist" in letter.message) == ("customers", True)
    assert set(world.accounts()) == {"A"}


def test_avro_and_json_share_a_hub(make: Make) -> None:
    """Each listener takes what it can read; an event that can be read and that none takes is for other consumers."""
    world = make(topic={**AVRO, "match": {"number": "A"}})
    world.syncs.append(EventSync(definition=world.define("json", format="json", match={"number": "B"})))
    summary = world.deliver(
        world.messages(container(CUSTOMER, [customer("A")]), {"op": "c", "number": "B"}, {"number": "C"}, b"\xff")
    )
    assert (set(world.accounts()), summary.unclaimed) == ({"A", "B"}, 1)
    assert world.reasons == {3: "Undecodable"}


@pytest.mark.parametrize("form", ["json", "debezium", "cloudevents", "dataverse"])
def test_compressed_bodies_of_every_format_take_effect(make: Make, form: str) -> None:
    """The property or the first bytes show the compression; a replayed dead letter is decompressed in the same way."""
    bodies: dict[str, Any] = {
        "json": {"number": "A", "name": "one"},
        "debezium": {"op": "c", "before": None, "after": {"number": "A", "name": "one"}, "source": {}},
        "cloudevents": {"specversion": "1.0", "type": "x.created", "data": {"number": "A", "name": "one"}},
        "dataverse": {
            "MessageName": "Create",
            "PrimaryEntityName": "x",
            "InputParameters": [{"key": "Target", "value": {"Attributes": [
                {"key": "number", "value": "A"}, {"key": "name", "value": "one"}]}}],
        },
    }  # fmt: skip
    world = make(topic={"format": form})
    text = json.dumps(bodies[form]).encode()
    raw = zlib.compressobj(wbits=-15)
    world.run(gzip.compress(text))
    assert world.accounts() == {"A": {"name": "one"}}
    world.run(raw.compress(text.replace(b"one", b"two")) + raw.flush(), properties={"content-encoding": "deflate"})
    assert world.accounts() == {"A": {"name": "two"}}
    bad = raw_deflate(text.replace(b"one", b"x" * 161))
    world.run(bad, content_encoding="deflate")
    (letter,) = world.letters
    assert (letter.body, letter.error) == (bad, "Invalid Row") or letter.error != "Undecodable"
    assert replay([letter], world.listeners, world.tools).kept == 1
    assert [each.error for each in world.letters] == [letter.error]


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def test_decompression_bombs_and_truncated_bodies_are_dead_letters_and_block_no_other(make: Make) -> None:
    """The reason has the number of bytes."""
    world = make()
    good = json.dumps({"op": "c", "number": "A"}).encode()
    world.run(gzip.compress(b" " * 21_000_000), gzip.compress(good)[:-3], gzip.compress(good))
    assert set(world.accounts()) == {"A"}
    assert "larger than 20,971,520 bytes" in world.letters[0].message
    assert "ends too early" in world.letters[1].message


def test_a_batch_of_large_bodies_is_read_in_parts(make: Make) -> None:
    """A small batch may decompress to gigabytes: only a part is in memory at a time; all events apply in order."""
    world = make()
    pad = "x" * (AT_ONCE // 8)
    bodies = [gzip.compress(json.dumps({"op": "u", "number": str(n % 2), "name": str(n), "pad": pad}).encode(), 1)
              for n in range(10)]  # fmt: skip
    summary = world.deliver(world.messages(*bodies))
    assert (summary.received, summary.syncs["customers"]["events"], summary.dead_letters) == (10, 10, 0)
    assert world.accounts() == {"0": {"name": "8"}, "1": {"name": "9"}}
