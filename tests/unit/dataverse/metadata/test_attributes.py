"""Columns' metadata from the JSON that the service gives."""

from __future__ import annotations

from typing import Any

import pytest

from shared.dataverse.http.answers import Answer
from shared.dataverse.metadata.attributes import attribute_of, choices_of
from shared.entities import AttributeType, Choice, DateBehavior


def column(name: str = "x", **members: Any) -> Answer:
    return Answer({"LogicalName": name, **members}, "the columns")


def labels(*texts: str) -> dict[str, Any]:
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033 + n} for n, text in enumerate(texts)]}


@pytest.mark.parametrize(
    ("named", "old", "kind"),
    [
        ("StringType", "String", AttributeType.STRING),
        ("MultiSelectPicklistType", "Virtual", AttributeType.MULTI_PICKLIST),
        ("ImageType", "Virtual", AttributeType.IMAGE),
        ("FileType", "Virtual", AttributeType.FILE),
        ("CustomerType", "Customer", AttributeType.CUSTOMER),
        ("", "Money", AttributeType.MONEY),
        ("EntityNameType", "EntityName", AttributeType.VIRTUAL),
    ],
)
def test_the_type_is_read_from_its_newer_name(named: str, old: str, kind: AttributeType) -> None:
    """`AttributeType` calls images, files and multi-choices Virtual; unknown ones count as such."""
    found = attribute_of(column(AttributeTypeName={"Value": named}, AttributeType=old), {}, {})
    assert found is not None
    assert found.type is kind


def test_parts_of_other_columns_are_left_out() -> None:
    """A lookup's name is no column that can be written."""
    assert attribute_of(column(AttributeOf="parentid", AttributeType="String"), {}, {}) is None


def test_limits_behaviour_and_rights_are_kept() -> None:
    """Length, range, precision, time zone behaviour, requirement, what may be written."""
    found = attribute_of(
        column(
            AttributeTypeName={"Value": "DateTimeType"},
            MaxLength=160,
            Precision=2,
            MinValue=0,
            MaxValue=9.5,
            DateTimeBehavior={"Value": "DateOnly"},
            RequiredLevel={"Value": "ApplicationRequired"},
            DisplayName={"UserLocalizedLabel": {"Label": "Name"}},
            IsValidForCreate=False,
            IsValidForUpdate=False,
        ),
        {},
        {},
    )
    assert found is not None
    assert (found.max_length, found.precision, found.min_value, found.max_value) == (160, 2, 0, 9.5)
    assert found.date_behavior is DateBehavior.DATE_ONLY
    assert (found.required, found.display_name) == ("ApplicationRequired", "Name")
    assert (found.creatable, found.updatable, found.readable) == (False, False, True)


def test_lookups_know_their_targets_and_navigation_properties() -> None:
    """The case of a navigation property is kept: it has to be written exactly so."""
    found = attribute_of(
        column("parentcustomerid", AttributeTypeName={"Value": "CustomerType"}, Targets=["account", "contact"]),
        {},
        {"parentcustomerid": {"account": "parentcustomerid_account", "contact": "new_Contact"}},
    )
    assert found is not None
    assert found.targets == ("account", "contact")
    assert found.navigation == {"account": "parentcustomerid_account", "contact": "new_Contact"}


def test_choices_come_from_local_global_and_boolean_option_sets() -> None:
    """Values with their labels in every installed language, each label once."""
    options = {"Options": [{"Value": 1, "Label": labels("Consulting", "Beratung", "Consulting")}]}
    expected = (Choice(value=1, labels=("Consulting", "Beratung")),)
    assert choices_of(column(OptionSet=options)) == expected
    assert choices_of(column(OptionSet=None, GlobalOptionSet=options)) == expected
    boolean = {"TrueOption": {"Value": 1, "Label": labels("Yes")}, "FalseOption": {"Value": 0, "Label": labels("No")}}
    assert [choice.value for choice in choices_of(column(OptionSet=boolean))] == [0, 1]
    assert choices_of(column()) == ()


TRANSITIONS = (
    '<allowedtransitions xmlns="http://schemas.microsoft.com/crm/2009/WebServices">'
    '<allowedtransition sourcestatusid="1" tostatusid="6" /><allowedtransition sourcestatusid="1" tostatusid="1000"/>'
    "</allowedtransitions>"
)


def test_states_and_statuses_know_each_other() -> None:
    """The default status of a state, the state of a status, and what may follow it where that is enforced."""
    states = {"Options": [{"Value": 0, "Label": labels("Active"), "DefaultStatus": 1, "InvariantName": "Active"}]}
    assert choices_of(column(OptionSet=states)) == (Choice(value=0, labels=("Active",), default_status=1),)
    statuses = {
        "Options": [
            {"Value": 1, "Label": labels("Open"), "State": 0, "TransitionData": TRANSITIONS},
            {"Value": 6, "Label": labels("Done"), "State": 1, "TransitionData": None},
        ]
    }
    assert choices_of(column(OptionSet=statuses), enforced=True) == (
        Choice(value=1, labels=("Open",), state=0, next=(6, 1000)),
        Choice(value=6, labels=("Done",), state=1, next=()),
    )
    assert [choice.next for choice in choices_of(column(OptionSet=statuses))] == [None, None]


@pytest.mark.parametrize(("source", "kind"), [(None, ""), (0, ""), (1, "calculated"), (2, "rollup"), (3, "formula")])
def test_computed_columns_say_how(source: int | None, kind: str) -> None:
    """`SourceType` says it; null is a column that cannot be computed."""
    found = attribute_of(column(SourceType=source), {}, {})
    assert found is not None
    assert found.computed == kind
