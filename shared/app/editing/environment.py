"""What the environment of a definition has, also while the definition has mistakes elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.app.editing.draft_app import with_draft
from shared.dataverse import Dataverse, RetryPolicy
from shared.dataverse.metadata.tables import TableName, list_tables
from shared.dataverse.read.counting import count_records
from shared.definitions import DynamicsEnvironment, ParameterValue, in_odata
from shared.definitions.parameters import is_required
from shared.drafts.yaml_text import yaml_text
from shared.entities import EntityMetadata
from shared.errors import DefinitionError, RequestRefused, UserError

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["PATIENCE", "EnvironmentOf"]

PATIENCE: Final = RetryPolicy(attempts=2, throttles=1, seconds=10.0)
"""A person waits for the answer."""
_KEYS: Final = frozenset(DynamicsEnvironment.model_fields) | {"connection"}
_FILE: Final = "environment-of-a-draft.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentOf:
    """The environment that a definition names.

    Attributes:
        app: The program.
        data: The values of the definition's text, with or without mistakes.
    """

    app: App
    data: Any

    def tables(self) -> tuple[TableName, ...]:
        """Its tables.

        Raises:
            SyncError: The keys of the environment have mistakes, or it cannot be asked.
        """
        with self._opened() as (dataverse, _):
            return list_tables(dataverse.service)

    def table(self, name: str | None = None) -> EntityMetadata:
        """A table by its name; the definition's own where none is given.

        Raises:
            SyncError: There is no such table, or the environment cannot be asked.
        """
        with self._opened() as (dataverse, _):
            return dataverse.entity(name or self._entity())

    def count(self, condition: str) -> int:
        """How many records of the table a filter lets through, up to 5,000.

        Args:
            condition: An OData filter with the parameters of the definition; empty for all records.

        Raises:
            SyncError: The service refuses the filter, or cannot be asked.
        """
        with self._opened() as (dataverse, values):
            entity = dataverse.entity(self._entity())
            try:
                return count_records(
                    dataverse.service, entity, in_odata(condition, values, entity) if condition else None
                )
            except RequestRefused as error:
                raise UserError(error.message) from error

    def _entity(self) -> str:
        entity = _destination(self.data).get("entity")
        if not isinstance(entity, str) or not entity:
            raise UserError("choose the table of the destination first")
        return entity

    @contextmanager
    def _opened(self) -> Iterator[tuple[Dataverse, dict[str, ParameterValue]]]:
        """A client for the environment, and the values of the parameters."""
        drafted = with_draft(self.app, _FILE, _smallest(self.data), patience=PATIENCE)
        if problems := drafted.loaded.problems:
            raise DefinitionError(problems)
        ours, name = drafted.app, drafted.loaded.name
        declared = drafted.loaded.definition.parameters if drafted.loaded.definition else {}
        absent = {key: "" for key, each in declared.items() if is_required(each)}
        definition, values = ours.joined(name, absent)
        with closing(ours.dataverse(definition, values)) as dataverse:
            yield dataverse, dict(values)


def _destination(data: Any) -> dict[str, Any]:
    found = data.get("destination") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _smallest(data: Any) -> str:
    """A definition without mistakes that has the same environment."""
    destination = {key: value for key, value in _destination(data).items() if key in _KEYS}
    made = {
        "name": "environment-of-a-draft",
        "source": {"type": "delimited", "path": "none.csv", "columns": [{"name": "id"}]},
        "destination": destination
        | {"entity": "account", "id_column": "accountid", "mappings": [{"source": "id", "target": "name"}]},
        "sync_behaviour": {"sync_key": ["name"]},
    }
    if isinstance(data, dict) and isinstance(data.get("parameters"), dict):
        made["parameters"] = data["parameters"]
    return yaml_text(made)
