"""The command lines of `az` in the docs, scripts, workflows and messages, taken apart."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["VALUE", "AzureLine", "azure_lines"]

VALUE: Final = "VALUE"
"""Stands for what another command gives."""
_INNER: Final = re.compile(r"\$\(([^()]*)\)")
_SEPARATORS: Final = ";|&()<>\n"


@dataclass(frozen=True)
class AzureLine:
    """A command line.

    Attributes:
        place: The file.
        command: As in `keyvault secret set`.
        options: Each `--option` with its values.
        is_mention: Whether it only names a command in a sentence, without any option.
    """

    place: str
    command: str
    options: dict[str, list[str]]
    is_mention: bool


def azure_lines() -> list[AzureLine]:
    """All lines, in the order of the files.

    Raises:
        ValueError: A quote of a line is not closed.
    """
    return [
        AzureLine(place, *_parts(words), is_mention=in_sentence and not any(word.startswith("-") for word in words))
        for place, text, in_sentence in _texts()
        for words in _commands(text)
        if words[0] == "az" and len(words) > 1
    ]


def _texts() -> Iterator[tuple[str, str, bool]]:
    """Shell text with its file, and whether it is in a sentence."""
    for page in (*Path().glob("*.md"), *sorted(Path("docs").glob("*.md"))):
        text = page.read_text("utf-8")
        for block in re.findall(r"```(?:bash|sh)\n(.*?)```", text, re.DOTALL):
            yield page.as_posix(), block, False
        for span in re.findall(r"`(az [^`]+)`", text):
            yield page.as_posix(), span.replace("\n", " "), True
    for script in sorted(Path("scripts").glob("*.sh")):
        yield script.as_posix(), script.read_text("utf-8"), False
    for workflow in sorted(Path(".github/workflows").glob("*.yml")):
        for run in _runs(yaml.safe_load(workflow.read_text("utf-8"))):
            yield workflow.as_posix(), run, False
    for room in ("batch_sync", "console", "event_sync", "shared"):
        for module in sorted(Path(room).rglob("*.py")):
            for message in re.findall(r"['(`](az [a-z][^'\")`]*)", module.read_text("utf-8")):
                yield module.as_posix(), message, True


def _runs(value: Any) -> Iterator[str]:
    """The values of `run` in a workflow."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "run" and isinstance(inner, str):
                yield inner
            yield from _runs(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _runs(inner)


def _commands(text: str) -> Iterator[list[str]]:
    """The simple commands of shell text; those within `$(...)` come first."""
    text = text.replace("\\\n", " ")
    while found := _INNER.search(text):
        yield from _commands(found[1])
        text = text[: found.start()] + VALUE + text[found.end() :]
    lexer = shlex.shlex(text, posix=True, punctuation_chars=_SEPARATORS)
    lexer.whitespace, lexer.whitespace_split = " \t", True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set(_SEPARATORS):
            yield from [words] if words else []
            words = []
        else:
            words.append(word)
    yield from [words] if words else []


def _parts(words: list[str]) -> tuple[str, dict[str, list[str]]]:
    """The command and its options."""
    names: list[str] = []
    options: dict[str, list[str]] = {}
    last: list[str] = names
    for word in words[1:]:
        if word.startswith("-"):
            name, _, value = word.partition("=")
            last = options.setdefault(name, [value] if value else [])
        else:
            last.append(word)
    return " ".join(names), options
