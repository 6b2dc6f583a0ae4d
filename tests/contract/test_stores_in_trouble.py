"""What each store says when it cannot do its work."""

from __future__ import annotations

import sqlite3
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, TokenCredential

from shared.errors import AbortRun, RetryLater, UserError
from shared.settings import Settings
from shared.state.azure import AzureStateStore, open_azure
from shared.state.sqlite import SqliteStateStore
from tests.azurite.fixtures import IdentityAccount

# azure-data-tables 12.7.0 asks an XML element for its truth value, which Python 3.12 and newer warn of.
ELEMENT_TRUTH = pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")


class TestSqlite:
    def test_a_file_that_cannot_be_made_names_the_setting(self, tmp_path: Path) -> None:
        """The user learns which setting to correct."""
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(UserError, match="STATE_STORE"):
            SqliteStateStore(tmp_path / "file" / "state.db")

    def test_a_file_that_is_no_database_is_refused(self, tmp_path: Path) -> None:
        """Nothing of somebody else's file is overwritten."""
        file = tmp_path / "letter.txt"
        file.write_text("Dear Ann, " * 500)
        with pytest.raises(UserError, match="STATE_STORE"):
            SqliteStateStore(file)
        assert file.read_text() == "Dear Ann, " * 500

    def test_a_newer_schema_is_refused(self, tmp_path: Path) -> None:
        """An old program does not write into what it does not understand."""
        SqliteStateStore(tmp_path / "state.db").close()
        with sqlite3.connect(tmp_path / "state.db") as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        with pytest.raises(UserError, match="newer version"):
            SqliteStateStore(tmp_path / "state.db")

    def test_a_store_that_is_busy_for_too_long_means_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A lock that nobody gives back is no reason to lose an event."""
        store = SqliteStateStore(tmp_path / "state.db")
        store._db.execute("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryLater) as caught:
            store.set_watermark("s", "1", fence=1)
        assert caught.value.retry_after > 0
        other.execute("ROLLBACK")
        other.close()
        assert store.set_watermark("s", "1", fence=1)
        store.close()

    def test_a_new_file_that_another_process_is_making_is_waited_for(self, tmp_path: Path) -> None:
        """SQLite refuses the second at once where it would wait for a transaction."""
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None, check_same_thread=False)
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN EXCLUSIVE")
        release = threading.Timer(0.2, other.execute, ["ROLLBACK"])
        release.start()
        store = SqliteStateStore(tmp_path / "state.db")
        release.join()
        other.close()
        assert store.set_watermark("s", "1", fence=1)
        store.close()

    def test_a_file_that_is_never_let_go_means_later(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is wrong with the setting, so the host's next try may succeed."""
        monkeypatch.setattr("shared.state.sqlite.PATIENCE", timedelta(seconds=0.05))
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RetryLater, match="is away: database is locked"):
            SqliteStateStore(tmp_path / "state.db")
        other.close()

    def test_a_damaged_file_ends_the_run(self, tmp_path: Path) -> None:
        """Trying again would not mend it."""
        store = SqliteStateStore(tmp_path / "state.db")
        store._db.execute("DROP TABLE watermarks")
        with pytest.raises(AbortRun):
            store.watermark("s")
        store.close()


class TestAzure:
    def test_settings_that_name_no_account_say_which_to_set(self) -> None:
        """Both ways to name an account are told."""
        with pytest.raises(UserError, match="AzureWebJobsStorage__accountName"):
            open_azure(Settings(state_store="azure"), lambda: AzureNamedKeyCredential("a", "b"))  # type: ignore[arg-type, return-value]  # never called

    def test_what_is_no_connection_string_is_not_repeated(self) -> None:
        """A mistyped connection string holds a key."""
        with pytest.raises(UserError) as caught:
            open_azure(Settings(storage_connection="s3cr3t"), lambda: AzureNamedKeyCredential("a", "b"))  # type: ignore[arg-type, return-value]  # never called
        assert "s3cr3t" not in caught.value.message
        assert "AzureWebJobsStorage" in caught.value.message

    def test_an_account_that_nobody_answers_for_means_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A closed port is a store that is away, for tables and for blobs."""
        monkeypatch.setattr("shared.state.azure._storage.PATIENCE", {"retry_total": 0})
        monkeypatch.setattr("shared.state.azure._storage._for_blobs", lambda: {"retry_total": 0})
        store = AzureStateStore.by_connection_string(
            "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
            "BlobEndpoint=http://127.0.0.1:9/a;TableEndpoint=http://127.0.0.1:9/a"
        )
        with pytest.raises(RetryLater):
            store.watermark("s")
        with pytest.raises(RetryLater):
            store.file("r", "f")
        store.close()

    @pytest.mark.azurite
    @ELEMENT_TRUTH
    def test_a_refused_identity_is_told_the_roles(self, storage_account: str) -> None:
        """The operator learns what to assign."""
        store = AzureStateStore.by_connection_string(storage_account.replace("AccountKey=", "AccountKey=d3Jvbmc="))
        with pytest.raises(AbortRun, match="Storage Table Data Contributor"):
            store.watermark("s")
        with pytest.raises(AbortRun, match="Storage Blob Data Owner"):
            store.file("r", "f")
        store.close()

    @pytest.mark.azurite
    def test_settings_without_a_key_open_the_account_by_identity(self, identity_account: IdentityAccount) -> None:
        """As `azd up` deploys it: the account refuses keys."""
        store = open_azure(identity_account.settings, lambda: identity_account.credential)
        assert store.set_watermark("s", "1", fence=1)
        store.put_file("run", "errors.csv", b"a,b")
        assert (store.watermark("s"), store.file("run", "errors.csv")) == ("1", b"a,b")
        store.close()

    @pytest.mark.azurite
    @ELEMENT_TRUTH
    def test_a_token_for_something_else_is_told_the_roles(self, identity_account: IdentityAccount) -> None:
        """The account knows the identity and does not let it in."""
        store = open_azure(identity_account.settings, lambda: Elsewhere(identity_account.credential))
        with pytest.raises(AbortRun, match="Storage Table Data Contributor"):
            store.watermark("s")
        with pytest.raises(AbortRun, match="Storage Blob Data Owner"):
            store.file("r", "f")
        store.close()


class Elsewhere:
    """A credential whose tokens are meant for another service."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential

    def get_token(self, *_: str, **options: Any) -> AccessToken:
        return self._credential.get_token("https://vault.azure.net/.default", **options)
