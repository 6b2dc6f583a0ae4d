"""Loading a definition: what it becomes, and every mistake at its place."""

from __future__ import annotations

import re

import pytest

from shared.definitions import (
    ApplicationUser,
    ChangedWhen,
    DelimitedSource,
    EnvironmentSecret,
    EventsSource,
    KeyVaultSecret,
    Strategy,
    load_definition,
)
from shared.definitions.parameters.environment import secret_variables
from shared.definitions.reference.example import EXAMPLE
from shared.errors import DefinitionError, Problem


def changed(*replacements: tuple[str, str]) -> str:
    text = EXAMPLE
    for old, new in replacements:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        load_definition(text, file="syncs/a.yaml")
    return caught.value.problems


def place_of(text: str, sought: str) -> tuple[int, int]:
    before = text[: text.index(sought)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def test_the_example_of_the_reference_page_is_accepted() -> None:
    """The example becomes a definition with the values that it states."""
    definition = load_definition(EXAMPLE)

    assert definition.name == "customers"
    assert isinstance(definition.source, DelimitedSource)
    assert [column.label for column in definition.source.columns][:3] == ["number", "Name", "revenue"]
    assert [column.read for column in definition.source.columns] == [True] * 5 + [False] * 2
    assert definition.destination.client_secret == KeyVaultSecret(key_vault="dynamics-client-secret")
    assert isinstance(definition.sync_behaviour.changed, ChangedWhen)
    assert definition.sync_behaviour.strategy is Strategy.FULL
    assert definition.listener is not None
    assert definition.listener.enabled


def test_five_mistakes_are_all_reported_each_at_its_line_and_column() -> None:
    """Mistakes of five kinds are all reported together."""
    text = changed(
        ("schedule: ", "shedule: "),
        ("type: number, validate", "type: nubmer, validate"),
        ("{source: number, target", "{source: numbr, target"),
        ("eq @region", "eq @regoin"),
        ("sync_key: [accountnumber]", "sync_key: [accountnr]"),
    )
    expected = [
        (place_of(text, "shedule"), "shedule", "unknown key; did you mean schedule?"),
        (place_of(text, "nubmer"), "source.columns[2].type", "did you mean number?"),
        (place_of(text, "source: numbr"), "destination.mappings[0].source", "did you mean number?"),
        (place_of(text, "statecode eq"), "destination.filter", "no parameter @regoin; did you mean region?"),
        (place_of(text, "accountnr]"), "sync_behaviour.sync_key[0]", "did you mean accountnumber?"),
    ]

    found = problems(text)

    assert [((each.line, each.column), each.path) for each in found] == [(place, path) for place, path, _ in expected]
    assert all(part in each.message for each, (_, _, part) in zip(found, expected, strict=True))
    assert {each.file for each in found} == {"syncs/a.yaml"}
    assert str(found[0]).startswith("syncs/a.yaml:6:1: shedule: unknown key")


def test_keys_are_not_merged() -> None:
    """The sign for it is of YAML 1.1; the message says what to do."""
    text = changed(("{source: number, target: accountnumber}", "{<<: *shared, target: accountnumber}"))
    text = text.replace("{source: Name,", "&shared {source: Name,")
    moved = text.replace("*shared", "{source: number}")
    assert ("destination.mappings[0].<<", "unknown key; YAML 1.2 does not merge keys, so write them here") in [
        (each.path, each.message) for each in problems(moved)
    ]


# What is changed, with ^ where the mistake is to be reported; the path; words of the message.
MISTAKES: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "name": ([("name: customers", "name: ^Customers!")], "name", "a-z, 0-9 and -"),
    "notation of another type": (
        [("type: date, input_format", "type: date, ^decimal_separator: ',', input_format")],
        "source.columns[3].decimal_separator",
        "only for a column of type number",
    ),
    "time zone of text": (
        [("{name: Since, type: date, input_format: dd/MM/yyyy}", "{name: Since, ^time_zone: Europe/Berlin}")],
        "source.columns[3].time_zone",
        "only for a column of type date",
    ),
    "separator of two characters": (
        [("type: number, validate", "type: number, decimal_separator: ^',,', validate")],
        "source.columns[2].decimal_separator",
        "a separator is one character",
    ),
    "separator that is a digit": (
        [("type: number, validate", "type: number, thousands_separator: ^'0', validate")],
        "source.columns[2].thousands_separator",
        "cannot be a letter, a digit",
    ),
    "decimal separator that is a blank": (
        [("type: number, validate", "type: number, decimal_separator: ^' ', validate")],
        "source.columns[2].decimal_separator",
        "cannot be a blank",
    ),
    "separator that is a control character": (
        [("type: number, validate", 'type: number, thousands_separator: ^"\\x01", validate')],
        "source.columns[2].thousands_separator",
        "cannot be a control character",
    ),
    "equal separators": (
        [("type: number, validate", "type: number, decimal_separator: ',', thousands_separator: ^',', validate")],
        "source.columns[2].thousands_separator",
        "are the same character",
    ),
    "thousands separator like the usual decimal separator": (
        [("type: number, validate", "type: number, thousands_separator: ^'.', validate")],
        "source.columns[2].thousands_separator",
        "write decimal_separator: ','",
    ),
    "strip of a sign": (
        [("type: number, validate", "type: number, strip: ^'€-', validate")],
        "source.columns[2].strip",
        "belong to the number",
    ),
    "strip of brackets": (
        [("type: number, validate", "type: number, strip: ^'()', validate")],
        "source.columns[2].strip",
        "is a negative number",
    ),
    "strip of a separator": (
        [("type: number, validate", "type: number, decimal_separator: ',', strip: ^'€,', validate")],
        "source.columns[2].strip",
        "a separator cannot be among the signs",
    ),
    "unknown time zone": (
        [("input_format: dd/MM/yyyy", "time_zone: ^Europe/Berln")],
        "source.columns[3].time_zone",
        "did you mean Europe/Berlin?",
    ),
    "time zone of Windows": (
        [("input_format: dd/MM/yyyy", "time_zone: ^W. Europe Standard Time")],
        "source.columns[3].time_zone",
        "write an IANA name",
    ),
    "ambiguous time without a zone": (
        [("input_format: dd/MM/yyyy", "^on_ambiguous_time: later")],
        "source.columns[3].on_ambiguous_time",
        "needs a time_zone",
    ),
    "ambiguous time": (
        [("input_format: dd/MM/yyyy", "time_zone: Europe/Berlin, on_ambiguous_time: ^first")],
        "source.columns[3].on_ambiguous_time",
        "one of 'earlier' or 'later'",
    ),
    "pivot without a format": (
        [("input_format: dd/MM/yyyy", "^pivot: 50")],
        "source.columns[3].pivot",
        "two-digit year",
    ),
    "pivot out of range": (
        [("input_format: dd/MM/yyyy", "input_format: dd/MM/yy, pivot: ^101")],
        "source.columns[3].pivot",
        "at most 100",
    ),
    "no format": (
        [("input_format: dd/MM/yyyy", "input_format: ^[]")],
        "source.columns[3].input_format",
        "this is empty",
    ),
    "format that is a number": (
        [("input_format: dd/MM/yyyy", "input_format: [dd/MM/yyyy, ^20]")],
        "source.columns[3].input_format[1]",
        "put it in quotes",
    ),
    "word that means both": (
        [("type: bool", "type: bool, true_values: [Ja, X], false_values: [nein, ^' x ']")],
        "source.columns[4].false_values[1]",
        "it cannot mean both",
    ),
    "word that usually means the opposite": (
        [("type: bool", "type: bool, true_values: [Ja, ^N]")],
        "source.columns[4].true_values[1]",
        "give both lists",
    ),
    "empty word": (
        [("type: bool", "type: bool, false_values: ^['']")],
        "source.columns[4].false_values",
        "an empty text is no value",
    ),
    "word that is no text": (
        [("type: bool", "type: bool, true_values: [^true]")],
        "source.columns[4].true_values[0]",
        "put it in quotes",
    ),
    "words of a number": (
        [("type: number, validate", "type: number, ^true_values: [x], validate")],
        "source.columns[2].true_values",
        "only for a column of type bool",
    ),
    "null values of a calculated column": (
        [("{name: title, formula", "{name: title, ^null_values: [x], formula")],
        "source.columns[5].null_values",
        "this column is calculated",
    ),
    "null values that are a text": (
        [("  header: true", "  null_values: ^N/A\n  header: true")],
        "source.null_values",
        "a list is required here, but this is text",
    ),
    "null value without quotes": (
        [("  header: true", "  null_values: [^NULL]\n  header: true")],
        "source.null_values[0]",
        'write "NULL"',
    ),
    "null value that is a number": (
        [("  header: true", "  null_values: [^0]\n  header: true")],
        "source.null_values[0]",
        "put it in quotes",
    ),
    "name missing": ([("name: customers\n", ""), ("version:", "^version:")], "name", "this key is missing"),
    "version as a number": ([("version: 1.0.0", "version: ^1.0")], "version", "put it in quotes"),
    "schedule": ([('"0 */15 * * * *"', "^0 61 * * * *")], "schedule", "minute: '61' is not a number from 0 to 59"),
    "schedule with four fields": ([('"0 */15 * * * *"', "^0 1 * *")], "schedule", "it has 4 fields"),
    "a time zone that is not known": (
        [("schedule:", "time_zone: ^Europe/Berln\nschedule:")],
        "time_zone",
        "write an IANA name such as Europe/Berlin; did you mean Europe/Berlin?",
    ),
    "a time zone without a schedule": (
        [('schedule: "0 */15 * * * *"', "^time_zone: Europe/Berlin")],
        "time_zone",
        "time_zone needs a schedule: set one, or remove time_zone",
    ),
    "quiet hours without a schedule": (
        [('schedule: "0 */15 * * * *"', "^quiet: 22:00-06:00")],
        "quiet",
        "quiet needs a schedule: set one, or remove quiet",
    ),
    "quiet hours in words": (
        [("schedule:", "quiet: ^at night\nschedule:")],
        "quiet",
        'write two times of the day with hours from 00 to 23, as in "22:00-06:00"',
    ),
    "quiet hours of a whole day": (
        [("schedule:", "quiet: ^08:00-08:00\nschedule:")],
        "quiet",
        "no part of the day is left; write enabled: false instead",
    ),
    "schedule never due": (
        [('"0 */15 * * * *"', "^0 0 30 2 *")],
        "schedule",
        "not a schedule (day-of-month: '30' cannot be read",
    ),
    "schedule of six fields never due": ([('"0 */15 * * * *"', "^0 0 0 30 2 *")], "schedule", "never occurs"),
    "schedule with a name that several days share": (
        [('"0 */15 * * * *"', "^0 0 9 * * T")],
        "schedule",
        "may be Tuesday or Thursday",
    ),
    "parameter name": ([("run_tag: {f", "run-tag: ^{f")], "parameters.run-tag", "does not start with a digit"),
    "parameter given twice": (
        [("formula: GUID()", "formula: ^GUID(), default: 1")],
        "parameters.run_tag.formula",
        "not both",
    ),
    "parameter name in other case": (
        [("{default: Ontario}", "{default: Ontario}\n  ^Region: {default: Quebec}")],
        "parameters.Region",
        "two parameters have this name, on lines",
    ),
    "formula": ([("GUID()", "^GUDI()")], "parameters.run_tag.formula", "did you mean GUID?"),
    "formula's parameter": (
        [('"FILENAME(@file_path', '^"FILENAME(@file_pat')],
        "parameters.business_date.formula",
        "did you mean file_path?",
    ),
    "formulas in a circle": (
        [
            (
                "{default: Ontario}",
                "{formula: ^\"FILENAME(@other, 'x')\"}\n  other: {formula: \"FILEPATH(@region, 'x')\"}",
            )
        ],
        "parameters.region.formula",
        "refer to each other",
    ),
    "path's parameter": ([('path: "@file_path"', 'path: ^"x/@file.csv"')], "source.path", "no parameter @file;"),
    "source type": ([("type: delimited", "type: ^delimted")], "source.type", "did you mean delimited?"),
    "source type missing": (
        [("source:\n  type: delimited", "^source:")],
        "source.type",
        "this key is missing",
    ),
    "delimiter": ([('delimiter: ","', 'delimiter: ^",,,,,"')], "source.delimiter", "1 to 4 bytes"),
    "no character": (
        [('delimiter: ","', "delimiter: ^U+D800")],
        "source.delimiter",
        "Unicode character does not exist",
    ),
    "line break": ([('delimiter: ","', 'delimiter: ^"\\n"')], "source.delimiter", "line break"),
    "qualifier": ([("text_qualifier: '\"'", "text_qualifier: ^ab")], "source.text_qualifier", "one ASCII"),
    "qualifier that ends lines": (
        [("text_qualifier: '\"'", "text_qualifier: ^U+000A")],
        "source.text_qualifier",
        "the text qualifier cannot be",
    ),
    "encoding": ([("encoding: utf-8", "encoding: ^utf-9")], "source.encoding", "unknown encoding"),
    "boolean": ([("header: true", "header: ^maybe")], "source.header", "true or false"),
    "key twice": (
        [("  filter: Active", "  ^columns: []\n  filter: Active")],
        "source",
        "given twice, on lines",
    ),
    "same name": (
        [("name: Name,", "^name: customer no,")],
        "source.columns[1].name",
        "two columns have this name, on lines",
    ),
    "same alias": (
        [("alias: revenue", "^alias: NUMBER")],
        "source.columns[2].alias",
        "two columns have this name, on lines",
    ),
    "row number": ([("alias: revenue", "^alias: _row")], "source.columns[2].alias", "another name"),
    "row number in other case": ([("alias: revenue", "^alias: _ROW")], "source.columns[2].alias", "another name"),
    "row number as name": ([("name: Name,", "^name: _Row,")], "source.columns[1].name", "another name"),
    "max_length": ([("max_length: 20", "max_length: ^0")], "source.columns[0].max_length", "at least 1"),
    "format of a text": (
        [("type: date, input_format", "type: text, ^input_format")],
        "source.columns[3].input_format",
        "type date",
    ),
    "formula and cases": (
        [("name: segment\n      cases", "name: segment\n      formula: '1'\n      ^cases")],
        "source.columns[6].cases",
        "not both",
    ),
    "default without cases": (
        [("type: bool}", "type: bool, ^default: '1'}")],
        "source.columns[4].default",
        "with cases",
    ),
    "case": ([("then: \"'Mid'\"}", "^than: \"'Mid'\"}")], "source.columns[6].cases[1].than", "mean then?"),
    "destination type": ([("type: dynamics", "type: ^crm")], "destination.type", "'dynamics' is required"),
    "service url": ([("https://org.", "^ftp://org.")], "destination.service_url", "https://"),
    "http": ([("https://org.", "^http://org.")], "destination.service_url", "emulator"),
    "no url": ([("https://org.api", "^https://[org.api")], "destination.service_url", "not a URL"),
    "port of the url": (
        [("https://org.api.crm.dynamics.com", "^https://org.api.crm.dynamics.com:99999")],
        "destination.service_url",
        "not a URL",
    ),
    "password in the url": (
        [("https://org.", "^https://u:p@org.")],
        "destination.service_url",
        "not contain a user or password",
    ),
    "path of the url": (
        [("https://org.api.crm.dynamics.com/", "^https://o.com/x/")],
        "destination.service_url",
        "path",
    ),
    "tenant": ([("contoso.onmicrosoft.com", "^[a]")], "destination.tenant_id", "text is required"),
    "client id missing": (
        [("  client_id: {key_vault: dynamics-client-id}\n", ""), ("destination:", "^destination:")],
        "destination.client_id",
        "managed_identity",
    ),
    "more ids": (
        [("client_id: {key_vault: dynamics-client-id}", "client_id: [a, b]"), ("client_secret:", "^client_secret:")],
        "destination.client_secret",
        "as many",
    ),
    "managed identity with secret": (
        [("entity: account", "entity: account\n  auth: managed_identity"), ("client_secret:", "^client_secret:")],
        "destination.client_secret",
        "does not have a secret",
    ),
    "id without mapping": (
        [("id_column: accountid", "id_column: accountid\n  ^id_column_insert: true")],
        "destination.id_column_insert",
        "no mapping",
    ),
    "timeout": ([("id_column: a", "timeout: ^5 days\n  id_column: a")], "destination.timeout", "2m"),
    "no time": ([("id_column: a", "timeout: ^0\n  id_column: a")], "destination.timeout", "above 0"),
    "no end": ([("id_column: a", f"timeout: ^{'9' * 400}h\n  id_column: a")], "destination.timeout", "too long"),
    "mapping without source": (
        [("{source: Name, target: name}", "^{target: name}")],
        "destination.mappings[1]",
        "exactly one",
    ),
    "mapping with two": (
        [("{source: Name, t", "^{source: Name, value: Name, t")],
        "destination.mappings[1]",
        "exactly",
    ),
    "mapping by name and not alias": (
        [("{source: number", "{^source: Customer No")],
        "destination.mappings[0].source",
        "no source column",
    ),
    "same target": (
        [("source: revenue, target: revenue", "source: revenue, ^target: name")],
        "destination.mappings[2].target",
        "mapped twice, on lines",
    ),
    "same target in other case": (
        [("source: revenue, target: revenue", "source: revenue, ^target: Name")],
        "destination.mappings[2].target",
        "mapped twice, on lines",
    ),
    "on_null": ([("on_null: keep", "on_null: ^kept")], "destination.mappings[2].on_null", "did you mean keep?"),
    "option": (
        [("[sync, async]", "[sync, ^asink]")],
        "destination.options.bypass_custom_logic[1]",
        "did you mean async?",
    ),
    "run_as": ([("suppress_flows: true", "run_as: ^me")], "destination.options.run_as", "object id"),
    "strategy": ([("strategy: full", "strategy: ^ful")], "sync_behaviour.strategy", "did you mean full?"),
    "key empty": ([("[accountnumber]", "^[]")], "sync_behaviour.sync_key", "empty"),
    "key no list": ([("[accountnumber]", "^accountnumber")], "sync_behaviour.sync_key", "a list is required"),
    "key column twice": (
        [("[accountnumber]", "[accountnumber, ^accountnumber]")],
        "sync_behaviour.sync_key[1]",
        "already",
    ),
    "changed": ([("changed: {when:", "changed: {^wenn:")], "sync_behaviour.changed.wenn", "mean when?"),
    "dropped": ([("dropped: ignore", "dropped: {^expired: x}")], "sync_behaviour.dropped.expired", "mean expire?"),
    "condition without target": (
        [("strategy: full", "strategy: upsert"), ("changed:", "^changed:")],
        "sync_behaviour.changed",
        "does not read",
    ),
    "action column": (
        [("dropped: ignore", "dropped: ignore\n  ^action_column: Name")],
        "sync_behaviour.action_column",
        "strategy delta",
    ),
    "action column unknown": (
        [("strategy: full", "strategy: delta\n  ^action_column: Nam"), ("changed: {", "safety: {} #")],
        "sync_behaviour.action_column",
        "did you mean Name?",
    ),
    "share": ([("30%", "^300%")], "sync_behaviour.safety.max_delete", "between"),
    "share in words": ([("30%", "^some")], "sync_behaviour.safety.max_delete", "30%"),
    "limit": ([("30%", "^-1")], "sync_behaviour.safety.max_delete", "at least 0"),
    "listener status": ([("auto_offset_reset: latest", "status: ^on")], "listener.status", "'enabled' or 'disabled'"),
    "records": ([("records: $.data", "records: ^'$.['")], "listener.topic.records", "not a JSONPath"),
    "format": ([("format: json", "format: ^jsn")], "listener.topic.format", "did you mean json?"),
    "key change": (
        [("format: json", "format: debezium\n    key_change: ^moved")],
        "listener.topic.key_change",
        "'move' or",
    ),
    "key change without the record before": (
        [("format: json", "format: json\n    ^key_change: delete_insert")],
        "listener.topic.key_change",
        "do not contain the record before the change",
    ),
    "key change of Avro": (
        [("format: json", "format: avro\n    ^key_change: delete_insert")],
        "listener.topic.key_change",
        "do not contain the record before the change",
    ),
    "a schema of JSON": (
        [("format: json", "format: json\n    ^schema: a.avsc")],
        "listener.topic.schema",
        "set format: avro",
    ),
    "an encoding without a schema": (
        [("format: json", "format: avro\n    ^encoding: confluent")],
        "listener.topic.encoding",
        "need a schema",
    ),
    "events with a schedule": (
        [("type: delimited", "type: events"), ("schedule:", "^schedule:")],
        "schedule",
        "cannot have a schedule",
    ),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_at_its_place(case: tuple[list[tuple[str, str]], str, str]) -> None:
    """Each mistake has line, column, path and words that help."""
    replacements, path, message = case
    marked = changed(*replacements)
    place = place_of(marked, "^")

    found = [each for each in problems(marked.replace("^", "", 1)) if each.path == path and message in each.message]

    assert [(each.line, each.column) for each in found] == [place]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("- a\n- b\n", "a mapping of keys"),
        ("just text", "a mapping of keys"),
        ("name: @x", "put the whole text in quotes"),
        ("a: {b", "closing bracket or quote is missing"),
        ("\ta: 1", "tab"),
    ],
)
def test_a_document_that_is_not_a_mapping_is_one_problem_with_line_and_column(text: str, message: str) -> None:
    """A text that is no definition at all gives one problem and no traceback."""
    (found,) = problems(text)

    assert message in found.message
    assert found.line == 1


def test_several_application_users_share_the_work() -> None:
    """Lists of ids and secrets of equal length are pairs."""
    definition = load_definition(
        changed(
            ("client_id: {key_vault: dynamics-client-id}", "client_id: [one, {env: TWO}]"),
            ("client_secret: {key_vault: dynamics-client-secret}", "client_secret: [{env: A}, {key_vault: b}]"),
        )
    )

    assert definition.destination.application_users == (
        ApplicationUser(client_id="one", client_secret=EnvironmentSecret(env="A")),
        ApplicationUser(client_id=EnvironmentSecret(env="TWO"), client_secret=KeyVaultSecret(key_vault="b")),
    )


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            "  auth: client_certificate\n  client_id: a\n  client_certificate: {key_vault: one}\n",
            [
                ApplicationUser(
                    client_id="a", client_certificate=KeyVaultSecret(key_vault="one"), auth="client_certificate"
                )
            ],
        ),
        (
            (
                "  auth: client_certificate\n  client_id: [a, b]\n  client_certificate: [{env: ONE}, {env: TWO}]\n"
                "  certificate_password: {env: PASSWORD}\n"
            ),
            [
                ApplicationUser(
                    client_id=client,
                    client_certificate=EnvironmentSecret(env=name),
                    certificate_password=EnvironmentSecret(env="PASSWORD"),
                    auth="client_certificate",
                )
                for client, name in (("a", "ONE"), ("b", "TWO"))
            ],
        ),
        (
            "  auth: federated\n  client_id: [a, b]\n",
            [ApplicationUser(client_id="a", auth="federated"), ApplicationUser(client_id="b", auth="federated")],
        ),
    ],
)
def test_each_way_to_sign_in_has_its_credentials(keys: str, expected: list[ApplicationUser]) -> None:
    """With a list of ids, each has its own certificate; the password is that of all."""
    definition = load_definition(
        changed(
            ("  client_id: {key_vault: dynamics-client-id}\n", keys),
            ("  client_secret: {key_vault: dynamics-client-secret}\n", ""),
        )
    )
    assert list(definition.destination.application_users) == expected
    assert set(secret_variables([definition])) == set(re.findall(r"env: (\w+)", keys))


def test_a_managed_identity_needs_neither_id_nor_secret() -> None:
    """With auth: managed_identity both may be left out."""
    definition = load_definition(
        changed(
            ("  client_id: {key_vault: dynamics-client-id}\n", "  auth: managed_identity\n"),
            ("  client_secret: {key_vault: dynamics-client-secret}\n", ""),
        )
    )

    assert definition.destination.application_users == (ApplicationUser(client_id=None, auth="managed_identity"),)


@pytest.mark.parametrize(
    ("written", "seconds"), [("100", 100), ("1.5", 1.5), ("90s", 90), ("2 m", 120), ("'1H'", 3600), ("0.5m", 30)]
)
def test_a_duration_is_seconds_or_has_a_unit(written: str, seconds: float) -> None:
    """Durations are read as seconds."""
    definition = load_definition(changed(("id_column: accountid", f"id_column: accountid\n  timeout: {written}")))

    assert definition.destination.timeout == seconds


@pytest.mark.parametrize(
    ("written", "character"), [("U+0001", "\x01"), ("u+7C", "|"), (r"'\t'", "\t"), ('"\\t"', "\t")]
)
def test_a_delimiter_may_be_written_as_its_code_point(written: str, character: str) -> None:
    """U+0001 and a backslash with t stand for the character."""
    definition = load_definition(changed(('delimiter: ","', f"delimiter: {written}")))

    assert isinstance(definition.source, DelimitedSource)
    assert definition.source.delimiter == character


@pytest.mark.parametrize(
    ("written", "header"),
    [("header: true", True), ("header_rows_to_ignore: 2", False), ("header_rows_to_ignore: 0", True)],
)
def test_rows_to_ignore_stand_in_place_of_a_header(written: str, header: bool) -> None:  # noqa: FBT001 - a case of a table
    """Where rows are ignored and `header` is not given there is no header; otherwise there is one."""
    definition = load_definition(changed(("header: true", written)))

    assert isinstance(definition.source, DelimitedSource)
    assert definition.source.header is header


@pytest.mark.parametrize("url", ["https://org.crm.dynamics.com", "https://org.crm.dynamics.com/api/data/v9.2"])
def test_a_service_url_gets_path_and_slash(url: str) -> None:
    """The Web API's path is added where it is missing."""
    definition = load_definition(changed(("https://org.api.crm.dynamics.com/api/data/v9.2/", url)))

    assert definition.destination.service_url == "https://org.crm.dynamics.com/api/data/v9.2/"


def test_a_service_url_may_be_an_emulator_on_this_machine_or_a_parameter() -> None:
    """Plain http is for loopback; an address in a parameter is checked when it is known."""
    local = load_definition(changed(("https://org.api.crm.dynamics.com/api/data/v9.2/", "http://127.0.0.1:8080/")))
    named = load_definition(changed(("https://org.api.crm.dynamics.com/api/data/v9.2/", '"@region"')))

    assert local.destination.service_url == "http://127.0.0.1:8080/api/data/v9.2/"
    assert named.destination.service_url == "@region"


EVENTS = """\
name: live
source:
  type: events
  columns: [{name: number}, {name: "$.address.city", alias: city}]
destination:
  {type: dynamics, entity: account, service_url: "https://o.crm.dynamics.com", client_id: a, client_secret: {env: S},
   id_column: accountid, mappings: [{source: number, target: accountnumber}, {source: city, target: address1_city}]}
sync_behaviour: {sync_key: [accountnumber]}
listener: {name: live, topic: {format: json}}
"""


def test_a_source_of_events_names_fields_or_json_paths() -> None:
    """A real-time definition needs a listener and no schedule."""
    definition = load_definition(EVENTS)

    assert isinstance(definition.source, EventsSource)
    assert [column.label for column in definition.source.columns] == ["number", "city"]


def test_a_source_of_events_needs_a_listener_and_aliases_for_paths() -> None:
    """Without a listener nothing would ever come; a JSONPath is no name."""
    found = problems(EVENTS.replace("listener: {name: live, topic: {format: json}}\n", "").replace(", alias: city", ""))

    assert [(each.path, each.line) for each in found] == [
        ("source.type", 3),
        ("source.columns[1].name", 4),
        ("destination.mappings[1].source", 7),
    ]


def test_problems_come_in_the_order_of_the_text_and_once() -> None:
    """However many checks find it, a mistake is one problem."""
    found = problems(changed(("{source: Name, target: name}", "{source: Nam, target: name, x: 1, y: 2}")))

    assert [each.path for each in found] == [f"destination.mappings[1].{key}" for key in ("source", "x", "y")]


@pytest.mark.parametrize("version", ["v9.9", "v10.0", "v9.3", "v7.0"])
def test_a_version_of_the_web_api_that_does_not_exist_is_refused(version: str) -> None:
    """The message lists those that there are."""
    with pytest.raises(DefinitionError, match=r"no version.*v9\.2"):
        load_definition(
            changed(
                ("https://org.api.crm.dynamics.com/api/data/v9.2/", f"https://x.crm.dynamics.com/api/data/{version}/")
            )
        )
