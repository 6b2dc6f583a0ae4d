"""Whatever is done to a definition's text, the loader answers with a definition or with placed problems."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.definitions import load_definition
from shared.definitions.loading.definition import read_definition
from shared.definitions.reference.example import EXAMPLE
from shared.errors import DefinitionError

_SCRAPS = st.one_of(
    st.sampled_from(
        ["{", "}", "[", "]", ":", ": ", "- ", "\n", "\n  ", "\t", "&a ", "*a", "!t ", "'", '"', "@", "@x", "#", "|", ">",
         "? ", "null", "1e999", "-1", "0x", "2024-02-30", "true", "%", "\\", "\ufeff", "\x00", "\x85", "\ud800",
         "---\n", "...\n", "<<: ", "{{}: 1}", "$[?", "FILENAME(", ", "]
    ),
    st.text(max_size=6),
)  # fmt: skip

_EDITS = st.lists(
    st.tuples(
        st.integers(0, len(EXAMPLE)), st.integers(0, 40), _SCRAPS, st.sampled_from(["insert", "replace", "copy"])
    ),
    min_size=1,
    max_size=4,
)


def edited(edits: list[tuple[int, int, str, str]]) -> str:
    text = EXAMPLE
    for place, length, scrap, kind in edits:
        at = min(place, len(text))
        match kind:
            case "insert":
                text = text[:at] + scrap + text[at:]
            case "replace":
                text = text[:at] + scrap + text[at + length :]
            case _:
                text = text[:at] + text[at + length : at + 2 * length] + text[at:]
    return text


def places_are_in(text: str) -> None:
    lines = len(text.splitlines()) + 2
    reading = read_definition(text, file="a.yaml")

    assert (reading.definition is None) == bool(reading.problems)
    for problem in reading.problems:
        assert problem.message
        assert 1 <= problem.line <= lines
        assert problem.column >= 1


@settings(max_examples=300)
@given(edits=_EDITS)
def test_no_edit_of_the_text_ends_in_a_traceback(edits: list[tuple[int, int, str, str]]) -> None:
    """A damaged definition gives a DefinitionError whose places are in the text, or still a definition."""
    places_are_in(edited(edits))


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.dates()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(value=_VALUES, line=st.integers(0, EXAMPLE.count("\n") - 1))
def test_no_value_in_place_of_another_ends_in_a_traceback(value: object, line: int) -> None:
    """Any value, of any shape, may stand behind any key."""
    import yaml

    lines = EXAMPLE.split("\n")
    key, colon, _ = lines[line].partition(": ")
    if colon and not key.lstrip().startswith(("-", "#")):
        lines[line] = (
            f"{key}: {yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix('...' + chr(10)).strip()}"
        )
    places_are_in("\n".join(lines))


@given(text=st.text(max_size=60))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    """Any text at all is answered with problems."""
    with suppress(DefinitionError):
        load_definition(text)


def test_deep_nesting_and_alias_bombs_end_quickly_in_a_problem() -> None:
    """Neither ten thousand brackets nor aliases that double themselves take the program down."""
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    for text in ("[" * 10_000, "{a: " * 10_000, bomb, "a: &a {b: *a}", "- " * 5000 + "x"):
        places_are_in(text)
