"""One column's metadata as the Web API's JSON has it -> `AttributeMetadata`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from shared.dataverse.http.answers import Answer
from shared.entities import AttributeMetadata, AttributeType, Choice, DateBehavior

__all__ = ["OPTION_CASTS", "attribute_of", "choices_of"]

# Derived types whose options have to be asked for by a cast (Microsoft: retrieve metadata by name or id).
OPTION_CASTS = (
    "PicklistAttributeMetadata",
    "MultiSelectPicklistAttributeMetadata",
    "StateAttributeMetadata",
    "StatusAttributeMetadata",
    "BooleanAttributeMetadata",
)

_BEHAVIORS = {str(behavior): behavior for behavior in DateBehavior}
_TYPES = {kind.value: kind for kind in AttributeType}

_MOST_DIGITS = 38  # of a decimal; the service has 10 behind the point
_MOST_STATES = 2**31 - 1
# `SourceType` (Microsoft: AttributeMetadata.SourceType); 0 is a simple column.
_COMPUTED: Final = {1: "calculated", 2: "rollup", 3: "formula"}
# `TransitionData` is an XML text (Microsoft: define custom state model transitions), of which only pairs are needed.
_TRANSITION: Final = re.compile(r"<allowedtransition\b[^>]*\btostatusid=[\"'](\d{1,10})[\"']", re.IGNORECASE)


def attribute_of(
    column: Answer,
    choices: Mapping[str, tuple[Choice, ...]],
    navigation: Mapping[str, Mapping[str, str]],
) -> AttributeMetadata | None:
    """The column; None for parts of other columns, such as a lookup's name, which cannot be written or read by name.

    Args:
        column: One element of `EntityDefinitions(...)/Attributes`, with the members of its derived type.
        choices: Logical name -> options.
        navigation: Logical name of a lookup -> target table -> navigation property.

    Raises:
        UnexpectedAnswer: A member is of another type than Dataverse gives.
    """
    if column.member("AttributeOf").value:
        return None
    name, kind = column.member("LogicalName").name(), _type(column)
    return AttributeMetadata(
        name=name,
        type=kind,
        display_name=_label(column.member("DisplayName")),
        max_length=column.member("MaxLength").whole_or_none(low=0, high=2**31 - 1),
        precision=column.member("Precision").whole_or_none(low=0, high=_MOST_DIGITS),
        min_value=column.member("MinValue").number_or_none(),
        max_value=column.member("MaxValue").number_or_none(),
        date_behavior=_BEHAVIORS.get(column.member("DateTimeBehavior").part("Value").text("")),
        choices=choices.get(name, ()),
        has_default=_has_default(column),
        default=_default(column),
        targets=tuple(target.name() for target in column.member("Targets").items()),
        navigation=dict(navigation.get(name, {})),
        required=column.member("RequiredLevel").part("Value").text("None"),
        creatable=column.member("IsValidForCreate").flag(default=True),
        # An update replaces the parties of an activity, which are not read: they are given to new activities alone.
        updatable=kind is not AttributeType.PARTY_LIST and column.member("IsValidForUpdate").flag(default=True),
        readable=column.member("IsValidForRead").flag(default=True),
        computed=_COMPUTED.get(column.member("SourceType").whole_or_none(low=0, high=255) or 0, ""),
        secured=column.member("IsSecured").flag(default=False),
        metadata_id=column.member("MetadataId").text(""),
    )


def _has_default(column: Answer) -> bool:
    """Two options nearly always have a default; a choice without a default has -1 or no value."""
    return column.member("DefaultValue").value is not None or column.member("DefaultFormValue").value not in {None, -1}


def _default(column: Answer) -> int | None:
    """The option that a new record gets."""
    value = column.member("DefaultValue").value
    if value is None:
        value = column.member("DefaultFormValue").value
    return int(value) if isinstance(value, int) and value != -1 else None


def _type(column: Answer) -> AttributeType:
    """`AttributeTypeName` distinguishes images, files and multi-choices, which `AttributeType` calls Virtual."""
    named = column.member("AttributeTypeName").part("Value").text("").removesuffix("Type")
    return _TYPES.get(named) or _TYPES.get(column.member("AttributeType").text("")) or AttributeType.VIRTUAL


def _label(label: Answer) -> str:
    return label.part("UserLocalizedLabel").part("Label").text("")


def choices_of(column: Answer, *, enforced: bool = False) -> tuple[Choice, ...]:
    """The options of a choice column, local or global; the two of a boolean one.

    Args:
        column: The column, with its options.
        enforced: The table takes only the transitions between statuses that the options name.

    Raises:
        UnexpectedAnswer: A member is of another type than Dataverse gives.
    """
    local, shared = column.member("OptionSet"), column.member("GlobalOptionSet")
    options = local if local.value else shared
    listed = options.part("Options")
    if listed.value is None:
        two = (options.part("FalseOption"), options.part("TrueOption"))
        return tuple(_choice(option, enforced=False) for option in two if option.value is not None)
    return tuple(_choice(option, enforced=enforced) for option in listed.items())


def _choice(option: Answer, *, enforced: bool) -> Choice:
    labels = (label.member("Label").text("") for label in option.member("Label").part("LocalizedLabels").items())
    state = option.member("State").whole_or_none(low=-1, high=_MOST_STATES)
    named = option.member("TransitionData").text("") if enforced and state is not None else None
    return Choice(
        value=option.member("Value").whole(),
        labels=tuple(dict.fromkeys(filter(None, labels))),
        state=state,
        default_status=option.member("DefaultStatus").whole_or_none(low=-1, high=_MOST_STATES),
        next=None if named is None else tuple(map(int, _TRANSITION.findall(named))),
    )
