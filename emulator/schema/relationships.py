"""Relationships: what an operation on a row does to its related rows, and the pairs of many-to-many relationships."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from emulator.schema.faults import SchemaFileError

__all__ = ["Cascade", "ManyToMany", "PairEnd", "cascade_of", "cascades_of"]

_DELETE: Final = frozenset({"Cascade", "RemoveLink", "Restrict", "NoCascade"})
_OTHERS: Final = frozenset({"Cascade", "Active", "UserOwned", "NoCascade"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """The CascadeConfiguration of a one-to-many relationship (configure-entity-relationship-cascading-behavior)."""

    assign: str = "NoCascade"
    delete: str = "RemoveLink"
    merge: str = "NoCascade"
    reparent: str = "NoCascade"
    share: str = "NoCascade"
    unshare: str = "NoCascade"
    rollup_view: str = "NoCascade"
    archive: str = "NoCascade"

    def metadata(self) -> dict[str, str]:
        """Returns the JSON of the metadata."""
        return {
            "Assign": self.assign,
            "Delete": self.delete,
            "Archive": self.archive,
            "Merge": self.merge,
            "Reparent": self.reparent,
            "Share": self.share,
            "Unshare": self.unshare,
            "RollupView": self.rollup_view,
        }


_ALL: Final = ("assign", "delete", "merge", "reparent", "share", "unshare")
_PRESETS: Final[Mapping[str, Cascade]] = {
    "parental": Cascade(**dict.fromkeys(_ALL, "Cascade")),
    "referential": Cascade(),
    "restrict": Cascade(delete="Restrict"),
    "none": Cascade(delete="NoCascade"),
}
_VERBS: Final = frozenset({*_ALL, "rollup_view", "archive"})


def cascade_of(given: object, place: str) -> Cascade:
    """Returns the behaviour that a description names: `parental`, or verbs with their values.

    Raises:
        SchemaFileError: A name or a value is unknown; `place` states where.
    """
    if given is None:
        return _PRESETS["referential"]
    if isinstance(given, str) and given in _PRESETS:
        return _PRESETS[given]
    if not isinstance(given, Mapping):
        raise SchemaFileError(f"{place}: cascade is one of {', '.join(_PRESETS)}, or maps verbs to values")
    for verb, value in given.items():
        valid = _DELETE if verb == "delete" else _OTHERS
        if verb not in _VERBS:
            raise SchemaFileError(f"{place}: cascade has no verb {verb!r}; it has {', '.join(sorted(_VERBS))}")
        if value not in valid:
            raise SchemaFileError(f"{place}: cascade {verb} can be {', '.join(sorted(valid))}, not {value!r}")
    return Cascade(**given)


def cascades_of(given: Any, targets: tuple[str, ...], place: str) -> dict[str, Cascade]:
    """Returns the behaviour for each target of a lookup; the description can give one for all, or one for each.

    Raises:
        SchemaFileError: A name or a value is unknown.
    """
    if isinstance(given, Mapping) and given and given.keys() <= set(targets):
        return {target: cascade_of(given.get(target), f"{place}, {target}") for target in targets}
    return dict.fromkeys(targets, cascade_of(given, place))


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEnd:
    """One side of a many-to-many relationship.

    Attributes:
        table: Logical name of the table.
        attribute: The column of the intersect table with the identifier of its row.
        navigation: The navigation property of this table, which leads to the rows of the other one.
    """

    table: str
    attribute: str
    navigation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyToMany:
    """A many-to-many relationship; its pairs are the rows of the intersect table."""

    schema_name: str
    intersect: str
    first: PairEnd
    second: PairEnd
    custom: bool = False

    @property
    def ends(self) -> tuple[PairEnd, PairEnd]:
        """Both sides, in the order of Entity1 and Entity2."""
        return self.first, self.second
