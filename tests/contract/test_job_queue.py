"""The queue of jobs in Azure Queue Storage, over Azurite: with a key and by identity, and what it says in trouble."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueServiceClient

from shared.errors import AbortRun, RetryLater, UserError
from shared.settings import Settings
from shared.state.azure.job_queue import StorageQueue, open_queue
from shared.state.job_queue import QUEUE_NAME

pytestmark = pytest.mark.azurite


def no_credential() -> TokenCredential:
    raise AssertionError("a connection string needs no identity")


@pytest.fixture
def queue(storage_account: str) -> Iterator[StorageQueue]:
    settings = Settings.load({"STATE_STORE": "azure", "AzureWebJobsStorage": storage_account})
    opened = open_queue(settings, no_credential)
    yield opened
    opened.close()


@pytest.fixture
def service(storage_account: str) -> Iterator[QueueServiceClient]:
    with QueueServiceClient.from_connection_string(storage_account) as client:
        yield client


def test_a_message_is_the_id_as_base64_and_does_not_expire(queue: StorageQueue, service: QueueServiceClient) -> None:
    """As the trigger reads it; the queue is made when it is missing."""
    queue.send("0123abcd")
    queue.send("0123abcd")
    for message in service.get_queue_client(QUEUE_NAME).receive_messages():
        assert base64.b64decode(message.content) == b"0123abcd"
        assert message.expires_on is not None
        assert message.expires_on.year > 9000


def test_a_delayed_message_is_there_and_not_seen(queue: StorageQueue, service: QueueServiceClient) -> None:
    """However long the delay: the service takes a week at most."""
    queue.send("later", timedelta(minutes=15))
    queue.send("much later", timedelta(days=400))
    client = service.get_queue_client(QUEUE_NAME)
    assert client.get_queue_properties().approximate_message_count == 2
    assert client.receive_message() is None


def test_a_message_never_comes_before_its_delay_is_over(storage_account: str) -> None:
    """The service counts in whole seconds: a part of one is rounded up."""
    asked = list[str]()
    with QueueServiceClient.from_connection_string(
        storage_account, raw_request_hook=lambda request: asked.append(request.http_request.url)
    ) as recorded:
        for delay in (timedelta(), timedelta(milliseconds=1), timedelta(seconds=59.9), timedelta(seconds=-5)):
            StorageQueue(recorded).send("job", delay)
    hidden = [re.search(r"visibilitytimeout=(\d+)", url) for url in asked if "messages" in url]
    assert [int(found[1]) for found in hidden if found][-4:] == [0, 1, 60, 0]


def test_poisoned_messages_are_given_once_and_removed(queue: StorageQueue, service: QueueServiceClient) -> None:
    """One that is not a job's id is given with an empty one; without the queue there is none."""
    assert list(queue.poisoned()) == []
    poison = service.get_queue_client(f"{QUEUE_NAME}-poison")
    poison.create_queue()
    poison.send_message(base64.b64encode(b"j1").decode())
    poison.send_message("%%%")
    found = queue.poisoned()
    assert sorted(each.job_id for each in found) == ["", "j1"]
    assert list(queue.poisoned()) == []  # hidden while they are looked at
    for _ in range(2):
        for each in found:
            queue.discard(each)
    assert poison.get_queue_properties().approximate_message_count == 0


def test_an_app_with_an_identity_sends_by_the_urls_of_its_settings(identity_account: object) -> None:
    """It knows no key."""
    account: Any = identity_account
    opened = open_queue(account.settings, lambda: account.credential)
    opened.send("j1")
    opened.close()


def test_a_queue_that_is_unavailable_or_refuses_says_so(storage_account: str) -> None:
    """Away is tried again later; a wrong key names the roles."""
    gone = re.sub(r"(QueueEndpoint=http://127.0.0.1):[0-9]+", r"\1:9", storage_account)
    nobody = StorageQueue(QueueServiceClient.from_connection_string(gone, retry_total=0))
    with pytest.raises(RetryLater, match="not available"):
        nobody.send("j1")
    nobody.close()
    refused = storage_account.replace("AccountKey=", "AccountKey=AAAA")
    service = QueueServiceClient.from_connection_string(refused, retry_total=0)
    with pytest.raises(AbortRun, match="Storage Queue Data Contributor"):
        StorageQueue(service).send("j1")
    service.close()


def test_settings_that_name_no_queue_are_a_mistake() -> None:
    """By identity it needs the account's name or the URL of the service."""
    settings = Settings(state_store="azure", storage_table_uri="https://t", storage_blob_uri="https://b")
    with pytest.raises(UserError, match="queueServiceUri"):
        open_queue(settings, DefaultAzureCredential)
