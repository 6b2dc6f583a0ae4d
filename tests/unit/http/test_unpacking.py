"""Compressed bodies: whole in whatever pieces they come, and never whole without their end."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.unpacking import NotWholeError, Unpacking, unpacking

FORMS: Final = {"gzip": 31, "deflate": 15, "raw": -15}


def compressed(content: bytes, form: str) -> bytes:
    made = zlib.compressobj(wbits=FORMS[form])
    return made.compress(content) + made.flush()


def read(body: bytes, form: str, cuts: tuple[int, ...] = ()) -> bytes:
    coding = Unpacking("gzip" if form == "gzip" else "deflate", may_be_empty=False)
    places = [0, *sorted(cuts), len(body)]
    found = [piece for begin, end in pairwise(places) for piece in coding.pieces(body[begin:end])]
    assert all(0 < len(piece) <= 2**16 for piece in found)
    coding.finish()
    return b"".join(found)


CONTENTS = st.one_of(
    st.binary(max_size=300), st.builds(lambda byte, size: byte * size, st.just(b"a"), st.integers(0, 2**18))
)


@given(st.lists(CONTENTS, min_size=1, max_size=3), st.sampled_from(["gzip", "deflate"]), st.data())
def test_streams_give_their_content_in_whatever_pieces_they_come(
    contents: list[bytes], form: str, data: st.DataObject
) -> None:
    """Several streams too, and with padding behind them."""
    body = b"".join(compressed(content, form) for content in contents) + data.draw(
        st.sampled_from([b"", b"\0\0", b"\r\n"])
    )
    cuts = tuple(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    assert read(body, form, cuts) == b"".join(contents)


@given(CONTENTS, st.sampled_from(sorted(FORMS)), st.data())
def test_a_stream_that_is_cut_is_not_whole(content: bytes, form: str, data: st.DataObject) -> None:
    """Wherever it is cut, also in its check sum, and before its first byte."""
    body = compressed(content, form)
    with pytest.raises(NotWholeError, match="it ends too early"):
        read(body[: data.draw(st.integers(0, len(body) - 1))], form)


@given(CONTENTS, CONTENTS, st.sampled_from(["gzip", "deflate"]), st.data())
def test_a_second_stream_that_is_cut_is_not_whole(first: bytes, second: bytes, form: str, data: st.DataObject) -> None:
    """From its first byte on."""
    behind = compressed(second, form)
    with pytest.raises(NotWholeError, match="it ends too early"):
        read(compressed(first, form) + behind[: data.draw(st.integers(1, len(behind) - 1))], form)


@given(CONTENTS)
def test_raw_deflate_counts_as_deflate(content: bytes) -> None:
    """Many services mean it."""
    assert read(compressed(content, "raw"), "raw") == content


def damages() -> Iterator[tuple[bytes, str, str]]:
    whole = compressed(b"a,b\n1,2\n", "gzip")
    yield b"a,b\n1,2\n", "gzip", "damaged"
    yield whole[:-8] + b"\0\0\0\0" + whole[-4:], "gzip", "damaged"  # the check sum
    yield b"\xff\xff\xff", "deflate", "damaged"
    yield whole + b"<html>", "gzip", "there is other data behind it"
    yield compressed(b"a", "raw") + b"<html>", "deflate", "there is other data behind it"


@pytest.mark.parametrize(("body", "form", "reason"), list(damages()))
def test_damaged_bodies_are_reported(body: bytes, form: str, reason: str) -> None:
    """Each time that something asks for them: a body is not whole because an error of it was shown."""
    coding = Unpacking(form, may_be_empty=True)
    with pytest.raises(NotWholeError, match=reason):
        list(coding.pieces(body))
    with pytest.raises(NotWholeError, match=reason):
        list(coding.pieces(body))
    with pytest.raises(NotWholeError, match=reason):
        coding.finish()


@pytest.mark.parametrize(
    ("method", "status", "headers", "whole"),
    [
        ("GET", 200, {"Content-Length": "0"}, True),
        ("GET", 200, {"Transfer-Encoding": "chunked"}, True),
        ("GET", 204, {}, True),
        ("GET", 304, {}, True),
        ("HEAD", 200, {}, True),
        ("GET", 200, {}, False),
    ],
)
def test_no_byte_at_all_is_whole_where_http_says_so(
    method: str, status: int, headers: dict[str, str], *, whole: bool
) -> None:
    """A connection that was closed before the first byte says nothing."""
    coding = unpacking(method, status, headers | {"Content-Encoding": " GZIP"})
    assert coding is not None
    if whole:
        coding.finish()
        return
    with pytest.raises(NotWholeError, match="it ends too early"):
        coding.finish()


@pytest.mark.parametrize("coding", ["", "identity", "br"])
def test_other_codings_are_not_undone(coding: str) -> None:
    """Whoever asked decides about them."""
    assert unpacking("GET", 200, {"Content-Encoding": coding}) is None
