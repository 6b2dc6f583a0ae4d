"""The fields of a form as a browser sends them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from console.editor.forms.reading import Sent
from console.editor.forms.widgets import Kind, Widget
from console.editor.tabs import tab_named, values_with, widgets_of
from shared.definitions.loading.yaml_loader import read_yaml

__all__ = ["as_browser", "of_area", "of_input", "with_fields"]


def of_area(text: str) -> str:
    """What a browser sends of a `<textarea>` or an option with this text."""
    return re.sub(r"\r\n|\r|\n", "\r\n", re.sub("[\0\x7f-\x9f\ud800-\udfff]", "\ufffd", text))


def of_input(text: str) -> str:
    """What a browser sends of an `<input>` with this text: it has no line breaks."""
    return of_area(text).replace("\r\n", "")


def as_browser(widgets: Iterable[Widget]) -> dict[str, list[str]]:
    """What a browser sends of fields that nobody has touched."""
    sent: dict[str, list[str]] = {}
    for widget in (inner for each in widgets for inner in each.walk()):
        match widget.kind:
            case Kind.GROUP | Kind.ROWS:
                pass
            case Kind.NAMED:
                sent |= {f"{row.name}.key": [of_input(row.key)] for row in widget.children}
            case Kind.VARIANTS:
                sent[f"{widget.name}.variant"] = [of_area(widget.chosen)]
            case Kind.CHECK:
                sent[widget.name] = ["", *(["true"] if widget.chosen else [])]
            case Kind.CHOICE:
                sent[widget.name] = [of_area(widget.chosen)]
            case Kind.SECRET:
                sent |= {f"{widget.name}.kind": [widget.chosen], widget.name: [of_input(widget.text)]}
            case Kind.TEXT | Kind.VALUE if not {"\n", "\r"} & {*widget.text}:
                sent[widget.name] = [of_input(widget.text)]
            case _:
                sent[widget.name] = [of_area(widget.text)]
    return sent


def with_fields(text: str, slug: str, **fields: str) -> Any:
    """The values after some fields of a tab were changed; `__` in a name stands for a point."""
    data = read_yaml(text).value
    sent = as_browser(widgets_of(tab_named(slug), data))
    sent |= {name.replace("__", "."): ["", value] for name, value in fields.items()}
    return values_with(tab_named(slug), data, Sent(sent))
