"""What a case is to reach, and how it went."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.programs import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a case is to reach.

    Attributes:
        got: The figure that was measured.
        most: Whether `target` is the most that is allowed, not the least that is wanted.
        limit: The best figure that the limits of the service, or the data, allow; None where only the machine limits it.
    """

    text: str
    target: float
    got: float
    most: bool = False
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.got <= self.target if self.most else self.got >= self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One case as it went.

    Attributes:
        setting: The service and the data, in a sentence.
        bars: Seconds by program, for the chart, the computed ceiling among them.
        notes: What has to be known to read the figures.
    """

    name: str
    title: str
    setting: str
    measured: tuple[Measured, ...] = ()
    bars: dict[str, float] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All fields by name, and whether each goal was met."""
        goals = [{**asdict(goal), "met": goal.met} for goal in self.goals]
        return {**asdict(self), "goals": goals}
