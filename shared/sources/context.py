"""What a source may need in addition to its definition; the composition root gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from shared.clock import Clock, SystemClock
from shared.definitions.models import ConnectionModel, DynamicsSource, ParameterValue, SecretReference
from shared.definitions.parameters import in_text, in_url
from shared.errors import UserError
from shared.http.reach import ReachableHosts
from shared.remote import OpenUrl, open_without_account
from shared.sources.dynamics.tables import Tables

__all__ = ["SourceContext"]


def _no_secret(_reference: SecretReference) -> str:
    raise UserError("this source needs a secret, and there is no place to read it from")


def _keep_secret(_reference: SecretReference) -> None:
    """Nothing is cached here."""


def _not_counted(_until: datetime | None) -> None:
    """Nobody asks how often."""


def _no_connection(name: str) -> ConnectionModel:
    raise UserError(f"there is no connection {name}")


def _no_tables(_source: DynamicsSource) -> AbstractContextManager[Tables]:
    raise UserError("this source needs a Dataverse environment, and there is no client for it")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceContext:
    """What a source may need besides its definition. The folder of the run is that of the workspace it loads into.

    Attributes:
        parameters: The value of each parameter.
        open_url: Turns a URL into its file system and path.
        connection: The connection of a name; raises UserError where there is none.
        secret: The value behind a reference; raises UserError where there is none.
        renew_secret: Makes the next call of `secret` read the value again; it was refused.
        reach: Which hosts may be reached.
        open_tables: A client for the environment of a source, for the length of a `with` block; raises UserError
            where the address cannot be used.
        throttled: Gets each request that the API of a source throttles: the moment until which the next one waits, or
            None where none is sent. The client of `open_tables` counts its own.
        clock: The time, and waiting.
        roots: The folders that local files are read from; no limit where there is none.
        rows: A load ends after so many rows, malformed ones included, and reads little more; None for all rows.
    """

    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    open_url: OpenUrl = open_without_account
    connection: Callable[[str], ConnectionModel] = _no_connection
    secret: Callable[[SecretReference], str] = field(default=_no_secret, repr=False)
    renew_secret: Callable[[SecretReference], object] = _keep_secret
    reach: ReachableHosts = field(default_factory=ReachableHosts)
    open_tables: Callable[[DynamicsSource], AbstractContextManager[Tables]] = _no_tables
    throttled: Callable[[datetime | None], object] = _not_counted
    clock: Clock = field(default_factory=SystemClock)
    roots: tuple[str, ...] = ()
    rows: int | None = None

    def text(self, text: str) -> str:
        """A text of the definition with its parameters."""
        return in_text(text, self.parameters)

    def url(self, text: str, *, relative: bool = False) -> str:
        """A URL of the definition, or the part of one, with its parameters, which are percent-encoded: see `in_url`."""
        return in_url(text, self.parameters, relative=relative)
