"""A saved plan: what `plan --out` writes and `run --plan` applies, or refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import UserError

__all__ = ["PlanFile"]


class PlanFile(BaseModel):
    """The file's content. It names the changes by their checksum and holds no more rows than the plan showed.

    Attributes:
        parameters: What was given on the command line; `run --plan` gives the same again.
        plan: What `plan --json` prints, for whoever has to approve it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    sync: str
    checksum: str = Field(pattern=r"^[0-9a-f]{64}$")
    parameters: dict[str, str] = Field(default_factory=dict)
    plan: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, *, sync: str) -> Self:
        """Read a saved plan.

        Raises:
            UserError: The file cannot be read, is no plan, or plans another sync.
        """
        try:
            saved = cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise UserError(f"{path}: is no plan that `dynamics-sync plan --out` has written") from error
        if saved.sync != sync:
            raise UserError(f"{path}: is a plan of {saved.sync}, not of {sync}")
        return saved

    def to_text(self) -> str:
        """The file's text."""
        return self.model_dump_json(indent=2) + "\n"
