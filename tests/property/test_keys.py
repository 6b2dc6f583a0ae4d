"""Keys with unusual letters: the sync compares no more keys as equal than the service, and the others are adopted."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.store.collation import Collation
from shared.definitions.models import KeyMatch
from shared.entities import AttributeMetadata, AttributeType
from shared.transform import folded, normalise_key
from shared.workspace import Workspace
from tests.acceptance.world import World, accounts, world

NASTY = (
    "aAbB12 -/%'\"é" "ÉßςσΣıİſ" "ＡａＢ１－　" "\u00a0\u202f\u2007\u2011" "ﬁﬀﬄ²₂ª⁺" "ĳĲǆǅ" "ｱｶﾞﾊﾟアガパあがぱゝヽ" "①⑴Ⅳ㎏℡™µΩÅ" "𝐀𝟏"
    "\u0301\u0308\u3099\u200d" "กิีคั" "किकी" "각가" "😀"
)  # fmt: skip
KEYS = st.text(st.sampled_from(NASTY), min_size=1, max_size=6)
SHORT_KEYS = st.text(st.sampled_from(NASTY), min_size=1, max_size=2)  # of two draws many are equal to the service
COLUMN = AttributeMetadata(name="k", type=AttributeType.STRING)
COLLATIONS = {KeyMatch.SERVICE: Collation(), KeyMatch.ACCENT_SENSITIVE: Collation.named("Latin1_General_CI_AS")}


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace.open(memory_limit="256MB", threads=1) as made:
        yield made


def keys_of(workspace: Workspace, texts: list[str], match: KeyMatch) -> list[str]:
    asked = f"SELECT coalesce({normalise_key(COLUMN, 'k', match)}, '') FROM (SELECT unnest(?::VARCHAR[]) AS k)"
    return [key for (key,) in workspace.query(asked, [texts])]


@pytest.mark.parametrize("match", list(KeyMatch))
@given(texts=st.lists(KEYS, min_size=1, max_size=30))
def test_a_key_has_one_form_in_sql_and_in_python(workspace: Workspace, match: KeyMatch, texts: list[str]) -> None:
    """Answers of the service are compared in Python, tables in SQL."""
    assert keys_of(workspace, texts, match) == [folded(text, match) for text in texts]


@pytest.mark.parametrize("match", list(COLLATIONS))
@given(texts=st.lists(KEYS, min_size=2, max_size=30))
def test_keys_that_differ_for_the_service_differ_for_the_sync(
    workspace: Workspace, match: KeyMatch, texts: list[str]
) -> None:
    """A key that is folded too much would match the record of another key."""
    forms: dict[str, str] = {}
    for text, key in zip(texts, keys_of(workspace, texts, match), strict=True):
        service = COLLATIONS[match].normalise(text)
        assert forms.setdefault(key, service) == service, text


@pytest.mark.parametrize("match", list(COLLATIONS))
def test_every_variant_of_width_and_kana_has_the_form_of_its_letter(workspace: Workspace, match: KeyMatch) -> None:
    """All letters of Unicode that differ from another by width, by being no-break, or by kana."""
    letters = map(chr, (*range(0x80, 0xF00), *range(0x1000, 0x10000)))  # Tibetan has a no-break mark of its own
    variants = {char: plain for char in letters if (plain := _plain(char)) is not None}
    assert len(variants) > 300
    variants = {f"x{char}": f"x{plain}" for char, plain in variants.items()}
    assert keys_of(workspace, list(variants), match) == keys_of(workspace, list(variants.values()), match)


def _plain(char: str) -> str | None:
    if unicodedata.name(char, "").startswith("HIRAGANA LETTER") and char <= "ゖ":
        return unicodedata.lookup(unicodedata.name(char).replace("HIRAGANA", "KATAKANA"))
    kind, *letters = unicodedata.decomposition(char).split() or [""]
    return chr(int(letters[0], 16)) if kind in {"<wide>", "<narrow>", "<noBreak>"} and len(letters) == 1 else None


# -- Against the emulator, whose collation holds more keys equal ------------------------------------------------------


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("keys"), in_thread=True) as made:
        made.define(accounts(sync_behaviour={"strategy": "delta"}), "seed")
        for changed in ("update", "ignore"):
            safety = {"max_delete": "100%", "allow_empty_source": True}
            made.define(accounts(sync_behaviour={"dropped": "delete", "changed": changed, "safety": safety}), changed)
        yield made


def distinct(keys: list[str]) -> dict[str, str]:
    """The form of each key to the service -> the first key that has it; what is empty to it is no key."""
    normalise = COLLATIONS[KeyMatch.SERVICE].normalise
    return {form: key for key in reversed(keys) if (form := normalise(key)) and key.strip() == key}


def records(here: World) -> dict[str, Mapping[str, str]]:
    found = here.records("accounts?$select=accountnumber,name")
    return {COLLATIONS[KeyMatch.SERVICE].normalise(record["accountnumber"]): record for record in found}


def supplied(here: World, keys: Mapping[str, str], name: str) -> None:
    here.csv([{"number": key, "name": name, "city": "", "revenue": ""} for key in keys.values()])


@pytest.mark.timeout(300)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=st.lists(SHORT_KEYS, min_size=20, max_size=60).map(distinct).filter(bool),
    wanted=st.lists(SHORT_KEYS, min_size=20, max_size=60).map(distinct).filter(bool),
    changed=st.sampled_from(["update", "ignore"]),
)
def test_no_record_with_a_row_is_dropped(
    here: World, held: dict[str, str], wanted: dict[str, str], changed: str
) -> None:
    """Keys that are equal to the service stay one record; then nothing is new, and `update` has nothing left to do."""
    here.emulator.reset()
    supplied(here, held, "old")
    assert here.run("seed").failed == 0
    before = records(here)
    supplied(here, wanted, "new")
    done = here.run(changed)
    after = records(here)
    assert after.keys() == wanted.keys()
    assert done.failed == 0
    for form in before.keys() & after.keys():
        assert before[form]["accountid"] == after[form]["accountid"]
        assert after[form]["name"] == ("new" if changed == "update" else "old")
    again = here.run(changed)
    assert (again.created.done, again.deleted.planned, again.failed) == (0, 0, 0)
    assert (again.adopted, again.updated.done) == (0 if changed == "update" else done.adopted, 0)
    assert records(here) == after
