"""The pages that were read, and the URLs of requests, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import UserError
from shared.sources.rest.addresses import shown_request, with_parameter
from shared.sources.rest.paging import AnswerPage, PageRequest
from shared.sources.rest.seen import SeenPages, Total


def test_the_number_of_pages_is_limited() -> None:
    """A service may name new pages for ever."""
    seen = SeenPages(most=3)
    for number in range(3):
        seen.ask(PageRequest(url=f"https://a/?p={number}"), "GET https://a/")
    with pytest.raises(UserError, match="GET https://a/: more than 3 pages; ask for larger pages, or check pagination"):
        seen.ask(PageRequest(url="https://a/?p=3"), "GET https://a/")


def test_the_same_url_with_another_body_is_another_request() -> None:
    """The parameters of pages can be in the body."""
    seen = SeenPages()
    for body in (None, "{}", '{"offset": 10}'):
        seen.ask(PageRequest(url="https://a/", body=body), "POST https://a/")
    with pytest.raises(UserError, match="read before"):
        seen.ask(PageRequest(url="https://a/", body="{}"), "POST https://a/")


def test_pages_that_share_rows_are_not_the_same() -> None:
    """All records of a page are compared, in their order; empty pages are not."""
    seen = SeenPages()
    pages: list[list[dict[str, Any]]] = [[], [{"a": "1"}, {"a": "2"}], [{"a": "2"}, {"a": "1"}], [{"a": "1"}], []]
    for page in pages:
        assert list(seen.noted(page, "page")) == page
    with pytest.raises(UserError, match="page that was read before"):
        list(seen.noted([{"a": "1"}], "page"))


def test_a_total_may_be_missing_after_the_first_page() -> None:
    """It is compared if it exists, and at the end."""
    total = Total("$.n")
    total.note(AnswerPage(url="", place="p", document={"n": 3}))
    total.note(AnswerPage(url="", place="p", document={}))
    total.compare(3, "p")
    with pytest.raises(UserError, match="p: 4 rows were read, but the total is 3"):
        total.compare(4, "p")
    with pytest.raises(UserError, match="the total changed from 3 to 4"):
        total.note(AnswerPage(url="", place="p", document={"n": 4}))


def test_no_total_is_compared_without_a_path() -> None:
    """Most services have none."""
    total = Total(None)
    total.note(AnswerPage(url="", place="p", document={"n": 3}))
    total.compare(4, "p")


@pytest.mark.parametrize(
    ("url", "name", "value", "expected"),
    [
        ("https://a/b", "p", "1", "https://a/b?p=1"),
        ("https://a/b?", "p", "1", "https://a/b?p=1"),
        ("https://a/b?x=%20y&z", "p", "a&b=c d", "https://a/b?x=%20y&z&p=a%26b%3Dc%20d"),
        ("https://a/b?p=1&x=2&p=3", "p", "4", "https://a/b?x=2&p=4"),
        ("https://a/b?%24skip=1", "$skip", "2", "https://a/b?$skip=2"),
        ("https://a/b?page%5Bnumber%5D=1", "page[number]", "2", "https://a/b?page%5Bnumber%5D=2"),
    ],
)
def test_a_parameter_replaces_those_of_its_name(url: str, name: str, value: str, expected: str) -> None:
    """The others stay as they are written."""
    assert with_parameter(url, name, value) == expected


def test_a_request_is_shown_without_its_query() -> None:
    """The query may contain a key or personal data."""
    assert shown_request("GET", "https://a.example:8443/b/c?key=x") == "GET https://a.example:8443/b/c"
