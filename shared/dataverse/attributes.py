"""One column's metadata as the Web API's JSON has it -> `AttributeMetadata`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def attribute_of(
    column: Mapping[str, Any],
    choices: Mapping[str, tuple[Choice, ...]],
    navigation: Mapping[str, Mapping[str, str]],
) -> AttributeMetadata | None:
    """The column; None for parts of other columns, such as a lookup's name, which cannot be written or read by name.

    Args:
        column: One element of `EntityDefinitions(...)/Attributes`, with the members of its derived type.
        choices: Logical name -> options.
        navigation: Logical name of a lookup -> target table -> navigation property.
    """
    if column.get("AttributeOf"):
        return None
    name = column["LogicalName"]
    behavior = str((column.get("DateTimeBehavior") or {}).get("Value", ""))
    return AttributeMetadata(
        name=name,
        type=_type(column),
        display_name=_label(column.get("DisplayName")),
        max_length=column.get("MaxLength"),
        precision=column.get("Precision"),
        min_value=column.get("MinValue"),
        max_value=column.get("MaxValue"),
        date_behavior=_BEHAVIORS.get(behavior),
        choices=choices.get(name, ()),
        targets=tuple(column.get("Targets") or ()),
        navigation=dict(navigation.get(name, {})),
        required=(column.get("RequiredLevel") or {}).get("Value", "None"),
        creatable=bool(column.get("IsValidForCreate", True)),
        updatable=bool(column.get("IsValidForUpdate", True)),
        readable=bool(column.get("IsValidForRead", True)),
    )


def _type(column: Mapping[str, Any]) -> AttributeType:
    """`AttributeTypeName` tells images, files and multi-choices apart, which `AttributeType` calls Virtual."""
    named = str((column.get("AttributeTypeName") or {}).get("Value", "")).removesuffix("Type")
    return _TYPES.get(named) or _TYPES.get(str(column.get("AttributeType", ""))) or AttributeType.VIRTUAL


def _label(label: Mapping[str, Any] | None) -> str:
    localized = (label or {}).get("UserLocalizedLabel") or {}
    return str(localized.get("Label") or "")


def choices_of(column: Mapping[str, Any]) -> tuple[Choice, ...]:
    """The options of a choice column, local or global; the two of a boolean one."""
    options = column.get("OptionSet") or column.get("GlobalOptionSet") or {}
    listed = options.get("Options")
    if listed is None:
        listed = [option for option in (options.get("FalseOption"), options.get("TrueOption")) if option]
    return tuple(Choice(value=int(option["Value"]), labels=_labels_of(option)) for option in listed)


def _labels_of(option: Mapping[str, Any]) -> tuple[str, ...]:
    labels = (option.get("Label") or {}).get("LocalizedLabels") or ()
    return tuple(dict.fromkeys(str(label["Label"]) for label in labels if label.get("Label")))
