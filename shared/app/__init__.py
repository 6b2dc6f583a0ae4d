"""The composition root and the program that it makes."""

from __future__ import annotations

from shared.app.app import App
from shared.app.process import current, open_app

__all__ = ["App", "current", "open_app"]
