"""The header `Link`: each form of RFC 8288 that gives the next page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UserError
from shared.sources.rest.links import next_link

URL = "https://api.example.com/rows?page=2"


@pytest.mark.parametrize(
    "header",
    [
        f'<{URL}>; rel="next"',
        f"<{URL}>;rel=next",
        f'<{URL}> ; rel = "next"',
        f'<{URL}>; Rel="Next"',
        f'<{URL}>; rel="last next"',
        f'<{URL}>; rel="next"; rel="last"',
        f'<{URL}>; cursor="YWJj=="; rel="next"',
        f'<{URL}>; cursor=YWJj==; rel="next"',
        f'<{URL}>; crossorigin; rel="next"',
        f'<{URL}>; title="a=b; rel=last"; rel="next"',
        f'<{URL}>; title="one, <two>"; rel="next"',
        f'<{URL}>; title="a \\"b\\""; rel="next"',
        f'</first>; rel="first", <{URL}>; rel="next", </last>; rel="last"',
        f'</first>; rel="first",<{URL}>; rel="next"',
        f', , <{URL}>; rel="next", ',
        f'<{URL}>; rel="next" what is this',
        f'<{URL}>; ; rel="next"',
    ],
)
def test_the_next_page_is_found(header: str) -> None:
    """Order, spaces, quotes, letter case and other parameters do not matter."""
    assert next_link(header, "api") == URL


@pytest.mark.parametrize("url", ["/rows;session=A1?page=2", "/rows?ids=1,2&page=2", "?page=2", "/rows?q=a=b;c"])
def test_every_address_is_a_target(url: str) -> None:
    """Semicolons, commas and signs of equality in an address do not end it."""
    assert next_link(f'</x>; rel="prev", <{url}>; rel="next"', "api") == url


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "<>; rel=first",
        f'<{URL}>; rel="prev"',
        f'<{URL}>; rel="prev"; rel="next"',
        f'<{URL}>; title="next"',
        f"<{URL}>",
        "what is this",
        f'<{URL}>; rel="next-archive"',
    ],
)
def test_other_links_are_not_the_next_page(header: str) -> None:
    """Only the first relation of a link counts, and the whole word."""
    assert next_link(header, "api") == ""


@pytest.mark.parametrize(
    "header", [f"{URL}; rel=next", f'</x>; rel="prev" what, <{URL}>; rel="next"', f"<{URL}; rel=next"]
)
def test_a_header_that_cannot_be_read_is_an_error(header: str) -> None:
    """If it seems to have a next page: without it, rows would be missing."""
    with pytest.raises(UserError, match=r"^api answered with a header Link that cannot be read"):
        next_link(header, "api")


@given(st.text('<>;,="\\ nextrl', max_size=60))
def test_no_header_stops_the_program(header: str) -> None:
    """It has a next page, or none, or cannot be read."""
    try:
        assert isinstance(next_link(header, "api"), str)
    except UserError:
        assert "next" in header
