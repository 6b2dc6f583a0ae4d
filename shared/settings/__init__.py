"""The settings of the app, and the environment that they come from."""

from __future__ import annotations

from shared.settings.environment import LOCAL_SETTINGS_FILE, environment, function_time_limit, reach_directly
from shared.settings.model import DYNAMICS_CLOUDS, LOCAL_STATE, Settings

__all__ = [
    "DYNAMICS_CLOUDS",
    "LOCAL_SETTINGS_FILE",
    "LOCAL_STATE",
    "Settings",
    "environment",
    "function_time_limit",
    "reach_directly",
]
