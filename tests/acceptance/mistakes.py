"""Typical mistakes of a first day with definitions: what is changed in a correct definition, its file, or the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["CORRECT", "CUSTOMERS", "MISTAKES", "Mistake"]

CORRECT: Final = """\
name: customers
schedule: "0 */15 * * * *"

parameters:
  file_path: {default: customers.csv}
  service_url: {formula: "ENV('DYNAMICS_URL')"}

source:
  type: delimited
  path: "@file_path"
  columns:
    - name: Customer No
      alias: number
      mandatory: true
      validate: true
    - name: Name
      alias: name
    - name: Revenue
      alias: revenue
      type: number
    - name: Since
      alias: since
      type: date
      input_format: dd/MM/yyyy
    - name: Parent No
      alias: parent
    - name: segment
      cases:
        - {when: "revenue > 1000000", then: "'Preferred Customer'"}
      default: "'Standard'"
  filter: "revenue >= 0"

destination:
  type: dynamics
  entity: account
  service_url: "@service_url"
  client_id: {env: DYNAMICS_CLIENT_ID}
  client_secret: {env: DYNAMICS_CLIENT_SECRET}
  id_column: accountid
  filter: "statecode eq 0"
  mappings:
    - {source: number, target: accountnumber}
    - {source: name, target: name}
    - {source: revenue, target: revenue}
    - {source: since, target: new_dueon}
    - {source: segment, target: accountcategorycode}
    - {source: parent, target: parentaccountid, lookup: {match: accountnumber}}

sync_behaviour:
  sync_key: [accountnumber]
  changed: update
  dropped: delete
  safety: {max_delete: 30%}

listener:
  name: customer events
  topic:
    format: json
    records: $.data
    match: {type: customer.changed}
    action: $.op
"""
"""A definition without a mistake."""

CUSTOMERS: Final = """\
Customer No,Name,Revenue,Since,Parent No
C-1,One,100.50,31/12/1996,
C-2,Two,2000000,01/02/2003,C-1
"""
"""Its file."""

_WORKBOOK: Final = b"PK\x03\x04\x14\x00\x06\x00\x08\x00" + bytes(20) + b"xl/workbook.xml" + bytes(60)
_OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake.

    Attributes:
        title: What the person did.
        changes: Text of the correct definition -> what is there instead; several where the mistake has several places.
        files: Files beside the definition that are written instead of the correct one, or (None) that are not there.
        command: What the person types; the folder of definitions is `syncs`.
        settings: Settings of the environment that differ.
    """

    title: str
    changes: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    command: Sequence[str] = ("validate",)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def definition(self) -> str:
        """The definition with the mistake."""
        text = CORRECT
        for right, wrong in self.changes.items():
            assert text.count(right) == 1, right
            text = text.replace(right, wrong)
        return text


def _written(title: str, right: str, wrong: str) -> Mistake:
    """A mistake in the definition that `validate` reports."""
    return Mistake(title=title, changes={right: wrong})


def _delivered(title: str, content: str | bytes | None, *changes: tuple[str, str]) -> Mistake:
    """A mistake in the source's file that `plan` reports."""
    return Mistake(title=title, files={"customers.csv": content}, command=("plan", "customers"), changes=dict(changes))


_YAML: Final = (
    _written("a key is one space too deep", "\n      alias: number", "\n       alias: number"),
    _written("a list item is one space too deep", "\n    - name: Revenue", "\n     - name: Revenue"),
    _written("a key is one space too far left", "\n  id_column: accountid", "\n id_column: accountid"),
    _written("a section is indented", "\nsync_behaviour:", "\n sync_behaviour:"),
    _written("a tab in the indentation", '\n  filter: "revenue', '\n\tfilter: "revenue'),
    _written("a quote is not closed", 'when: "revenue > 1000000"', 'when: "revenue > 1000000'),
    _written("a quote of a line is not closed", 'filter: "statecode eq 0"', 'filter: "statecode eq 0'),
    _written("a bracket is not closed", "sync_key: [accountnumber]", "sync_key: [accountnumber"),
    _written("a brace is not closed", "{source: name, target: name}", "{source: name, target: name"),
    _written("no blank after a colon", "type: delimited", "type:delimited"),
    _written("a colon in text without quotes", "{source: name, target: name}", "{source: a: b, target: name}"),
    _written("text that starts with @, without quotes", 'path: "@file_path"', "path: @file_path"),
    _written("text that starts with *, without quotes", 'filter: "revenue >= 0"', "filter: *revenue"),
    _written("text that starts with %, without quotes", "name: Parent No", "name: %parent"),
    _written("a Windows path in double quotes", "{default: customers.csv}", '{default: "C:\\inbox\\customers.csv"}'),
    _written("the same key twice", "\n      alias: name", "\n      alias: name\n      alias: full_name"),
    _written("the same section twice", "\nlistener:", "\nparameters:\n  run_tag: {default: nightly}\n\nlistener:"),
    _written("two definitions in one file", "\nlistener:", "\n---\nlistener:"),
    _written("a list instead of a mapping", "destination:\n  type: dynamics", "destination:\n  - type: dynamics"),
    Mistake(title="an empty definition", changes={CORRECT: ""}),
    Mistake(title="a definition that is text", changes={CORRECT: "customers"}),
)
_KEYS: Final = (
    _written("a key with a typing error", "sync_key:", "sync_keys:"),
    _written("a key of another section", '  filter: "revenue >= 0"', '  where: "revenue >= 0"'),
    _written("camel case", "id_column:", "idColumn:"),
    _written("a required key is missing", "  entity: account\n", ""),
    _written("a required section is missing", "\n  sync_key: [accountnumber]", ""),
    _written("a section without content", "  mappings:\n", "  mappings:\n  options:\n"),
    _written("a kind of source that does not exist", "type: delimited", "type: csv"),
    _written("a kind of source with a typing error", "type: delimited", "type: delimitted"),
    _written("the kind of the source is missing", "  type: delimited\n", ""),
    _written("a type of column that does not exist", "type: number", "type: integer"),
    _written("a word that is not one of a list", "dropped: delete", "dropped: remove"),
    _written("another word that is not one of a list", "changed: update", "changed: updates"),
    _written("text instead of a boolean", "mandatory: true", "mandatory: ja"),
    _written("a number instead of text", "name: Parent No", "name: 2024"),
    _written("a date instead of text", "name: Parent No", "name: 2024-01-31"),
    _written("a text instead of a list", "sync_key: [accountnumber]", "sync_key: accountnumber"),
    _written(
        "a mapping instead of a list", "mappings:\n    - {source: number", "mappings:\n    first: {source: number"
    ),
    _written("an empty list", "sync_key: [accountnumber]", "sync_key: []"),
    _written("an empty text", "name: Parent No", 'name: ""'),
    _written("text instead of a number", "max_delete: 30%", "max_delete: many"),
    _written("a limit above 100 %", "max_delete: 30%", "max_delete: 300%"),
    _written("a negative limit", "max_delete: 30%", "max_delete: -1"),
    _written("a number out of its range", "type: date\n", "type: date\n      pivot: 2000\n"),
    _written("a number with a decimal point", "mandatory: true", "max_length: 10.5"),
    _written("a number as text", "mandatory: true", "max_length: twenty"),
    _written("true instead of a number", "mandatory: true", "max_length: true"),
    _written("a name with blanks and capital letters", "name: customers\n", "name: My Customers\n"),
    _written("a secret in plain text", "{env: DYNAMICS_CLIENT_SECRET}", "p8Q~very-secret-value"),
    _written("a reference to a secret with a wrong key", "{env: DYNAMICS_CLIENT_SECRET}", "{keyvault: dynamics}"),
)
_SCHEDULES: Final = (
    _written("a schedule in words", '"0 */15 * * * *"', "every 15 minutes"),
    _written("a schedule with four fields", '"0 */15 * * * *"', '"*/15 * * *"'),
    _written("a minute that does not exist", '"0 */15 * * * *"', '"0 75 * * * *"'),
    _written("a schedule as a duration", '"0 */15 * * * *"', "15m"),
    _written("a schedule that never occurs", '"0 */15 * * * *"', '"0 0 0 31 2 *"'),
    _written("a day of the week that does not exist", '"0 */15 * * * *"', '"0 6 * * Mo-Fr"'),
)
_NAMES: Final = (
    _written("a mapping of a column that the source does not have", "{source: name,", "{source: nmae,"),
    _written("a mapping by the column's name, not its alias", "{source: number,", "{source: Customer No,"),
    _written("a target that the table does not have", "target: new_dueon", "target: new_dueat"),
    _written("a target with a display name", "target: accountnumber}", "target: Account Number}"),
    _written("a lookup by its property name", "target: parentaccountid", "target: _parentaccountid_value"),
    _written("a target mapped twice", "target: new_dueon", "target: name"),
    _written("a sync key that no mapping has", "sync_key: [accountnumber]", "sync_key: [number]"),
    _written("a table that does not exist", "entity: account", "entity: acount"),
    _written("the id column of another table", "id_column: accountid", "id_column: contactid"),
    _written("a column of a lookup's table that does not exist", "match: accountnumber", "match: number"),
    _written("two columns with one name", "alias: revenue", "alias: name"),
    _written("a formula that is an expression", "{default: customers.csv}", "{formula: \"@folder || '/c.csv'\"}"),
    _written("a parameter with a typing error", 'path: "@file_path"', 'path: "@filepath"'),
    _written("a formula that does not exist", "ENV('DYNAMICS_URL')", "ENVIRONMENT('DYNAMICS_URL')"),
)
_EXPRESSIONS: Final = (
    _written("OData in SQL", '"revenue >= 0"', '"revenue ge 0"'),
    _written("OData in SQL, with equality", '"revenue >= 0"', "\"name eq 'One'\""),
    _written("OData functions in SQL", '"revenue >= 0"', "\"startswith(name,'O') and revenue gt 0\""),
    _written("SQL in an OData filter", '"statecode eq 0"', '"statecode = 0"'),
    _written("more SQL in an OData filter", '"statecode eq 0"', "\"name <> 'One' AND revenue >= 10\""),
    _written("SQL words in an OData filter", '"statecode eq 0"', "\"name like 'O%' or name is null\""),
    _written("a double quote in an OData filter", '"statecode eq 0"', "'name eq \"One\"'"),
    _written("an OData filter with a column that does not exist", '"statecode eq 0"', '"state eq 0"'),
    _written("an OData filter with an open bracket", '"statecode eq 0"', '"(statecode eq 0"'),
    _written("an OData filter with an open quote", '"statecode eq 0"', '"name eq \'One"'),
    _written("a display name in an OData filter", '"statecode eq 0"', "\"Account Name eq 'One'\""),
    _written("text in double quotes", "then: \"'Preferred Customer'\"", "then: '\"Preferred Customer\"'"),
    _written("text without quotes", "then: \"'Preferred Customer'\"", "then: Preferred Customer"),
    _written("one word without quotes", "default: \"'Standard'\"", "default: Standard"),
    _written("two equals signs", '"revenue >= 0"', '"revenue == 0 && name == 1"'),
    _written("a column with a typing error in an expression", '"revenue >= 0"', '"revenu >= 0"'),
    _written("a column by its name in the file", '"revenue >= 0"', '"Revenue >= 0 AND Customer No IS NOT NULL"'),
    _written("a function that does not exist", '"revenue >= 0"', '"len_of(name) > 3"'),
    _written("a function of another database", '"revenue >= 0"', "\"charindex('a', name) > 3\""),
    _written("a whole query", '"revenue >= 0"', '"SELECT * FROM customers WHERE revenue > 0"'),
    _written("WHERE in front of the condition", '"revenue >= 0"', '"WHERE revenue > 0"'),
    _written("a condition that is not finished", '"revenue >= 0"', '"revenue >="'),
    _written("a bracket too many", '"revenue >= 0"', '"(revenue >= 0))"'),
    _written("text compared with a number", '"revenue >= 0"', "\"revenue >= 'many'\""),
    _written(
        "a formula that is not a date for a date column",
        "default: \"'Standard'\"",
        'default: "1 + 1"\n      type: date',
    ),
)
_FORMATS: Final = (
    _written("a format token that does not exist", "dd/MM/yyyy", "dd/MM/jjjj"),
    _written("a format in capital letters", "dd/MM/yyyy", "DD/MM/YYYY"),
    _written("a format with minutes for months", "dd/MM/yyyy", "dd/mm/yyyy"),
    _written("a format by its name", "dd/MM/yyyy", "ISO"),
    _written("a strptime token that does not exist", "dd/MM/yyyy", '"%d/%m/%Q"'),
    _written("a format without a year", "dd/MM/yyyy", "dd/MM"),
    _written(
        "a format for a column that is not a date", "type: number", "type: number\n      input_format: dd/MM/yyyy"
    ),
    _written("text into a number", "type: number\n", "type: text\n"),
    _written("a number into a date", "source: since,", "source: revenue,"),
)
_LISTENERS: Final = (
    _written("a listener without a topic", CORRECT[CORRECT.index("  topic:") :], ""),
    _written("a listener with an empty topic", CORRECT[CORRECT.index("  topic:") :], "  topic:\n"),
    _written("a format of events that does not exist", "format: json", "format: xml"),
)
_DELIVERIES: Final = (
    _delivered("the file is not there", None),
    _delivered("the file is empty", ""),
    _delivered("an Excel file named as delimited", _WORKBOOK),
    _delivered("a Parquet file named as delimited", b"PAR1" + bytes(60)),
    _delivered("an old Excel file named as delimited", _OLD_WORKBOOK),
    _delivered("another delimiter", CUSTOMERS.replace(",", ";")),
    _delivered("a column that the file does not have", CUSTOMERS.replace("Parent No", "Parent")),
    _delivered("another encoding", CUSTOMERS.replace("Two", "Zwölf").encode("cp1252")),
    _delivered("a date that does not fit", CUSTOMERS.replace("31/12/1996", "1996"), ("dd/MM/yyyy", "dd-MM-yy")),
    _delivered("text in a number column", CUSTOMERS.replace("100.50", "a hundred")),
    _delivered("a number with a comma", CUSTOMERS.replace("100.50", '"100,50"')),
    _delivered("a text that is too long", CUSTOMERS.replace("One", "N" * 170)),
    _delivered("an empty mandatory column", CUSTOMERS.replace("C-2,Two", ",Two")),
    _delivered("the same key twice in the file", CUSTOMERS.replace("C-2,Two", "C-1,Two")),
    _delivered("a parent that does not exist", CUSTOMERS.replace("C-1\n", "C-9\n")),
    Mistake(title="validate sees the header", files={"customers.csv": CUSTOMERS.replace("Parent No", "Parent")}),
    Mistake(title="validate sees an Excel file named as delimited", files={"customers.csv": _WORKBOOK}),
    Mistake(title="validate does not need the file", files={"customers.csv": None}),
)
_COMMANDS: Final = (
    Mistake(title="a sync that does not exist", command=("plan", "customer")),
    Mistake(title="a file name instead of a sync's name", command=("plan", "syncs/customers.yaml")),
    Mistake(title="a definitions folder that does not exist", settings={"SYNC_DEFINITIONS": "definitions"}),
    Mistake(title="a definitions folder without definitions", settings={"SYNC_DEFINITIONS": "."}),
    Mistake(title="a parameter without a value", command=("plan", "customers", "-p", "file_path")),
    Mistake(title="a parameter that is not there", command=("plan", "customers", "-p", "file=customers.csv")),
    Mistake(title="a run that does not exist", command=("errors", "abc")),
    Mistake(title="a command that does not exist", command=("sync", "customers")),
    Mistake(title="a setting of the environment is missing", settings={"DYNAMICS_URL": ""}),
    Mistake(title="a secret that the environment does not have", settings={"DYNAMICS_CLIENT_SECRET": ""}),
    Mistake(title="a wrong secret", settings={"DYNAMICS_CLIENT_SECRET": "wrong-secret-value"}),
    Mistake(
        title="an environment that does not answer", settings={"DYNAMICS_URL": "http://127.0.0.1:9/api/data/v9.2/"}
    ),
    Mistake(title="a URL without a path", settings={"DYNAMICS_URL": "org.crm.dynamics.com"}),
    Mistake(title="a plan file that does not exist", command=("run", "customers", "--plan", "missing.plan")),
    Mistake(title="a plan file that is no plan", command=("run", "customers", "--plan", "customers.csv")),
)

MISTAKES: Final = (
    *_YAML,
    *_KEYS,
    *_SCHEDULES,
    *_NAMES,
    *_EXPRESSIONS,
    *_FORMATS,
    *_LISTENERS,
    *_DELIVERIES,
    *_COMMANDS,
)
