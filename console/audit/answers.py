"""The audit log as the API gives it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from console.audit.entries import Page

__all__ = ["AuditAnswer", "audit_answer"]


class AuditEntryAnswer(BaseModel):
    """One thing that a person did."""

    id: str
    at: datetime
    by: str = Field(description="Object id of the person or application.")
    name: str
    action: str
    sync: str = Field(description="The sync that it was done to; empty where it was none.")
    before: str
    after: str


class AuditAnswer(BaseModel):
    """A page of the audit log."""

    entries: list[AuditEntryAnswer] = Field(description="The newest first.")
    older: datetime | None = Field(description="What `before` is for the next page; null on the last one.")


def audit_answer(page: Page) -> dict[str, Any]:
    """A page for programs."""
    entries = [AuditEntryAnswer.model_validate(asdict(entry)) for entry in page.entries]
    return AuditAnswer(entries=entries, older=page.older).model_dump()
