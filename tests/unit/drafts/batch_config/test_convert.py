"""Files of another platform become definitions, and nothing in them is left out without a word."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring, tostring

import pytest

from shared.definitions import SyncDefinition
from shared.definitions.loading.definition import load_definition
from shared.drafts.batch_config import ImportedDefinition, imported
from shared.errors import UserError
from shared.transform import check_expressions

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.xml"))
CUSTOMERS = (Path(__file__).parent / "samples" / "customers-file.xml").read_text("utf-8")
RICH = {"customers-file", "product-tickets-query", "records-api", "groups-workbook"}  # each other value is an import
ALIKE = 1  # elements of one name of which each value is changed
# What an import answers with a line about the whole element, or what only orders the columns.
TOLD_AS_ONE = {"clientid", "clientsecret", "connectionString", "username", "password", "ordinal", "timeout"}


def _definition(text: str) -> SyncDefinition:
    definition = load_definition(text, file="imported.yaml")
    if definition.source.has_all_columns:
        assert check_expressions(definition) == ()
    return definition


def _parsed(sample: Path) -> Element:
    return fromstring(sample.read_text("utf-8").replace('encoding="utf-16"', "").replace('encoding="UTF-16"', ""))  # noqa: S314


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_becomes_a_definition_that_validates(sample: Path) -> None:
    """Offline, with the same rules as `validate --offline`; the file has the list of what needs a person too."""
    made = imported(sample.read_bytes(), sample.name)
    definition = _definition(made.text)
    assert definition.name == made.name
    assert definition.destination.mappings
    flat = " ".join(made.text.replace("# ", "").split())
    assert all(" ".join(line.split()) in flat for line in made.needs)
    assert "cipher" not in made.text, "no ciphertext is carried over"


def _places(element: Element, place: str) -> Iterator[tuple[str, Element]]:
    """Each element with its path, numbered where several of the name are side by side."""
    yield place, element
    names = [child.tag.rpartition("}")[2] for child in element]
    for number, child in enumerate(element):
        own = f"[{names[: number + 1].count(names[number])}]" if names.count(names[number]) > 1 else ""
        yield from _places(child, f"{place}/{names[number]}{own}")


def _strange(kind: str, element: Element) -> None:
    match kind:
        case "element":
            element.append(Element("Strange"))
        case "attribute":
            element.set("strange", "1")
        case "text" if len(element):
            element.text = "strange"


@pytest.mark.parametrize("kind", ["element", "attribute", "text"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_nothing_that_is_added_anywhere_stays_without_a_line(sample: Path, kind: str) -> None:
    """Something unknown in each element of a sample: a line names it, or one tells of the whole element around it."""
    whole = _parsed(sample)
    places = list(_places(whole, "BatchDataSyncConfig"))
    for _, element in places:
        _strange(kind, element)
    made = imported(tostring(whole), sample.name)
    _definition(made.text)
    own = {"element": "/Strange", "attribute": "/@strange", "text": ""}[kind]
    told = {line.partition(": ")[0] for line in made.needs}
    for place, element in places:
        if kind == "text" and not len(element):
            continue
        around = [place, place.rpartition("/")[0], place.rpartition("/")[0].rpartition("/")[0]]
        covered = any(each in told for each in around if each.count("/") > 1 or "DataSource" in each)
        assert place + own in told or covered, (place, sorted(told))


def _changed_values(whole: Element) -> Iterator[tuple[str, Element]]:
    seen: Counter[str] = Counter()
    for number, (place, element) in enumerate(_places(whole, "BatchDataSyncConfig")):
        seen[element.tag] += 1
        for name, value in element.attrib.items() if seen[element.tag] <= ALIKE else ():
            changed = copy.deepcopy(whole)
            other = {"false": "true", "true": "false"}.get(value, f"{value}1")
            list(changed.iter())[number].set(name, other)
            yield f"{place}/@{name}", changed


@pytest.mark.parametrize("sample", [each for each in SAMPLES if each.stem in RICH], ids=lambda path: path.stem)
def test_every_value_matters_or_is_reported(sample: Path) -> None:
    """With another value of any attribute the YAML is another one, or a line names the attribute or its element."""
    whole = _parsed(sample)
    before = imported(tostring(whole), sample.name)
    for place, changed in _changed_values(whole):
        element, _, name = place.partition("/@")
        if name.lower() in TOLD_AS_ONE:
            continue
        after = imported(tostring(changed), sample.name)
        told = {line.partition(": ")[0] for line in before.needs}
        assert after.text != before.text or not told.isdisjoint({place, element, element.rpartition("/")[0]}), place


def test_the_values_of_a_file() -> None:
    """Columns, formulas, parameters, key and behaviour as the platform means them."""
    made = imported(CUSTOMERS.encode(), "customers.xml")
    definition = _definition(made.text)
    columns = {column.label: column for column in definition.source.columns}
    number = columns["Customer No"]
    assert (number.mandatory, number.validate_, number.trim, number.max_length) == (True, True, True, 20)
    assert columns["Since"].input_formats == ("dd/MM/yyyy",)
    assert [(each.pattern, each.with_) for each in columns["Value 2"].replace] == [("^0*", ""), ("^(A)-", r"\1")]
    assert columns["shown"].formula == """isnull("Value 2", 'none')"""
    assert columns["tag"].formula == "@runTag"
    script = columns["First Name"].script or ""
    assert script.splitlines()[:3] == ["function trimmed(name) {", "    return name ? name.trim() : null;", "}"]
    assert "script: |-\n" in made.text, "in lines, as a person would write it"
    assert definition.source.row_filter == '"Revenue" > 100000 AND "Active" = true'
    assert definition.parameters["runTag"].formula == "GUID()"
    assert definition.parameters["apiSecret"].formula == "SECRET('crm-secret')"
    assert definition.parameters["filePath"].formula is None
    assert definition.sync_behaviour.sync_key == ("accountnumber",)
    assert definition.sync_behaviour.dropped.model_dump() == {"expire": "new_expiredon"}  # type: ignore[union-attr]
    assert definition.destination.mappings[3].lookups[0].match == "account_number"


VERBATIM = r"""<StringReplacement pattern="\s+" replacement=" "/><StringReplacement pattern=" GmbH" replacement=""/>"""


def _changed(*pairs: tuple[str, str]) -> ImportedDefinition:
    """What the file of customers becomes with other texts in it."""
    text = CUSTOMERS
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after, 1)
    return imported(text.encode(), "customers.xml")


def _lines(made: ImportedDefinition) -> dict[str, str]:
    """What is said about a place."""
    return {
        place.removeprefix("BatchDataSyncConfig/"): said for place, _, said in (x.partition(": ") for x in made.needs)
    }


def test_blanks_stay_where_they_are_the_value() -> None:
    """A pattern, its replacement and a delimiter may begin and end with blanks, or be one."""
    definition = _definition(
        _changed(("<Transformations>", f"<Transformations>{VERBATIM}"), ('delimiter="|"', 'delimiter="&#9;"')).text
    )
    found = next(each for each in definition.source.columns if each.label == "Value 2").replace
    assert [(each.pattern, each.with_) for each in found[:2]] == [(r"\s+", " "), (" GmbH", "")]
    assert definition.source.delimiter == "\t"  # type: ignore[union-attr]


def test_a_blank_as_the_delimiter_is_kept_and_told() -> None:
    """A tab that is written as it is comes as a blank out of the XML: a person has to look."""
    made = _changed(('delimiter="|"', 'delimiter="\t"'))
    assert _definition(made.text).source.delimiter == " "  # type: ignore[union-attr]
    assert "XML reads a tab as a blank" in _lines(made)["DelimitedDataSource/@delimiter"]


@pytest.mark.parametrize(
    ("written", "strategy", "said"),
    [
        ("false", "delta", "delta inserts all rows"),
        ("False", "delta", "delta inserts all rows"),
        ("0", "delta", "delta inserts all rows"),
        ("True", "full", ""),
        ("1", "full", ""),
        ("no", "full", "neither true nor false; nothing was made of it"),
    ],
)
def test_whether_rows_are_compared_is_read_as_xml_and_csharp_write_it(written: str, strategy: str, said: str) -> None:
    """Any other word is told, and the strategy stays the usual one."""
    made = _changed(("<DynamicsTarget ", f'<DynamicsTarget reconcileData="{written}" '))
    assert _definition(made.text).sync_behaviour.strategy == strategy
    line = _lines(made).get("DynamicsTarget/@reconcileData", "")
    assert said in line
    assert bool(said) is bool(line)


@pytest.mark.parametrize(("written", "mandatory"), [("1", True), ("TRUE", True), ("0", False), ("yes", False)])
def test_a_word_that_is_neither_true_nor_false_is_told(written: str, mandatory: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Of every attribute that says yes or no."""
    made = _changed(('isMandatory="true"', f'isMandatory="{written}"'))
    assert _definition(made.text).source.columns[0].mandatory is mandatory
    place = "DelimitedDataSource/Schema/Column[1]/@isMandatory"
    assert _lines(made).get(place, "").startswith("this is neither") is (written == "yes")


def test_two_parameters_never_become_one() -> None:
    """Names that cannot be used, and names that come twice, get a number."""
    group = '<Parameters><Parameter name="A B" formula="NOW()"/><Parameter name="a_b" formula="GUID()"/>'
    made = _changed(("<Parameters>", f'{group}<Parameter name="a_b" formula="NOW()"/><Parameter name="1"/>'))
    found = _definition(made.text).parameters
    assert {name: each.formula for name, each in [*found.items()][:4]} == {
        "a_b_2": "NOW()",
        "a_b": "GUID()",
        "a_b_3": "NOW()",
        "p_1": None,
    }
    lines = _lines(made)
    assert "a_b_2 was written" in lines["Parameters/Parameter[1]/@name"]
    assert "this one is called a_b_3" in lines["Parameters/Parameter[3]/@name"]


def test_a_script_keeps_its_texts() -> None:
    """Tabs stay; blanks at the ends of lines stay where a text may have several lines."""
    plain = _definition(_changed(("<Script>", "<Script>\n\tconst t = 'a\tb  c';  \n")).text)
    assert "const t = 'a\tb  c';\n" in (plain.source.columns[-1].script or "")
    lines = _definition(_changed(("<Script>", "<Script>const t = `a  \nb`;\n")).text)
    assert "const t = `a  \nb`;" in (lines.source.columns[-1].script or "")


def test_an_attribute_that_is_there_under_two_names_is_told() -> None:
    """One of them is taken."""
    made = _changed(('delimiter="|"', 'delimiter="|" Delimiter=";"'))
    assert "DelimitedDataSource/@Delimiter" in _lines(made)


def test_the_line_of_names_in_a_file_of_fixed_width_is_no_row() -> None:
    """Its columns have places, so the names are skipped."""
    sample = (Path(__file__).parent / "samples" / "lines-fixed-width.xml").read_text("utf-8")
    made = imported(sample.replace("headerRows", 'useHeaderRecord="true" headerRows').encode(), "lines.xml")
    assert _definition(made.text).source.header_rows_to_ignore == 1  # type: ignore[union-attr]


def test_of_two_headers_with_one_name_the_first_one_stays() -> None:
    """The second one is told; a header of which it is not clear whether it is encrypted is left out."""
    sample = (Path(__file__).parent / "samples" / "records-api.xml").read_text("utf-8")
    more = (
        '<Header name="X-A">1</Header><Header name="x-a">2</Header><Header name="X-B" isEncrypted="yes">cipher</Header>'
    )
    made = imported(sample.replace("<RequestHeaders>", f"<RequestHeaders>{more}").encode(), "api.xml")
    headers = _definition(made.text).source.headers  # type: ignore[union-attr]
    assert (headers["X-A"], "X-B" in headers) == ("1", False)
    assert "another header has the name x-a" in _lines(made)["RestApiDataSource/RequestHeaders/Header[2]"]


def test_values_that_cannot_be_used_are_reported_one_by_one() -> None:
    """Of a file in which nearly everything is wrong: the definition still validates, and each mistake has its line."""
    sample = Path(__file__).parent / "samples" / "slips.xml"
    made = imported(sample.read_bytes(), sample.name)
    definition = _definition(made.text)
    assert (definition.name, definition.destination.entity, definition.sync_behaviour.dropped) == (
        "imported",
        "account",
        "ignore",
    )
    told = {line.partition(": ")[0].removeprefix("BatchDataSyncConfig/") for line in made.needs}
    source, target = "RestApiDataSource", "DynamicsTarget"
    assert told >= {
        "BatchDataSyncConfig/@name".removeprefix("BatchDataSyncConfig/"),
        "Parameters/Parameter[1]/@name",
        "Parameters/Parameter[2]/@formula",
        *(f"{source}/@{name}" for name in ("format", "endpoint", "pathToIterate")),
        f"{source}/Schema/Column[1]/@maxLength",
        f"{source}/Schema/Column[2]/@dataType",
        f"{source}/Schema/Column[2]/@inputFormat",
        f"{source}/Schema/Column[3]/@inputFormat",
        f"{source}/Schema/Column[4]",
        f"{source}/Schema/Column[5]/@dataType",
        f"{source}/Schema/Column[5]/Transformations/StringReplacement[1]",
        f"{source}/Schema/Column[5]/Transformations/StringReplacement[2]",
        f"{source}/Schema/CalculatedColumn[1]",
        f"{source}/Schema/CalculatedColumn[2]/@formula",
        f"{source}/Filter[1]",
        f"{source}/Filter[2]",
        *(f"{target}/@{name}" for name in ("entity", "idColumn", "serviceUrl", "timeout")),
        f"{target}/ColumnMappings/ColumnMapping[1]",
        f"{target}/ColumnMappings/ColumnMapping[2]",
        f"{target}/Filter[2]",
        f"{target}/DroppedRecordBehaviour/@expirationTimestampField",
        target,
    }


def test_a_column_that_cannot_be_calculated_clears_nothing() -> None:
    """Its mapping is left out: an empty column would empty the column of the table."""
    text = CUSTOMERS.replace('sourceColumn="Revenue"', 'sourceColumn="shown"')
    text = text.replace("isnull([Value 2], 'none')", "CHARINDEX(")
    made = imported(text.encode(), "customers.xml")
    assert "revenue" not in {each.target for each in _definition(made.text).destination.mappings}
    assert any("would clear the target" in line for line in made.needs)


def test_a_filter_in_another_language_drops_nothing() -> None:
    """Without the filter of the target more records would count as dropped, so none is."""
    text = CUSTOMERS.replace("statecode eq 0", "[Source] = 'ERP'")
    made = imported(text.encode(), "customers.xml")
    definition = _definition(made.text)
    assert (definition.destination.filter, definition.sync_behaviour.dropped) == (None, "ignore")
    assert any("sync_behaviour.dropped" in line for line in made.needs)


@pytest.mark.parametrize("wide", [True, False])
def test_the_encoding_is_that_of_the_bytes(wide: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """UTF-16 with a mark, or UTF-8 whatever the declaration says."""
    text = CUSTOMERS.replace("Customer Accounts", "Kundenstämme")
    made = imported(text.encode("utf-16" if wide else "utf-8"), "customers.xml")
    assert "description: Kundenstämme" in made.text.replace("'", "")


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>
<BatchDataSyncConfig name="&b;"/>"""
OUTSIDE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><BatchDataSyncConfig name="&e;"/>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BOMB, "DOCTYPE"),
        (OUTSIDE, "DOCTYPE"),
        ("<BatchDataSyncConfig>" + "<a>" * 60 + "</a>" * 60 + "</BatchDataSyncConfig>", "too deeply"),
        ("<BatchDataSyncConfig>" + "<a/>" * 20_001 + "</BatchDataSyncConfig>", "20,000 elements"),
        ("<BatchDataSyncConfig/>" + " " * 1_000_000, "1,000,000 bytes"),
        ("<Other/>", "not a BatchDataSyncConfig"),
        ("", "not XML"),
        ("<BatchDataSyncConfig><DynamicsTarget/></BatchDataSyncConfig>", "no source"),
        ("<BatchDataSyncConfig><XDataSource/><CinchyTableTarget/></BatchDataSyncConfig>", "its target is CinchyTable"),
        ('<BatchDataSyncConfig>\n<SyncKeyColumnReference name:"x"/></BatchDataSyncConfig>', 'write name="…"'),
        ('<BatchDataSyncConfig name=""x"" ></BatchDataSyncConfig>', "quotes are doubled"),
        ("<BatchDataSyncConfig name=“x”></BatchDataSyncConfig>", "typographic quotes"),
        ("<BatchDataSyncConfig>\n</BatchDataSyncConfig", "write > at the end"),
        (b"\xff\x00<", "not UTF-8"),
    ],
)
def test_files_that_cannot_be_read_are_refused_with_a_sentence(content: str | bytes, said: str) -> None:
    """Entities, bounds, other files, and the slips of printed samples with what is meant."""
    with pytest.raises(UserError, match=r"sample\.xml") as caught:
        imported(content if isinstance(content, bytes) else content.encode(), "sample.xml")
    assert said in caught.value.message
