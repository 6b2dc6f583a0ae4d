"""Texts of fields as texts, numbers, dates and booleans."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from shared.definitions.loading.yaml_loader import plain_scalar

if TYPE_CHECKING:
    from console.editor.forms.widgets import Widget

__all__ = ["Taking", "typed"]


class Taking:
    """Whether a key may have a value, without making something else of it.

    Args:
        info: What the model says of the key.
    """

    def __init__(self, info: FieldInfo) -> None:
        self._info = info

    def __call__(self, value: Any) -> bool:
        """Whether the value, or a list of it, is legal and stays what it is."""
        return self._keeps(value, value) or self._keeps([value], (value,))

    def _keeps(self, given: Any, wanted: Any) -> bool:
        try:
            found = self._adapter.validate_python(given)
        except ValidationError:
            return False
        return type(found) is type(wanted) and found == wanted and type(_first(found)) is type(_first(wanted))

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        # Made when it is first asked for: few fields ever are.
        annotation: Any = self._info.annotation
        return TypeAdapter(Annotated[annotation, *self._info.metadata] if self._info.metadata else annotation)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value


def typed(widget: Widget, text: str, earlier: Any) -> Any:
    """A text that a person has typed, as a value.

    A text stays a text where the key may have one, so that "5" becomes "6" and not 6. Everything else is read as YAML
    reads it without quotes.

    Args:
        widget: The field.
        text: Has something in it.
        earlier: The value that it replaces; `ABSENT` for none.
    """
    as_is = text if widget.is_verbatim else text.strip()
    if isinstance(earlier, str) and widget.takes(as_is):
        return as_is
    if not (bare := text.strip()) or isinstance(found := plain_scalar(bare), str):
        return as_is
    return found if widget.takes(found) or not widget.takes(as_is) else as_is
