"""Where files of sources are kept."""

from __future__ import annotations

import pytest
from azure.storage.blob import BlobServiceClient

from shared.app.uploads.source_files import SourceContainer


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("abfs://definitions/syncs", True),
        ("abfs://definitions", True),
        ("abfs://definitions@other.dfs.core.windows.net/syncs", False),
        ("https://example.com/syncs", False),
    ],
)
def test_files_are_kept_in_the_account_of_the_app_alone(url: str, found: bool) -> None:  # noqa: FBT001 - a parameter
    """A copy within one account needs no other right."""
    account = BlobServiceClient("https://ours.blob.core.windows.net")
    assert (SourceContainer.of(url, lambda _: account, account.url) is not None) is found
