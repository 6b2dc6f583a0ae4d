"""The values of a form that was sent, beside those that the text has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from console.editor.forms.making import is_true
from console.editor.forms.scalars import typed
from console.editor.forms.widgets import ABSENT, Kind, Shown, Widget, as_text
from console.web.field_texts import carried, kept_ends, restored
from shared.definitions.loading.yaml_loader import read_yaml
from shared.errors import Problem

__all__ = ["Sent", "value_of", "with_fields"]


class Sent:
    """A form that was sent.

    Args:
        fields: Name -> values.

    Attributes:
        problems: What cannot be read, or has no place in the definition.
        texts: Name -> text of the fields that cannot be read, or have no place: they are shown again.
    """

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields
        self._touched = {part for name in fields for part in _beginnings(name)}
        self.problems: list[Problem] = []
        self.texts: dict[str, str] = {}

    def text(self, name: str) -> str | None:
        """What a field has; None where it was not sent, so that its value stays."""
        values = self._fields.get(name)
        return values[-1].replace("\r\n", "\n") if values else None

    def rows(self, name: str, rows: Mapping[Any, Any]) -> Shown:
        """The rows of a list of which fields were sent; see `Rows`."""
        return Shown(keys=[key for key in rows if f"{name}.{key}" in self._touched], total=len(rows))


def _beginnings(name: str) -> Iterator[str]:
    """What a field is in: `source.columns.3.name` is in `source.columns.3`."""
    while name:
        name = name.rpartition(".")[0]
        yield name


def with_fields(raw: Any, widgets: Sequence[Widget], sent: Sent) -> Any:
    """A mapping with the values of a form: keys of the model in its order, and those that no widget has.

    What is no mapping stays as long as nothing is filled in.

    Args:
        raw: The mapping in the text.
        widgets: Fields of some of its keys.
        sent: What was sent.
    """
    before = raw if isinstance(raw, dict) else {}
    found = {widget.key: value_of(widget, sent) for widget in widgets}
    made = {key: value for key, value in found.items() if value is not ABSENT}
    if not made and not isinstance(raw, dict) and raw is not ABSENT:
        return raw
    return made | {key: value for key, value in before.items() if key not in found}


def value_of(widget: Widget, sent: Sent) -> Any:
    """The value of one widget; `ABSENT` for none."""
    match widget.kind:
        case Kind.GROUP:
            return _group(widget, sent)
        case Kind.ROWS:
            return _rows(widget, sent)
        case Kind.NAMED:
            return _named(widget, sent)
        case Kind.VARIANTS:
            return _variants(widget, sent)
        case Kind.SECRET:
            return _secret(widget, sent)
        case _:
            text = sent.text(widget.name)
            return widget.raw if text is None else _scalar(widget, text, sent)


def _scalar(widget: Widget, text: str, sent: Sent) -> Any:
    if widget.kind is Kind.CHECK:
        return _checked(widget, text == "true")
    if widget.kind is Kind.CHOICE:
        return widget.raw if text == carried(widget.chosen) else text or ABSENT
    if widget.is_untouched(text):
        return widget.raw
    text = restored(widget.text, text)
    if not (text if widget.is_verbatim else text.strip()):
        return ABSENT
    match widget.kind:
        case Kind.VALUE:
            return typed(widget, text, widget.raw)
        case Kind.LINES | Kind.ONE_OR_LINES:
            return _lines(widget, text)
        case Kind.YAML:
            return _yaml(widget, text, sent)
        case Kind.TEXT:
            return text if widget.is_verbatim else text.strip()
        case _:
            return _area(widget, text)


def _checked(widget: Widget, checked: bool) -> Any:  # noqa: FBT001 - it is the value
    if widget.is_set:
        return widget.raw if is_true(widget.raw) is checked else checked
    return ABSENT if checked is (widget.default == "true") else checked


def _area(widget: Widget, text: str) -> str:
    """Several lines; empty ones at the ends stay where the value had some, as that of a block of YAML has."""
    had = widget.text
    text = text if had[:1] in {"\n", "\r"} else text.lstrip("\r\n")
    return text if had[-1:] in {"\n", "\r"} else text.rstrip("\r\n")


def _lines(widget: Widget, text: str) -> Any:
    """The items of a list: those of lines that were not edited stay as they are."""
    items = widget.raw if isinstance(widget.raw, list) else [widget.raw] if widget.is_set else []
    values = _items(widget, items, text.split("\n"))
    if not values:
        return ABSENT
    single = widget.kind is Kind.ONE_OR_LINES and len(values) == 1 and not isinstance(widget.raw, list)
    return values[0] if single else values


def _items(widget: Widget, items: Sequence[Any], lines: Sequence[str]) -> list[Any]:
    shown = [carried(as_text(item)) for item in items]
    start, end = kept_ends(shown, lines)
    edited = slice(start, len(shown) - end)
    known = dict(zip(shown[edited], items[edited], strict=True))
    made = [*items[:start]]
    for at, text in enumerate(lines[start : len(lines) - end], start):
        line = text if widget.is_verbatim else text.strip()
        if line in known:
            made.append(known[line])
        elif line:
            made.append(typed(widget, line, items[min(at, len(items) - 1)] if items else ABSENT))
    return [*made, *items[len(items) - end :]]


def _yaml(widget: Widget, text: str, sent: Sent) -> Any:
    document = read_yaml(text)
    for problem in document.problems:
        line = problem.position.line
        sent.problems.append(Problem(message=f"line {line} of this field: {problem.message}", path=widget.shown_path))
        sent.texts[widget.name] = text
        return widget.raw
    return document.value


def _secret(widget: Widget, sent: Sent) -> Any:
    chosen, text = sent.text(f"{widget.name}.kind"), sent.text(widget.name)
    if chosen is None or text is None or (chosen == widget.chosen and widget.is_untouched(text)):
        return widget.raw
    if not chosen or not text.strip():
        return ABSENT
    return text.strip() if chosen == "text" else {chosen: text.strip()}


def _group(widget: Widget, sent: Sent) -> Any:
    made = with_fields(widget.raw, widget.children, sent)
    if not isinstance(made, dict) or (not made and not widget.is_set):
        return widget.raw
    if (model := widget.models.get(str(made.get("type")))) is not None and model is not widget.model:
        known = {info.alias or name for name, info in model.model_fields.items()}
        return {key: value for key, value in made.items() if key in known}
    if not made and widget.raw and not widget.is_required:
        return ABSENT
    return made


def _rows(widget: Widget, sent: Sent) -> Any:
    if not isinstance(widget.raw, list):
        return widget.raw
    rows = {row.path[-1]: with_fields(row.raw, row.children, sent) for row in widget.children}
    return [rows.get(number, raw) for number, raw in enumerate(widget.raw)]


def _named(widget: Widget, sent: Sent) -> Any:
    if not isinstance(widget.raw, dict):
        return widget.raw
    made: dict[str, Any] = {}
    rows = {row.path[-1]: row for row in widget.children}
    for key, raw in widget.raw.items():
        row = rows.get(key)
        name = _name(row, [*made, *widget.raw], sent) if row else key
        made[name] = with_fields(raw, row.children, sent) if row else raw
    return made


def _name(row: Widget, taken: Collection[Any], sent: Sent) -> Any:
    """The name of a row: another one if one was written that is not in use."""
    key, text = row.path[-1], sent.text(f"{row.name}.key")
    if text is None or text == carried(row.text, one_line=True):
        return key
    name = text.strip() or row.text
    if name == row.text:
        return key
    if name in taken:
        sent.problems.append(Problem(message=f"the name {name} is in use: write another one", path=row.shown_path))
        sent.texts[row.name] = text
        return key
    return name


def _variants(widget: Widget, sent: Sent) -> Any:
    chosen = sent.text(f"{widget.name}.variant")
    if chosen is None:
        return widget.raw
    made = None
    for group in widget.children:
        if chosen == f"{group.key}:":
            made = group
        else:
            _refuse_unread(widget, group, sent)
    if made is not None:
        return with_fields(widget.raw if chosen == widget.chosen else {}, made.children, sent)
    if chosen == carried(widget.chosen):
        return widget.raw
    return chosen or ABSENT


def _refuse_unread(widget: Widget, group: Widget, sent: Sent) -> None:
    """Tell of what was filled in for another choice than the one that was made: the definition has no place for it."""
    for field in group.children:
        text = sent.text(field.name)
        if text is None or not text.strip() or field.is_untouched(text):
            continue
        message = (
            f"choose “{group.label}” as {widget.label}, or empty this field: it does not belong to the other choice"
        )
        sent.problems.append(Problem(message=message, path=field.shown_path))
        sent.texts[field.name] = text
