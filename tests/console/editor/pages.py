"""The form of a page, filled in and sent as a browser without JavaScript does it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

import requests

__all__ = ["Form", "form_of"]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.buttons: list[str] = []
        self.action = ""
        self._select = ""
        self._area: str | None = None
        self._options: list[str] = []
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                self.action = about["action"]
            case "button":
                self.buttons.append(about.get("value", ""))
            case "input" if about.get("type") == "checkbox":
                if "checked" in about:
                    self._add(about["name"], about["value"])
            case "input" if about.get("type") != "file" and "name" in about:
                self._add(about["name"], about.get("value", ""))
            case "select":
                self._select, self._options = about["name"], []
            case "option" if self._select and ("selected" in about or not self._options):
                self._options = [about["value"]]
            case "textarea":
                self._area, self._text = about["name"], ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._add(self._select, *self._options)
            self._select = ""
        if tag == "textarea" and self._area is not None:
            self._add(self._area, self._text.removeprefix("\n"))
            self._area = None

    def _add(self, name: str, *values: str) -> None:
        self.fields.setdefault(name, []).extend(values)


@dataclass(slots=True, kw_only=True)
class Form:
    """A form with its fields."""

    session: requests.Session
    url: str
    action: str
    html: str = field(repr=False)
    fields: Mapping[str, list[str]]
    buttons: list[str]

    @property
    def text(self) -> str:
        """The definition that the page carries."""
        return base64.b64decode(self.fields["_text"][-1]).decode()

    def send(self, do: str, **changed: str) -> requests.Response:
        """Press a button; `__` in the name of a field stands for a point."""
        assert do in self.buttons or do.startswith("save"), self.buttons
        fields = {**self.fields, **{name.replace("__", "."): [value] for name, value in changed.items()}, "do": [do]}
        parts = [(name, (None, value)) for name, values in fields.items() for value in values]
        origin = {"origin": self.url}
        return self.session.post(self.url + self.action, files=parts, headers=origin, timeout=60, allow_redirects=False)

    def press(self, do: str, **changed: str) -> Form:
        """Press a button, and read the page that follows."""
        return form_of(self.session, self.url, self.send(do, **changed))


def form_of(session: requests.Session, url: str, answer: requests.Response) -> Form:
    """The form of a page."""
    assert answer.status_code == 200, (answer.status_code, answer.text[:2000])
    parser = _Parser()
    parser.feed(answer.text)
    return Form(
        session=session,
        url=url,
        action=parser.action,
        html=answer.text,
        fields=parser.fields,
        buttons=parser.buttons,
    )
