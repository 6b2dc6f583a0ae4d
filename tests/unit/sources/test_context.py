"""What a source gets besides its definition."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.app.wiring import Wiring
from shared.definitions import EnvironmentSecret
from shared.definitions.models import DynamicsSource, SqlConnection
from shared.errors import UserError
from shared.settings import Settings
from shared.sources import SourceContext


def test_the_composition_root_gives_parameters_secrets_and_the_time(tmp_path: Path) -> None:
    """A reference is resolved when it is used; the text of the context does not contain its value."""
    settings = Settings.load({"STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}"})
    wiring = Wiring(settings, lambda: {"DATABASE_PASSWORD": "open sesame"})
    context = wiring.source_context({"day": 5})
    assert context.text("in/@{day}.csv") == "in/5.csv"
    assert context.secret(EnvironmentSecret(env="DATABASE_PASSWORD")) == "open sesame"
    assert context.clock.now().tzinfo is not None
    assert "sesame" not in repr(context)


@pytest.mark.parametrize("site", ["", "app"])
def test_a_deployed_app_limits_the_hosts_of_sources(tmp_path: Path, site: str) -> None:
    """To those of the setting; definitions are read from anywhere, because their place is a setting too."""
    values = {"STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}", "SOURCE_HOSTS": "api.example.com"}
    wiring = Wiring(Settings.load(values), lambda: {"WEBSITE_SITE_NAME": site})
    reach = wiring.source_context({}).reach
    assert (reach.hosts, reach.limited) == (("api.example.com",), bool(site))
    assert wiring.source_context({}).open_url == wiring.source_context({}).open_url
    assert wiring.open_url("memory://a")[1] == "/a"


def test_a_context_without_secrets_raises_a_clear_error() -> None:
    """For tools that only read files."""
    with pytest.raises(UserError, match="no place to read it from"):
        SourceContext().secret(EnvironmentSecret(env="X"))


def test_the_composition_root_gives_the_connections_of_the_folder(tmp_path: Path) -> None:
    """By name; the message about a missing one lists the existing ones."""
    (tmp_path / "erp.yaml").write_text("kind: connection\nname: erp\ntype: sql\nurl: {env: ERP_URL}\n", "utf-8")
    context = Wiring(Settings.load({"SYNC_DEFINITIONS": str(tmp_path)}), dict).source_context({})
    found = context.connection("erp")
    assert isinstance(found, SqlConnection)
    assert found.url == EnvironmentSecret(env="ERP_URL")
    with pytest.raises(UserError, match=r"there is no connection epr; did you mean erp\?"):
        context.connection("epr")


def test_a_context_without_environments_raises_a_clear_error() -> None:
    """For tools that only read files."""
    source = DynamicsSource(type="dynamics", entity="account")
    with pytest.raises(UserError, match="there is no client for it"):
        SourceContext().open_tables(source)
