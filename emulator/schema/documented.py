"""What Microsoft documents and this emulator does not implement: the answer is 501 and names it.

`documented.yaml` holds names of the Web API reference: functions, actions, entity sets and many-to-many navigation
properties. The emulator looks for its own operations first.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

import yaml

from emulator.errors import NAMESPACE, not_implemented

__all__ = ["check_emulated", "check_headers"]

_KINDS: Final = {"functions": "function", "actions": "action", "tables": "table", "many_to_many": "relationship"}
# Headers that change what a request does, and the value with which they do so (None for any value). Headers that
# bypass plug-ins and flows are accepted, as the emulator has neither.
_HEADERS: Final[Mapping[str, tuple[str, str | None]]] = {
    "mscrm.suppressduplicatedetection": ("MSCRM.SuppressDuplicateDetection", "false"),
    "mscrm.solutionuniquename": ("MSCRM.SolutionUniqueName", None),
    "autodisassociate": ("AutoDisassociate", "true"),
    "x-ms-transfer-mode": ("x-ms-transfer-mode", None),
    "x-ms-file-name": ("x-ms-file-name", None),
}


@cache
def _names() -> Mapping[str, str]:
    """Names with their kinds: function, action, table or relationship."""
    content = yaml.safe_load((files("emulator.schema") / "documented.yaml").read_text(encoding="utf-8"))
    return {name: kind for group, kind in _KINDS.items() for name in content[group].split()}


def check_emulated(name: str) -> None:
    """Refuses a name that Microsoft documents and the emulator does not implement.

    Raises:
        ServiceError: 501 with the name.
    """
    bare = name.removeprefix(f"{NAMESPACE}.")
    kind = _names().get(bare)
    if kind is not None:
        raise not_implemented(f"The {kind} '{bare}' is not emulated.")


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuses headers that the emulator would have to ignore.

    Raises:
        ServiceError: 501 with the name of the header.
    """
    for name, (shown, value) in _HEADERS.items():
        given = headers.get(name)
        if given is not None and (value is None or given.strip().lower() == value):
            raise not_implemented(f"The header '{shown}: {given[:100]}' is not emulated.")
