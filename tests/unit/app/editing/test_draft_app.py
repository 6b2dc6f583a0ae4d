"""The app with a draft in place of a definition."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.app import App
from shared.app.editing.draft_app import with_draft
from shared.errors import DefinitionError
from shared.settings import Settings
from tests.contract.test_remote_files import DEFINITION


@pytest.fixture
def app(tmp_path: Path) -> App:
    """An app with one definition."""
    (tmp_path / "customers.yaml").write_text(DEFINITION)
    variables = {"SYNC_DEFINITIONS": str(tmp_path), "STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
    return App(Settings.load(variables), read_environment=lambda: variables)


def test_a_draft_takes_the_place_of_its_file_and_the_app_itself_stays(app: App) -> None:
    """Also under another name; both have one state store."""
    drafted = with_draft(app, "customers.yaml", DEFINITION.replace("name: customers", "name: clients"))
    assert drafted.loaded.name == "clients"
    assert [each.name for each in drafted.app.runnable()] == ["clients"]
    assert [each.name for each in app.runnable()] == ["customers"]
    assert drafted.app.state is app.state
    app.state.close()


def test_a_draft_of_a_new_file_is_one_more_and_needs_a_name_of_its_own(app: App) -> None:
    """The name of another definition is a mistake of both."""
    more = with_draft(app, "more.yaml", DEFINITION.replace("name: customers", "name: more"))
    assert [each.name for each in more.app.runnable()] == ["customers", "more"]
    same = with_draft(app, "more.yaml", DEFINITION)
    assert ["is already used by" in each.message for each in same.loaded.problems] == [True]
    app.state.close()


def test_a_connection_is_no_draft_of_a_sync(app: App) -> None:
    """It is said so."""
    with pytest.raises(DefinitionError, match="a connection and not a sync"):
        with_draft(app, "crm.yaml", "kind: connection\nname: crm\ntype: dynamics\n")
