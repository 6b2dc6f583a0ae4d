"""Definitions of a folder into a container, without overwriting what somebody has changed there.

A file that was published has the SHA-256 of its content in its metadata. If the content is another one now, somebody
has edited it in the container. Each write has the condition that the file is still the one that was read (its ETag).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from shared.app.definition_files.conditional_writes import CHANGED, written_once
from shared.definitions import Repository
from shared.errors import AbortRun, DefinitionError, Problem, RetryLater, SyncError, UserError, first_line

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient

__all__ = ["MARK", "DefinitionFolder", "PublishedFile", "container_of", "explained", "publish"]

Outcome = Literal["created", "updated", "unchanged", "removed", "left alone", "edited"]

MARK: Final = "dynamicssync_published"
"""Metadata of a file: the SHA-256 of the content that was published."""
_SUFFIXES: Final = (".yaml", ".yml")
_MOST_BYTES: Final = 1_000_000  # of a definition, as in the repository
_MOST_FILES: Final = 5000
_URL: Final = re.compile(
    r"(?:abfss?|az)://(?P<container>[a-z0-9-]{3,63})"
    # Storage of Microsoft's clouds only: the identity's token is sent there.
    r"(?:@(?P<account>[a-z0-9]{3,24})\.(?:dfs|blob)\.(?P<cloud>core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)))?"
    r"(?:/(?P<path>[^?#]*))?"
)
_CONNECTION: Final = re.compile(rb"^kind:\s*connection\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """The result of one file.

    Attributes:
        file: Its name, without the folder.
        outcome: `edited`: somebody has changed it in the container, and it is as it was; `left alone`: it was not
            published from a folder.
    """

    file: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class DefinitionFolder:
    """A folder in a container.

    Attributes:
        client: The container.
        folder: The beginning of the names of its files: empty, or with `/` at its end.
    """

    client: ContainerClient
    folder: str = ""

    @property
    def url(self) -> str:
        """Its address, such as `abfs://definitions/syncs`."""
        return f"abfs://{self.client.container_name}/{self.folder}".rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A file in the container.

    Attributes:
        mark: The SHA-256 of what was published; empty for what was not.
        etag: What names this version.
    """

    content: bytes = field(repr=False)
    mark: str
    etag: str

    @property
    def is_edited(self) -> bool:
        """Whether somebody wrote it: another content than that which was published, or none was."""
        return self.mark != _sha(self.content)


def container_of(url: str, connect: Callable[[str], BlobServiceClient], endpoint: str) -> DefinitionFolder:
    """The folder that a URL such as `abfs://definitions/syncs` names.

    Args:
        url: The URL; with `@account.dfs.core.windows.net` behind the container for another account than the app's.
        connect: Makes the client of a storage account from the URL of its blob service; from an empty one that of the
            settings' connection string.
        endpoint: URL of the blob service of the app's own account; empty where a connection string is set.

    Raises:
        UserError: It is not such a URL.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise UserError(f"{url}: definitions are published to a URL such as abfs://definitions/syncs")
    folder = (found["path"] or "").strip("/")
    if found["account"]:
        endpoint = f"https://{found['account']}.blob.{found['cloud']}"
    return DefinitionFolder(connect(endpoint).get_container_client(found["container"]), f"{folder}/" if folder else "")


def publish(folder: Path, container: DefinitionFolder, *, overwrite: Collection[str] = ()) -> tuple[PublishedFile, ...]:
    """Make the definitions of a container equal to those of a folder.

    If a file was edited in the container, or the files of the folder and those that stay in the container do not go
    together, nothing at all is written. Connections are written first and files are
    removed last, so that no definition names a connection that is not there.

    Args:
        folder: Has the definitions; what is in its subfolders is not published.
        container: Where they go.
        overwrite: Names of files whose edits are given up.

    Returns:
        The result of each file, in the order of their names.

    Raises:
        DefinitionError: A definition has mistakes, or two files have the same name.
        UserError: There is no definition, or the container does not exist.
        AbortRun: The storage refuses access.
        RetryLater: It is unavailable.
    """
    from azure.core.exceptions import AzureError  # noqa: PLC0415 - the SDKs load slowly

    local = _local(folder)
    try:
        stored = _stored(container)
        planned = {name: _outcome(local.get(name), stored.get(name)) for name in sorted({*local, *stored})}
        planned |= {name: _given_up(local.get(name)) for name in overwrite if planned.get(name) == "edited"}
        if "edited" not in planned.values():
            _check_together(container, local, stored, planned)
            for name in sorted(planned, key=lambda each: _order(planned[each], local.get(each, b""), each)):
                planned[name] = _written(container, name, planned[name], local.get(name, b""), stored.get(name))
    except AzureError as error:
        raise explained(error, container) from error
    return tuple(PublishedFile(name, outcome) for name, outcome in planned.items())


def _local(folder: Path) -> Mapping[str, bytes]:
    """The definitions of a folder; they have no mistakes."""
    repository = Repository(folder, clock=lambda: 0.0)
    files = [*repository.loaded(), *repository.connections().files]
    if problems := [problem for file in files for problem in file.problems]:
        raise DefinitionError(problems)
    found = {path.name: path for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES and path.is_file()}
    if not found:
        raise UserError(f"there is no definition in {folder}, so nothing is published")
    return {name: path.read_bytes() for name, path in found.items()}


def _check_together(
    container: DefinitionFolder,
    local: Mapping[str, bytes],
    stored: Mapping[str, _Stored],
    planned: Mapping[str, Outcome],
) -> None:
    """Refuse what is a mistake only beside the files that stay in the container, or only without those that go.

    Mistakes that these files had before stay theirs: the app leaves such a file out.
    """
    staying = {name: stored[name].content for name, outcome in planned.items() if outcome == "left alone"}
    if not staying:
        return
    known = _problems(container, {name: file.content for name, file in stored.items()})
    of_folder = {f"{container.url}/{name}" for name in local}
    found = _problems(container, {**staying, **local})
    if new := [problem for problem in found if problem not in known or problem.file in of_folder]:
        raise DefinitionError(new)


def _problems(container: DefinitionFolder, files: Mapping[str, bytes]) -> list[Problem]:
    """The mistakes of definitions as they would be in the container, whose address their places begin with."""
    from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]  # noqa: PLC0415 - see publish

    system = MemoryFileSystem(skip_instance_cache=True)
    system.store, system.pseudo_dirs = {}, [""]  # its own: otherwise all of a process have the same files
    system.mkdir("/files")
    for name, content in files.items():
        system.pipe_file(f"/files/{name}", content)
    repository = Repository(container.url, clock=lambda: 0.0, open_url=lambda _: (system, "/files"))
    read = [*repository.loaded(), *repository.connections().files]
    return [problem for file in read for problem in file.problems]


def _stored(container: DefinitionFolder) -> Mapping[str, _Stored]:
    found: dict[str, _Stored] = {}
    for each in container.client.list_blobs(name_starts_with=container.folder or None):
        name = each.name.removeprefix(container.folder)
        if "/" in name or not name.endswith(_SUFFIXES) or (each.size or 0) > _MOST_BYTES:
            continue
        if len(found) == _MOST_FILES:
            raise UserError(f"there are more than {_MOST_FILES:,} definitions in {container.client.container_name}")
        read = container.client.download_blob(each.name)
        properties = read.properties
        mark = (properties.metadata or {}).get(MARK, "")
        found[name] = _Stored(content=read.readall(), mark=mark, etag=properties.etag)
    return found


def _outcome(local: bytes | None, stored: _Stored | None) -> Outcome:
    match local, stored:
        case None, _Stored() as file:
            return "left alone" if not file.mark else "edited" if file.is_edited else "removed"
        case bytes(), None:
            return "created"
        case bytes() as content, _Stored() as file:
            return "unchanged" if content == file.content else "edited" if file.is_edited else "updated"
    return "left alone"


def _given_up(local: bytes | None) -> Outcome:
    return "removed" if local is None else "updated"


def _order(outcome: Outcome, content: bytes, name: str) -> tuple[int, str]:
    return 2 if outcome == "removed" else 0 if _CONNECTION.search(content) else 1, name


def _written(
    container: DefinitionFolder, name: str, outcome: Outcome, content: bytes, stored: _Stored | None
) -> Outcome:
    """Write one file; if somebody changed it at the same time, it counts as edited."""
    from azure.core import MatchConditions  # noqa: PLC0415 - see publish
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - see publish

    client = container.client.get_blob_client(container.folder + name)
    same: dict[str, Any] = {"match_condition": MatchConditions.IfMissing}
    if stored is not None:
        same = {"etag": stored.etag, "match_condition": MatchConditions.IfNotModified}
    mark = {MARK: _sha(content)}
    write: Callable[..., object]
    try:
        match outcome:
            case "created" | "updated":
                write = partial(client.upload_blob, content, overwrite=stored is not None, metadata=mark, **same)
            case "removed":
                write = partial(client.delete_blob, **same)
            case "unchanged" if stored is not None and stored.is_edited:  # the edit is in the folder now
                write = partial(client.set_blob_metadata, mark, **same)
            case _:
                return outcome
        wanted = None if outcome == "removed" else content
        written_once(write, lambda: _has(client, wanted) or None)
    except HttpResponseError as error:
        if error.status_code in CHANGED:
            return "edited"
        raise
    return outcome


def _has(client: BlobClient, content: bytes | None) -> bool:
    """Whether a file has this content with its mark, or is not there where None is given."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - see publish

    try:
        read = client.download_blob()
    except ResourceNotFoundError:
        return content is None
    marked = (read.properties.metadata or {}).get(MARK)
    return content is not None and marked == _sha(content) and read.readall() == content


def explained(error: Exception, container: DefinitionFolder) -> SyncError:
    """What is raised instead of an error of the SDK."""
    from azure.core.exceptions import (  # noqa: PLC0415 - see publish
        ClientAuthenticationError,
        HttpResponseError,
        ResourceNotFoundError,
    )

    from shared.http.azure_tokens import TokensUnavailableError  # noqa: PLC0415 - see publish

    name = container.client.container_name
    first = first_line(error)
    match error:
        case ResourceNotFoundError():
            return UserError(f"there is no container {name} in {container.client.account_name}: create it")
        case TokensUnavailableError():
            return RetryLater(f"no token for the container {name}: {first}", retry_after=30)
        case ClientAuthenticationError() | HttpResponseError(status_code=403):
            return AbortRun(
                f"no access to the container {name}: {first}. Sign in with 'az login', and give this identity the "
                "role 'Storage Blob Data Contributor' on the container"
            )
        case HttpResponseError(status_code=status) if status and status < 500 and status != 429:  # noqa: PLR2004 - HTTP
            return AbortRun(f"the container {name} cannot be used: {first}")
        case _:
            return RetryLater(f"the container {name} is not available: {first}", retry_after=30)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
