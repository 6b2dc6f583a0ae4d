"""What a form consists of: one widget for each key of a definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from console.web.field_texts import carried, has_lines
from shared.definitions.loading.yaml_loader import Path, shown_path
from shared.definitions.models.base import Model
from shared.drafts.yaml_text import entry_lines, item_lines, scalar_text

__all__ = ["ABSENT", "Kind", "Shown", "Widget", "as_text", "as_yaml", "name_of"]


class _Absent:
    def __repr__(self) -> str:
        return "absent"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Absent()
"""The value of a key that is not written."""


class Kind(StrEnum):
    """How a value is shown and changed.

    Attributes:
        TEXT: One line, or several where the value has several.
        AREA: Several lines.
        VALUE: The same; it may be a number, a date, a boolean or a text.
        CHECK: Yes or no.
        CHOICE: One of some words.
        LINES: A list of texts, one on each line.
        ONE_OR_LINES: The same; one line is a text.
        SECRET: A reference to a secret, or, where the model allows it, a text.
        YAML: Anything, as YAML.
        GROUP: The keys of a model.
        ROWS: A list of models.
        NAMED: Models by name.
        VARIANTS: One of some words, or the keys of a model.
    """

    TEXT = "text"
    AREA = "area"
    VALUE = "value"
    CHECK = "check"
    CHOICE = "choice"
    LINES = "lines"
    ONE_OR_LINES = "one_or_lines"
    SECRET = "secret"  # noqa: S105 - the name of a kind
    YAML = "yaml"
    GROUP = "group"
    ROWS = "rows"
    NAMED = "named"
    VARIANTS = "variants"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Which rows of a list have fields; the others stay as they are.

    Attributes:
        keys: The number or the name of each of them.
        total: How many rows the list has.
        found: How many of them the text has found; all without one.
        find: The text.
        start: How many of those that were found come before the first one here.
        page: How many are shown at once; 0 for all.
    """

    keys: Sequence[Any]
    total: int
    found: int = 0
    find: str = ""
    start: int = 0
    page: int = 0

    @property
    def is_part(self) -> bool:
        """Whether rows are left out."""
        return len(self.keys) < self.total

    @property
    def turns(self) -> Sequence[tuple[str, int]]:
        """The pages that one can turn to: a label, and where each starts."""
        last = max(0, self.found - 1) // self.page * self.page if self.page else 0
        around = (
            ("First", 0, self.start > self.page),
            ("Previous", self.start - self.page, self.start > 0),
            ("Next", self.start + self.page, self.start + self.page < self.found),
            ("Last", last, self.start + self.page < last),
        )
        return [(label, start) for label, start, is_there in around if self.page and is_there]


_TEXTS: Final = frozenset({Kind.TEXT, Kind.VALUE})


def _everything(_value: Any) -> bool:
    return True


@dataclass(slots=True, kw_only=True)
class Widget:
    """One key of a definition in a form.

    Attributes:
        path: Where the value is in the definition.
        key: The key, as a person reads it in the documentation.
        label: The same as words.
        help: What it means; may have words in backticks.
        raw: The value in the text; `ABSENT` where it has none.
        text: The value as the field shows it; of something that has a name, the name.
        chosen: Of a check whether it is checked, of a choice, a secret or variants which one; a text.
        options: Of a choice or variants: value and label of each.
        default: What an empty field means, for people.
        is_required: Whether the key must be there.
        is_plain: Of a secret: whether a text is allowed too.
        is_verbatim: Whether blanks at the ends of the text have a meaning, also alone.
        takes: Whether the key may have a value as it is, or an item of a list may be it.
        model: Of a group: the model of its keys.
        models: Of a group with a key `type`: what it says -> the model.
        children: Of a group its fields; of rows one group for each that is shown; of variants one group for each model.
        shown: Of rows: which ones.
        suggestions: Id of a list of values to choose from; empty for none.
        is_wanted: Whether something else that is filled in needs it.
        note: What is known of the value, such as the type of a column.
        problems: What is wrong with it.
    """

    path: Path
    key: str
    label: str
    kind: Kind
    help: str = ""
    raw: Any = ABSENT
    text: str = ""
    chosen: str = ""
    options: Sequence[tuple[str, str]] = ()
    default: str = ""
    is_required: bool = False
    is_plain: bool = False
    is_verbatim: bool = False
    takes: Callable[[Any], bool] = _everything
    model: type[Model] | None = None
    models: dict[str, type[Model]] = field(default_factory=dict)
    children: list[Widget] = field(default_factory=list)
    shown: Shown | None = None
    suggestions: str = ""
    is_wanted: bool = False
    note: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the field in the form."""
        return name_of(self.path)

    @property
    def id(self) -> str:
        """Names the field in the page."""
        return "f-" + self.name.replace(".", "-")

    @property
    def shown_path(self) -> str:
        """The path as messages have it."""
        return shown_path(self.path)

    @property
    def is_set(self) -> bool:
        """Whether the text has a value for the key."""
        return self.raw is not ABSENT

    @property
    def is_one_line(self) -> bool:
        """Whether its text has a field of one line, as far as the kind and the text say; line breaks get lost there."""
        return self.kind is Kind.SECRET or (self.kind in _TEXTS and not has_lines(self.text))

    @property
    def is_area(self) -> bool:
        """Whether its text has a field of several lines, as wide as the form."""
        return self.kind in {Kind.AREA, Kind.YAML} or (self.kind in _TEXTS and not self.is_one_line)

    def is_untouched(self, text: str) -> bool:
        """Whether a text that was sent is the one that the page has shown."""
        return text == carried(self.text, one_line=self.is_one_line)

    @property
    def often(self) -> list[Widget]:
        """The fields that are shown at once: required ones, those with a value or a problem, and the usual ones."""
        usual = _USUAL.get(self.model.__name__, ()) if self.model else ()
        if len(self.children) <= (_FEW if usual else _MORE):
            return self.children
        order = {key: place for place, key in enumerate(("type", *usual))}
        shown = [
            each
            for each in self.children
            if each.is_required or each.is_set or each.is_wanted or each.key in order or each.all_problems()
        ]
        return sorted(shown, key=lambda each: order.get(each.key, len(order)))

    @property
    def rarely(self) -> list[Widget]:
        """The other fields."""
        often = {each.name for each in self.often}
        return [each for each in self.children if each.name not in often]

    def all_problems(self) -> bool:
        """Whether something is wrong with it or in it."""
        return bool(self.problems) or any(each.all_problems() for each in self.children)

    def walk(self) -> list[Widget]:
        """It and all fields in it."""
        return [self, *(inner for each in self.children for inner in each.walk())]


# So many fields are shown at once, of models with usual keys and of others.
_FEW: Final = 3
_MORE: Final = 6
# Keys that most definitions have, or that people look for; the others are behind "More".
_USUAL: Final = {
    "Column": ("name", "alias", "type", "trim", "validate"),
    "RestColumn": ("name", "alias", "type", "trim", "validate"),
    "FixedColumn": ("name", "alias", "type", "start", "width"),
    "Mapping": ("source", "target"),
    "Lookup": ("entity", "match", "on_missing"),
    "DelimitedSource": ("path", "delimiter", "header"),
    "ExcelSource": ("path", "sheet", "header"),
    "SqlSource": ("connection", "table", "query"),
    "RestSource": ("connection", "url", "records"),
    "DynamicsSource": ("connection", "entity"),
    "DynamicsDestination": (
        *("entity", "id_column", "connection", "service_url"),
        *("tenant_id", "auth", "client_id", "client_secret"),
    ),
    "SyncBehaviour": ("strategy", "sync_key", "new", "changed", "dropped", "safety"),
    "PostSyncStep": ("name", "run_on"),
    "Topic": ("format", "records", "match", "filter"),
}


def name_of(path: Path) -> str:
    """The name of the field of a path in a form."""
    return ".".join(str(part) for part in path)


def as_text(value: Any) -> str:
    """A value on one line of a form; texts as they are."""
    if value is ABSENT or value is None:
        return ""
    return value if isinstance(value, str) else scalar_text(value)


def as_yaml(value: Any) -> str:
    """A value as YAML for a field of several lines."""
    if value is ABSENT or value is None:
        return ""
    if isinstance(value, dict) and value:
        return "\n".join(line for key, each in value.items() for line in entry_lines(key, each, ""))
    if isinstance(value, list) and value:
        return "\n".join(line for each in value for line in item_lines(each, ""))
    return "{}" if value == {} else "[]" if value == [] else scalar_text(value)
