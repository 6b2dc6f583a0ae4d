"""What a source is given beside its definition."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.app.wiring import Wiring
from shared.definitions import EnvironmentSecret
from shared.errors import UserError
from shared.settings import Settings
from shared.sources import SourceContext


def test_the_composition_root_gives_parameters_secrets_and_the_time(tmp_path: Path) -> None:
    """A reference is read when it is asked for; its value is not in the context's text."""
    settings = Settings.load({"STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}"})
    wiring = Wiring(settings, lambda: {"DATABASE_PASSWORD": "open sesame"})
    context = wiring.source_context({"day": 5})
    assert context.text("in/@{day}.csv") == "in/5.csv"
    assert context.secret(EnvironmentSecret(env="DATABASE_PASSWORD")) == "open sesame"
    assert context.clock.now().tzinfo is not None
    assert "sesame" not in repr(context)


def test_a_context_without_secrets_says_so() -> None:
    """In a tool that reads files alone."""
    with pytest.raises(UserError, match="no place to read it from"):
        SourceContext().secret(EnvironmentSecret(env="X"))
