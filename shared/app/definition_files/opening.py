"""Which place the settings name, and what is in a container at first: the definitions of the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.app.definition_files.files import VERSIONS, DefinitionFiles
from shared.app.definition_files.local import LocalPlace
from shared.deployment import is_deployed
from shared.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.app.definition_files.container import ContainerPlace
    from shared.app.definition_files.places import Place
    from shared.app.wiring import Wiring
    from shared.settings import Settings

__all__ = ["opened", "seed"]

_SUFFIXES: Final = (".yaml", ".yml")
_PACKAGE: Final = Path("syncs")
_SEEDED: Final = "seeded.txt"
_OF_PACKAGE: Final = (
    "The definitions are part of the deployed package, so they cannot be changed here. Set SYNC_DEFINITIONS to a "
    "folder of a container, such as abfs://definitions/syncs."
)
_ONE_FILE: Final = "SYNC_DEFINITIONS names one file, so nothing can be changed here. Set it to the folder of the file."
_ELSEWHERE: Final = (
    "Definitions can be changed here in a local folder or in a container of Azure. Set SYNC_DEFINITIONS to one of them."
)


def opened(wiring: Wiring, settings: Settings, variables: Mapping[str, str]) -> DefinitionFiles:
    """The files of the place that the settings name; an empty container gets the definitions of the package once.

    Raises:
        SyncError: The container cannot be used.
    """
    return DefinitionFiles(_place(wiring, settings, variables), wiring.repository.look_again)


def _place(wiring: Wiring, settings: Settings, variables: Mapping[str, str]) -> Place:
    location = settings.sync_definitions
    if "://" not in location:
        folder = Path(location)
        why = _OF_PACKAGE if is_deployed(variables) else _ONE_FILE if folder.is_file() else ""
        return LocalPlace(folder.parent if folder.is_file() else folder, why)
    from shared.app.definition_files.container import ContainerPlace  # noqa: PLC0415 - the Azure SDKs load slowly
    from shared.app.publishing import container_of  # noqa: PLC0415 - the same

    try:
        folder_there = container_of(location, wiring.open_blobs, settings.blob_endpoint)
    except UserError:
        return LocalPlace(Path(), _ELSEWHERE)
    why = _ONE_FILE if location.endswith(_SUFFIXES) else ""
    place = ContainerPlace(location, folder_there, why)
    if is_deployed(variables) and not why:
        seed(place, _PACKAGE)
    return place


def seed(place: ContainerPlace, folder: Path) -> bool:
    """Write the definitions of a folder into an empty place, once: what people delete later does not come back.

    Args:
        place: Where they go.
        folder: The folder of the package; what is in its subfolders is left out.

    Returns:
        Whether they were written.
    """
    if _SEEDED in place.names(VERSIONS) or any(name.endswith(_SUFFIXES) for name in place.names("")):
        return False
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in _SUFFIXES and path.is_file():
            place.seed(path.name, path.read_bytes())
    place.seed(f"{VERSIONS}/{_SEEDED}", b"The definitions of the package were written here once.\n")
    return True
