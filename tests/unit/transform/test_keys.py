"""The comparable form of a key, in SQL for tables and in Python for single keys."""

from __future__ import annotations

import pytest

from shared.definitions.models import KeyMatch
from shared.entities import AttributeMetadata, AttributeType
from shared.transform import folded, normalise_key
from shared.workspace import Workspace

TEXT = AttributeMetadata(name="k", type=AttributeType.STRING)
SERVICE, ACCENTS, EXACT = KeyMatch.SERVICE, KeyMatch.ACCENT_SENSITIVE, KeyMatch.EXACT


def in_sql(workspace: Workspace, text: str | None, match: KeyMatch) -> str | None:
    ((form,),) = workspace.query(f"SELECT {normalise_key(TEXT, 'k', match)} FROM (SELECT ?::VARCHAR AS k)", [text])
    return str(form) if form is not None else None


@pytest.mark.parametrize(
    ("text", "match", "form"),
    [
        ("AB 1  ", SERVICE, "ab 1"),
        ("AB 1  ", ACCENTS, "ab 1"),
        ("  AB", SERVICE, "  ab"),
        ("Émile ", SERVICE, "emile"),
        ("Émile ", ACCENTS, "émile"),
        ("E\u0301mile", ACCENTS, "émile"),
        ("İZMİR", SERVICE, "izmir"),
        ("İZMİR", ACCENTS, "izmir"),
        ("Straße", SERVICE, "strasse"),
        ("ΣΟΦΟΣ", SERVICE, "σοφοσ"),
        ("σοφος", ACCENTS, "σοφοσ"),
        ("ＡＢ１\u3000", SERVICE, "ab1"),
        ("ｶﾅ", ACCENTS, "カナ"),
        ("かな", SERVICE, "カナ"),
        ("ﬁn²", SERVICE, "fin2"),
        ("ﬃ\u00a0x", ACCENTS, "ffi x"),
        # Vowel signs distinguish words, so they stay; what is folded beside them are spaces and superscripts.
        ("กิ\u00a0A", SERVICE, "กิ a"),
        ("กิ²", SERVICE, "กิ2"),
        ("กิＡ", SERVICE, "กิａ"),
        ("กิＡ", ACCENTS, "กิa"),
        # Keys that the service may compare as equal; this is not certain.
        ("①", SERVICE, "①"),
    ],
)
def test_a_key_is_folded_in_the_same_way_in_sql_and_in_python(
    workspace: Workspace, text: str, match: KeyMatch, form: str
) -> None:
    assert folded(text, match) == form
    assert in_sql(workspace, text, match) == form


@pytest.mark.parametrize("text", ["Ab ", "Émile ", "ＡＢ", "กิ"])
def test_an_exact_key_is_the_text_itself(workspace: Workspace, text: str) -> None:
    assert folded(text, EXACT) == text
    assert in_sql(workspace, text, EXACT) == text


@pytest.mark.parametrize("match", [SERVICE, ACCENTS])
@pytest.mark.parametrize("text", ["", "  ", "\u00a0", "\u3000 "])
def test_a_key_of_spaces_is_empty_and_null_in_a_table(workspace: Workspace, text: str, match: KeyMatch) -> None:
    assert folded(text, match) == ""
    assert in_sql(workspace, text, match) is None


@pytest.mark.parametrize("match", list(KeyMatch))
def test_no_key_stays_null(workspace: Workspace, match: KeyMatch) -> None:
    assert in_sql(workspace, None, match) is None


@pytest.mark.parametrize(("one", "other"), [("กิน", "กีน"), ("कि", "की"), ("a①", "a1"), ("x", "×")])
def test_keys_that_the_service_tells_apart_stay_different(one: str, other: str) -> None:
    assert folded(one, SERVICE) != folded(other, SERVICE)


def test_a_key_that_is_a_number_compares_as_it_is(workspace: Workspace) -> None:
    number = AttributeMetadata(name="k", type=AttributeType.INTEGER)
    assert workspace.query(f"SELECT {normalise_key(number, 'k', SERVICE)} FROM (SELECT 7 AS k)") == [(7,)]


def test_a_memo_key_is_folded_like_a_text(workspace: Workspace) -> None:
    memo = AttributeMetadata(name="k", type=AttributeType.MEMO)
    assert workspace.query(f"SELECT {normalise_key(memo, 'k', SERVICE)} FROM (SELECT 'Ä ' AS k)") == [("a",)]
