"""Messages about constants and texts that match no option of a choice column."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.transform import check
from shared.transform.choices.options import all_options, unknown_choice
from shared.workspace import Workspace
from tests.unit.transform.world import ACCOUNT, definition, shaped

KIND = AttributeMetadata(
    name="kind",
    type=AttributeType.PICKLIST,
    choices=tuple(Choice(value=n, labels=(f"Label {n}",)) for n in range(25)),
)


def test_the_options_are_listed_up_to_a_limit() -> None:
    """With values and labels, and how many more there are."""
    assert all_options(KIND).startswith("The options of kind are 0 Label 0, 1 Label 1, ")
    assert all_options(KIND).endswith("19 Label 19 and 5 more")
    assert all_options(KIND, most=99).endswith("23 Label 23, 24 Label 24")


def test_the_message_about_a_constant_has_the_most_similar_option_and_the_list() -> None:
    """It is reported once, before a row is read."""
    said = unknown_choice(KIND, "labl 7")
    assert said.startswith("'labl 7' is no option of kind: did you mean 7 Label 7? The options of kind are 0 Label 0")
    assert unknown_choice(KIND, "???").startswith("'???' is no option of kind. The options of kind are 0 Label 0")
    assert unknown_choice(KIND, "???", listed=False) == "'???' is no option of kind"
    assert unknown_choice(AttributeMetadata(name="bare", type=AttributeType.PICKLIST), "x") == (
        "'x' is no option of bare, which has no options"
    )


@pytest.mark.parametrize(
    ("column", "mapping", "path"),
    [
        (
            {"cases": [{"when": "number = '1'", "then": "'Consultin'"}], "default": "'Finance'"},
            {"source": "x", "target": "segment"},
            "source.columns[1].cases[0].then",
        ),
        (
            {"cases": [{"when": "number = '1'", "then": "'Finance'"}], "default": "'Other ''n'''"},
            {"source": "x", "target": "segment"},
            "source.columns[1].default",
        ),
        ({}, {"value": "'Consultin'", "target": "segment"}, "destination.mappings[1].value"),
        ({}, {"value": "99", "target": "segment"}, "destination.mappings[1].value"),
    ],
)
def test_a_literal_that_names_no_option_is_a_mistake_of_the_definition(
    column: dict[str, Any], mapping: dict[str, str], path: str
) -> None:
    """Otherwise every row of its branch would be rejected."""
    (problem,) = check(definition([{"name": "x", **column}], [mapping]), ACCOUNT)
    assert problem.path == path
    assert "is no option of segment" in problem.message


@pytest.mark.parametrize(
    ("column", "mapping", "path"),
    [
        (
            {"cases": [{"when": "number = '1'", "then": "'GIFT'"}], "default": "'Poison'"},
            {"source": "x", "target": "segment"},
            "source.columns[1].cases[0].then",
        ),
        ({}, {"value": "'gift'", "target": "segment"}, "destination.mappings[1].value"),
    ],
)
def test_a_literal_that_names_several_options_is_a_mistake_of_the_definition(
    column: dict[str, Any], mapping: dict[str, str], path: str
) -> None:
    """The message names them, and says what to write; the value of one of them is accepted."""
    choices = (Choice(value=6, labels=("Gift", "Geschenk")), Choice(value=7, labels=("Poison", "Gift")))
    sold = AttributeMetadata(name="segment", type=AttributeType.PICKLIST, choices=choices)
    entity = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "segment": sold})
    (problem,) = check(definition([{"name": "x", **column}], [mapping]), entity)
    assert problem.path == path
    assert problem.message.endswith(
        " names several options of segment: 6 Gift, 7 Poison; give the value of the option that is meant, or make its "
        "label unique"
    )
    assert check(definition([], [{"value": "'6'", "target": "segment"}]), entity) == ()


@pytest.mark.parametrize("then", ["'Consulting'", "'1'", "number", "upper('x')", "''", "NULL", "@tag"])
def test_options_and_values_that_are_not_known_yet_are_accepted(then: str) -> None:
    """Expressions and parameters get their values when the rows are read."""
    column = {"name": "x", "cases": [{"when": "number = '1'", "then": then}]}
    assert check(definition([column], [{"source": "x", "target": "segment"}]), ACCOUNT) == ()


def test_an_accent_of_a_constant_may_be_written_in_two_ways() -> None:
    """As one character or as a letter and its accent."""
    sold = AttributeMetadata(
        name="segment", type=AttributeType.PICKLIST, choices=(Choice(value=1, labels=("Café", "Kafe\u0301")),)
    )
    entity = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "segment": sold})
    for text in ("CAFE\u0301", "kafé"):
        assert check(definition([], [{"value": f"'{text}'", "target": "segment"}]), entity) == ()


def test_the_options_of_a_column_are_listed_once() -> None:
    """However many constants name none of them."""
    column = {"name": "x", "cases": [{"when": "number = '1'", "then": "'One'"}], "default": "'Two'"}
    problems = check(definition([column], [{"source": "x", "target": "segment"}]), ACCOUNT)
    assert ["The options of segment are" in problem.message for problem in problems] == [True, False]


@pytest.mark.parametrize(
    ("label", "text"),
    [("İptal", "İptal"), ("İptal", "iptal"), ("ΕΝΕΡΓΟΣ", "ΕΝΕΡΓΟΣ"), ("ΕΝΕΡΓΟΣ", "ενεργος"), ("ενεργός", "ΕΝΕΡΓΌΣ")],
)
def test_a_label_of_another_alphabet_is_found_in_upper_and_lower_case(label: str, text: str) -> None:
    """In a column with one option, with several and with two."""
    kinds = {"one": AttributeType.PICKLIST, "several": AttributeType.MULTI_PICKLIST, "either": AttributeType.BOOLEAN}
    options = (Choice(value=1, labels=(label,)), Choice(value=0, labels=("Other",)))
    columns = {name: AttributeMetadata(name=name, type=kind, choices=options) for name, kind in kinds.items()}
    entity = replace(ACCOUNT, attributes={**ACCOUNT.attributes, **columns})
    sync = definition([{"name": name} for name in kinds], [{"source": name, "target": name} for name in kinds])
    with Workspace.open() as workspace:
        shaped(workspace, sync, [["A", text, text, text]], entity=entity)
        assert workspace.query("SELECT one, several, either FROM desired") == [(1, "1", True)]
        assert workspace.query("SELECT * FROM source_errors") == []
