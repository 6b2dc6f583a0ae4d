"""Schemas: the built-in tables, files of the user, and the JSON of a real environment."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.schema import ColumnType, DateBehavior
from emulator.schema.entity_definitions import plural, read_entity_definitions
from emulator.schema.loader import SchemaFileError, builtin_schema, read_schema_file
from emulator.testing import running
from tests.emulator.http_client import Client

EXPANDED = "?$expand=Attributes,Keys,ManyToOneRelationships"


def _file(folder: Path, content: Any) -> Path:
    file = folder / "schema.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("table", "column", "kind", "length"),
    [
        ("account", "name", ColumnType.STRING, 160),
        ("account", "accountnumber", ColumnType.STRING, 20),
        ("account", "description", ColumnType.MEMO, 2000),
        ("account", "websiteurl", ColumnType.STRING, 200),
        ("contact", "lastname", ColumnType.STRING, 50),
        ("lead", "subject", ColumnType.STRING, 300),
        ("opportunity", "name", ColumnType.STRING, 300),
        ("product", "productnumber", ColumnType.STRING, 100),
        ("task", "subject", ColumnType.STRING, 200),
        ("transactioncurrency", "isocurrencycode", ColumnType.STRING, 5),
        ("account", "revenue", ColumnType.MONEY, None),
        ("account", "new_segments", ColumnType.MULTI_PICKLIST, None),
        ("account", "new_big", ColumnType.BIGINT, None),
    ],
)
def test_built_in_columns_have_dataverses_types(table: str, column: str, kind: ColumnType, length: int | None) -> None:
    """Names, types and lengths are those of the product."""
    found = builtin_schema().tables[table].columns[column]
    assert (found.type, found.max_length) == (kind, length)


def test_every_built_in_table_is_consistent() -> None:
    """Lookups refer to existing tables, keys and primary columns are columns, and entity sets are unique."""
    schema = builtin_schema()
    assert len(schema.by_entity_set) == len(schema.tables)
    for table in schema.tables.values():
        assert {table.primary_id, table.primary_name} <= set(table.columns)
        for column in table.columns.values():
            assert set(column.targets) <= set(schema.tables), column
            assert set(column.navigation) == set(column.targets), column
        for key in table.keys:
            assert set(key.columns) <= set(table.columns)


def test_navigation_properties_are_named_as_dataverse_names_them() -> None:
    """Standard lookups are lower-case, custom ones keep their schema name, polymorphic ones name the target."""
    schema = builtin_schema()
    assert schema.tables["account"].columns["primarycontactid"].navigation == {"contact": "primarycontactid"}
    assert schema.tables["contact"].columns["parentcustomerid"].navigation == {
        "account": "parentcustomerid_account",
        "contact": "parentcustomerid_contact",
    }
    assert schema.tables["task"].columns["regardingobjectid"].navigation["account"] == "regardingobjectid_account_task"
    assert schema.tables["account"].columns["ownerid"].navigation == {"systemuser": "ownerid", "team": "ownerid"}


def test_a_file_adds_tables_and_extends_known_ones(tmp_path: Path) -> None:
    """New columns and keys join a built-in table; a new table gets the standard columns."""
    content = {
        "Account": {"columns": {"new_Code": {"type": "String", "length": 7}}, "keys": {"new_code_key": ["new_code"]}},
        "new_Thing": {
            "columns": {"new_Name": {"type": "String"}, "new_AccountId": {"type": "Lookup", "targets": ["account"]}}
        },
    }
    schema = read_schema_file(_file(tmp_path, content), builtin_schema())
    account, thing = schema.tables["account"], schema.tables["new_thing"]
    assert account.columns["new_code"].max_length == 7
    assert [key.name for key in account.keys] == ["account_number_key", "new_code_key"]
    assert thing.primary_name == "new_name"
    assert thing.columns["new_accountid"].navigation == {"account": "new_AccountId"}
    assert {"createdon", "ownerid", "statecode", "versionnumber"} <= set(thing.columns)


def test_a_boolean_column_has_a_default_value(tmp_path: Path) -> None:
    """A record that is created without a value gets it, and the metadata say it; `null` takes it away."""
    columns: dict[str, dict[str, Any]] = {"new_Plain": {}, "new_On": {"default": True}, "new_None": {"default": None}}
    described = {name: {"type": "Boolean", **settings} for name, settings in columns.items()}
    file = _file(tmp_path, {"Account": {"columns": described}})
    with running(schema=[file]) as emulator, Client(emulator) as client:
        client.send("POST", "accounts", {"name": "a"})
        client.send("POST", "accounts", {"name": "b", "new_plain": None, "new_on": None})
        asked = "accounts?$select=new_plain,new_on,new_none&$orderby=name"
        held = [[row[name.lower()] for name in columns] for row in client.send("GET", asked).json()["value"]]
        kinds = client.send(
            "GET",
            "EntityDefinitions(LogicalName='account')/Attributes/Microsoft.Dynamics.CRM.BooleanAttributeMetadata"
            "?$select=LogicalName,DefaultValue",
        ).json()["value"]
    assert held == [[False, True, None], [None, None, None]]
    defaults = {each["LogicalName"]: each["DefaultValue"] for each in kinds}
    assert [defaults[name.lower()] for name in columns] == [False, True, None]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"new_T": {"columns": {"new_A": {"type": "Text"}}}}, "table new_T, column new_A: no such type 'Text'"),
        ({"new_T": {"columns": {"new_A": {"type": "String", "size": 3}}}}, "column new_A: unknown setting size"),
        ({"new_T": {"colums": {}}}, "table new_T: unknown setting colums"),
        ({"new_T": {"columns": {"new_A": {"type": "Lookup"}}}}, "column new_A: a lookup needs targets"),
        ({"new_T": {"columns": {"new_A": {"type": "String"}}, "keys": {"k": ["new_b"]}}}, "key k: no column new_b"),
        (
            {"new_T": {"primary_name": "x", "columns": {"new_A": {"type": "String"}}}},
            "the primary name 'x' is not one of its columns",
        ),
        (
            {"new_T": {"columns": {"new_A": {"type": "Money", "precision_source": 3}}}},
            "table new_T, column new_A: precision_source is 0, 1 or 2",
        ),
        ([1], "must map table names"),
    ],
)
def test_an_invalid_file_is_refused_with_the_place(tmp_path: Path, content: Any, said: str) -> None:
    """The message names table and column."""
    with pytest.raises(SchemaFileError, match=said):
        read_schema_file(_file(tmp_path, content), builtin_schema())


def test_plain_words_of_a_file_are_texts(tmp_path: Path) -> None:
    """As in YAML 1.2: `No` and `Yes` are labels, and numbers and `true` are what they are."""
    file = tmp_path / "schema.yaml"
    file.write_text(
        "new_Thing:\n  stateless: true\n  columns:\n    new_Name: {type: String, length: 20}\n"
        "    new_Flag: {type: Boolean, options: {0: No, 1: Yes}}\n"
        "    new_Turn: {type: Picklist, options: {1: On, 2: off, 3: 10:30, 4: 007}}\n",
        "utf-8",
    )
    columns = read_schema_file(file, builtin_schema()).tables["new_thing"].columns
    labels = {name: [option.label for option in columns[name].options] for name in ("new_flag", "new_turn")}
    assert labels == {"new_flag": ["No", "Yes"], "new_turn": ["On", "off", "10:30", "007"]}


def test_plain_words_of_a_seed_are_texts(tmp_path: Path) -> None:
    """Countries, codes with zeros, times and days: in the form of the body of a request."""
    rows = tmp_path / "rows.yaml"
    rows.write_text(
        "accounts:\n- {accountnumber: 007, name: NO, address1_city: 10:30, new_dueon: 2024-01-31, revenue: 1.5}\n",
        "utf-8",
    )
    with running(in_thread=True, seed=[f"demo={rows}"]) as emulator, Client(emulator) as client:
        assert emulator.seed("demo") == {"accounts": 1}
        asked = "accountnumber,name,address1_city,new_dueon,revenue"
        (row,) = client.send("GET", f"accounts?$select={asked}").json()["value"]
    assert [row[name] for name in asked.split(",")] == ["007", "NO", "10:30", "2024-01-31", 1.5]


def test_a_file_that_is_no_yaml_or_does_not_exist_is_refused(tmp_path: Path) -> None:
    """Each has its own message."""
    (tmp_path / "bad.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(SchemaFileError, match=r"bad\.yaml is not valid YAML"):
        read_schema_file(tmp_path / "bad.yaml", builtin_schema())
    with pytest.raises(SchemaFileError, match="can't be read"):
        read_schema_file(tmp_path / "none.yaml", builtin_schema())
    (tmp_path / "x.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(SchemaFileError, match="does not hold EntityMetadata"):
        read_entity_definitions(tmp_path / "x.json", builtin_schema())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("new_thing", "new_things"),
        ("new_winby", "new_winbies"),
        ("new_extraruns", "new_extrarunses"),
        ("new_day", "new_days"),
    ],
)
def test_entity_sets_are_pluralised_as_dataverse_does(name: str, expected: str) -> None:
    """Not only with an s at the end."""
    assert plural(name) == expected


def test_the_json_of_entity_definitions_gives_the_same_table_back(tmp_path: Path) -> None:
    """The definitions from one emulator create the same tables in another."""
    schema = builtin_schema()
    file = tmp_path / "tables.json"
    with running(in_thread=True) as emulator, Client(emulator) as client:
        tables = [
            client.send("GET", f"EntityDefinitions(LogicalName='{name}'){EXPANDED}").json()
            for name in ("account", "contact", "task")
        ]
    file.write_text(json.dumps({"value": tables}), encoding="utf-8")
    read = read_entity_definitions(file, schema)
    for name in ("account", "contact", "task"):
        old, new = schema.tables[name], read.tables[name]
        assert (new.entity_set, new.primary_id, new.primary_name) == (old.entity_set, old.primary_id, old.primary_name)
        assert [key.columns for key in new.keys] == [key.columns for key in old.keys]
        assert set(new.columns) == set(old.columns)
        for column in old.columns.values():
            other = new.columns[column.logical_name]
            assert (other.type, other.max_length, other.targets) == (column.type, column.max_length, column.targets)
            assert (other.min_value, other.max_value) == (column.min_value, column.max_value)
            assert (other.precision, other.precision_source) == (column.precision, column.precision_source)
            assert other.navigation == column.navigation
            assert other.date_behavior == column.date_behavior
    with running(in_thread=True, schema=[file]) as emulator, Client(emulator) as client:
        assert client.upsert([{"accountnumber": "1", "name": "A"}]).status_code == 204
        assert client.names() == ["A"]


def test_lookups_to_tables_that_were_not_imported_are_accepted(tmp_path: Path) -> None:
    """A table of a real environment refers to many others; the column exists and its target does not."""
    entity = {
        "SchemaName": "new_Site",
        "Attributes": [
            {"SchemaName": "new_Name", "AttributeType": "String", "IsPrimaryName": True},
            {"SchemaName": "new_TerritoryId", "AttributeType": "Lookup", "Targets": ["territory"]},
            {"SchemaName": "statecode", "LogicalName": "statecode", "AttributeType": "State"},
        ],
    }
    file = tmp_path / "site.json"
    file.write_text(json.dumps(entity), encoding="utf-8")
    with running(in_thread=True, schema=[file]) as emulator, Client(emulator) as client:
        answer = client.send("POST", "new_sites", {"new_name": "A"}, Prefer="return=representation")
        row = answer.json()
        assert (row["_new_territoryid_value"], row["statecode"], row["statuscode"]) == (None, 0, 1)
        for path in ("$metadata", "EntityDefinitions(LogicalName='new_site')" + EXPANDED, "new_sites"):
            assert client.send("GET", path).status_code == 200, path
        assert client.send("GET", f"new_sites({row['new_siteid']})/new_TerritoryId").status_code == 404
        bound = {"new_TerritoryId@odata.bind": f"/territories({row['new_siteid']})"}
        assert client.send("POST", "new_sites", bound).status_code == 404
        annotated = client.send("GET", "new_sites", Prefer='odata.include-annotations="*"')
        assert annotated.status_code == 200


def test_the_precision_source_is_read_from_the_json(tmp_path: Path) -> None:
    """As documented it is the currency where a definition does not state it."""
    money = {"AttributeType": "Money", "Precision": 3}
    entity = {
        "SchemaName": "new_Deal",
        "PrimaryNameAttribute": "new_name",
        "Attributes": [
            {"SchemaName": "new_Name", "AttributeType": "String", "MaxLength": 10, "IsPrimaryName": True},
            {"SchemaName": "new_Own", "PrecisionSource": 0, **money},
            {"SchemaName": "new_Price", "PrecisionSource": 1, **money},
            {"SchemaName": "new_Amount", **money},
        ],
    }
    file = tmp_path / "deal.json"
    file.write_text(json.dumps(entity), encoding="utf-8")
    columns = read_entity_definitions(file, builtin_schema()).tables["new_deal"].columns
    assert [columns[name].precision_source for name in ("new_own", "new_price", "new_amount")] == [0, 1, 2]


def test_option_sets_are_read_from_the_json(tmp_path: Path) -> None:
    """Choices are then checked; without their options every number is accepted."""
    label = {"UserLocalizedLabel": {"Label": "Red", "LanguageCode": 1033}}
    entity = {
        "SchemaName": "new_Paint",
        "PrimaryNameAttribute": "new_name",
        "Attributes": [
            {"SchemaName": "new_Name", "AttributeType": "String", "MaxLength": 10, "IsPrimaryName": True},
            {
                "SchemaName": "new_Color",
                "AttributeType": "Picklist",
                "OptionSet": {"Name": "new_color", "Options": [{"Value": 5, "Label": label}]},
            },
            {"SchemaName": "new_Shade", "AttributeType": "Picklist"},
            {"SchemaName": "new_NameX", "AttributeType": "Virtual", "AttributeOf": "new_color"},
            {"SchemaName": "new_On", "AttributeType": "DateTime", "DateTimeBehavior": {"Value": "DateOnly"}},
        ],
    }
    file = tmp_path / "paint.json"
    file.write_text(json.dumps(entity), encoding="utf-8")
    table = read_entity_definitions(file, builtin_schema()).tables["new_paint"]
    assert table.columns["new_color"].options[0].label == "Red"
    assert table.columns["new_on"].date_behavior is DateBehavior.DATE_ONLY
    assert "new_namex" not in table.columns
    with running(in_thread=True, schema=[file]) as emulator, Client(emulator) as client:
        assert client.send("POST", "new_paints", {"new_color": 5, "new_shade": 77}).status_code == 204
        assert client.send("POST", "new_paints", {"new_color": 6}).status_code == 400


def test_a_key_that_is_not_ready_is_not_enforced(tmp_path: Path) -> None:
    """Two rows can have the same values until its index is active, and no address can name a row by it."""
    key = {"code_key": {"columns": ["new_code"], "status": "Failed"}}
    columns = {"new_Name": {"type": "String"}, "new_Code": {"type": "String"}}
    file = _file(tmp_path, {"new_T": {"keys": key, "columns": columns}})
    with running(in_thread=True, limits="none", schema=[file]) as emulator, Client(emulator) as client:
        for _ in range(2):
            assert client.send("POST", "new_ts", {"new_code": "A"}).status_code == 204
        assert client.send("GET", "new_ts(new_code='A')").status_code == 404
