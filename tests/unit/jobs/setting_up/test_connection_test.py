"""What is found in a definition before anything is asked: the references to secrets."""

from __future__ import annotations

from shared.definitions.models import RestSource
from shared.jobs.setting_up.connection_test import secrets_in


def test_references_are_found_wherever_they_stand() -> None:
    """In parts, lists and mappings; texts are none."""
    source = RestSource.model_validate(
        {
            "type": "rest",
            "url": "https://api.example.com/",
            "headers": {"X-Key": {"env": "KEY"}, "Accept": "text"},
            "auth": {"type": "basic", "user": "me", "password": {"key_vault": "password"}},
            "columns": [{"name": "id"}],
        }
    )
    found = {path: reference.model_dump() for path, reference in secrets_in(source, "source")}
    assert found == {
        "source.headers.X-Key": {"env": "KEY"},
        "source.auth.password": {"key_vault": "password"},
    }
