"""Script columns: JavaScript that runs in a process of its own, without files, network, clock or random numbers."""

from __future__ import annotations

from shared.scripts.engine import MOST_STOPPED, Allowance, ScriptEngine, ScriptError

__all__ = ["MOST_STOPPED", "Allowance", "ScriptEngine", "ScriptError"]
