"""A saved plan: what `plan --out` writes and `run --plan` applies, or refuses."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import UserError
from shared.visible import in_json

__all__ = ["PlanFile"]

Value = str | int | float | bool | dt.datetime | dt.date | None  # what a parameter may hold


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Moment(_File):
    moment: dt.datetime


class _Day(_File):
    day: dt.date


Saved = str | int | float | bool | _Moment | _Day | None


class PlanFile(_File):
    """The file's content. It names the changes by their checksum and holds no more rows than the plan showed.

    Attributes:
        id: Identifies the plan: a saved plan is applied once, and a copy of the file is the same plan.
        parameters: The value of every parameter when the plan was made, also of those that `NOW()` or `GUID()`
            would give another: with them `run --plan` calculates the same changes. Secrets are not among them.
        given: Those of them that were given with the command.
        plan: What `plan --json` prints, for the person who approves it; without values where it has no examples.
    """

    format: Literal[2] = 2
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    sync: str
    checksum: str = Field(pattern=r"^[0-9a-f]{64}$")
    parameters: dict[str, Saved] = Field(default_factory=dict)
    given: dict[str, Saved] = Field(default_factory=dict)
    plan: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, plan: Mapping[str, Any], parameters: Mapping[str, Value], given: Mapping[str, Value]) -> Self:
        """Make the file of what `plan --json` prints.

        Args:
            plan: The object.
            parameters: The value of every parameter.
            given: Those that were given with the command.
        """
        return cls(
            id=uuid.uuid4().hex,
            sync=plan["sync"],
            checksum=plan["checksum"],
            parameters={name: _saved(value) for name, value in parameters.items()},
            given={name: _saved(value) for name, value in given.items()},
            plan=dict(plan),
        )

    @classmethod
    def read(cls, path: Path, *, sync: str) -> Self:
        """Read a saved plan.

        Raises:
            UserError: The file cannot be read, is not a plan, or is a plan of another sync.
        """
        try:
            text = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        return cls.of_text(text, sync=sync, name=f"{path}: ")

    @classmethod
    def of_text(cls, text: bytes, *, sync: str, name: str = "") -> Self:
        """Read the text of a saved plan.

        Args:
            text: The JSON.
            sync: The sync that it must be of.
            name: What messages begin with.

        Raises:
            UserError: It is not a plan, or a plan of another sync.
        """
        try:
            saved = cls.model_validate_json(text)
        except ValidationError as error:
            if any(problem["loc"] == ("format",) for problem in error.errors()):
                raise UserError(
                    f"{name}the plan was written by another version of this program: make a new plan"
                ) from error
            raise UserError(f"{name}is not a plan that `dynamics-sync plan --out` wrote") from error
        if saved.sync != sync:
            raise UserError(f"{name}is a plan of {saved.sync}, not of {sync}")
        return saved

    def values(self) -> dict[str, Value]:
        """The parameters, with dates and times as such."""
        return {name: _read(value) for name, value in self.parameters.items()}

    def given_values(self) -> dict[str, Value]:
        """The parameters that were given with the command that made the plan."""
        return {name: _read(value) for name, value in self.given.items()}

    @property
    def watermark(self) -> str | None:
        """Where the plan began to read; None where its sync has no watermark."""
        kept = self.plan.get("watermark")
        return kept if isinstance(kept, str) else None

    def to_text(self) -> str:
        """The file's text."""
        return in_json(self.model_dump_json(indent=2)) + "\n"


def _saved(value: Value) -> Saved:
    match value:
        case dt.datetime():
            return _Moment(moment=value)
        case dt.date():
            return _Day(day=value)
        case _:
            return value


def _read(value: Saved) -> Value:
    match value:
        case _Moment(moment=moment):
            return moment
        case _Day(day=day):
            return day
        case _:
            return value
