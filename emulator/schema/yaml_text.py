"""YAML as people mean it: `No`, `10:30` and `2024-01-31` are texts, as in YAML 1.2."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

__all__ = ["read_yaml"]

# https://yaml.org/spec/1.2.2/#103-core-schema; numbers with leading zeros stay texts, because they are codes.
_WHOLE: Final = r"(?:0|[1-9][0-9]*)"
_PLAIN: Final = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (rf"[-+]?{_WHOLE}", "-+0123456789"),
    "float": (
        rf"[-+]?(?:(?:\.[0-9]+|{_WHOLE}\.[0-9]*)(?:[eE][-+]?[0-9]+)?|{_WHOLE}[eE][-+]?[0-9]+)",
        "-+.0123456789",
    ),
}


class _Loader(yaml.SafeLoader):
    pass


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag.rpartition(":")[2] not in {*_PLAIN, "timestamp"}]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, (_form, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_form})\Z"), list(_first))


def read_yaml(text: str) -> Any:
    """The value that a text is.

    Raises:
        yaml.YAMLError: It is not YAML; the message has the line.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - it is a safe loader
