"""The form of a definition: each key has a field, and what was not changed stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.editor.forms.making import field_of
from console.editor.forms.reading import Sent
from console.editor.tabs import TABS, placed, tab_named, tab_of, values_with, widgets_of
from shared.definitions.loading.definition import read_definition
from shared.definitions.loading.yaml_loader import read_yaml
from shared.definitions.models.sources.delimited import DelimitedSource
from shared.definitions.reference.example import EXAMPLE
from shared.drafts.editing import rewritten
from shared.drafts.editing.edits import same
from shared.errors import Problem
from tests.console.editor.filled import as_browser, with_fields

ROOT = Path(__file__).resolve().parents[3]
TEXTS = [EXAMPLE, *(path.read_text() for path in sorted((ROOT / "syncs").glob("*.yaml")))]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in parts:
        yield (*path, key)
        yield from _paths(each, (*path, key))


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "x", "a b", "yes", "@x", "1", "x\ny", " x ", "\n", "x\r\ny\rz\n", "\t", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "name", "x"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_form_that_nobody_touched_changes_nothing(text: str) -> None:
    """On every tab the text stays as it is, byte for byte."""
    data = read_yaml(text).value
    for tab in TABS:
        values = values_with(tab, data, Sent(as_browser(widgets_of(tab, data))))
        assert rewritten(text, values) == text, tab.slug


@settings(max_examples=60, deadline=None)
@given(st.data(), ODD)
def test_a_form_of_a_definition_with_mistakes_changes_nothing_either(sample: st.DataObject, odd: Any) -> None:
    """Whatever stands in the place of a value: it is shown in some way, and stays."""
    data: Any = read_yaml(EXAMPLE).value
    path = sample.draw(st.sampled_from([*_paths(data)]))
    holder = data
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = odd
    for tab in TABS:
        values = values_with(tab, data, Sent(as_browser(widgets_of(tab, data))))
        assert same(values, data), (tab.slug, path, odd)


@pytest.mark.parametrize(("key", "value"), [("listener", {}), ("parameters", None)])
def test_a_key_without_values_stays(key: str, value: object) -> None:
    """It is a mistake, and the form does not hide it."""
    data: Any = read_yaml(EXAMPLE).value
    data[key] = value
    for tab in TABS:
        assert values_with(tab, data, Sent(as_browser(widgets_of(tab, data))))[key] == value, tab.slug


def test_every_key_of_a_definition_has_a_field_on_one_tab() -> None:
    """A new key of the models appears by itself."""
    from shared.definitions import SyncDefinition

    data = read_yaml(EXAMPLE).value
    found = [widget.name for tab in TABS for each in widgets_of(tab, data) for widget in each.walk()]
    for name, info in SyncDefinition.model_fields.items():
        assert (info.alias or name) in {each.split(".")[0] for each in found}
    for wanted in (
        "source.null_values",
        "source.columns.0.pivot",
        "destination.mappings.4.write",
        "listener.topic.match",
    ):
        assert found.count(wanted) == 1, wanted


def test_fields_become_values_of_their_types() -> None:
    """Numbers, words, lists, references to secrets; and an empty field removes its key."""
    values = with_fields(
        EXAMPLE,
        "destination",
        destination__timeout="90s",
        destination__tenant_id="",
        destination__client_id__kind="env",
        destination__client_id="CLIENT",
        destination__options__bypass_custom_logic="async",
        destination__options__suppress_flows="",
        destination__options__bulk_delete_from="500",
    )["destination"]
    assert values["timeout"] == "90s"
    assert "tenant_id" not in values
    assert values["client_id"] == {"env": "CLIENT"}
    assert values["options"] == {"bypass_custom_logic": ["async"], "suppress_flows": False, "bulk_delete_from": 500}


@pytest.mark.parametrize("written", ["true", "yes", "1", "'1'", "y", "t", "1.0", "tRUE", "false", "no", "0", "n", "x"])
def test_a_box_is_checked_where_the_definition_means_yes(written: str) -> None:
    """So a setting that is on can be switched off, and one that nobody touched stays as it is written."""
    text = EXAMPLE.replace("header: true", f"header: {written}")
    assert text.count(f"header: {written}") == 1
    reading = read_definition(text).definition
    raw: Any = read_yaml(text).value
    shown = field_of(DelimitedSource, "header", raw["source"]["header"], ("source", "header")).chosen
    assert (shown == "true") is (reading is not None and bool(getattr(reading.source, "header", False)))
    box = {"source__header": "" if shown else "true"}
    assert with_fields(text, "source", **box)["source"]["header"] is not bool(shown)


def test_one_of_several_forms_is_chosen() -> None:
    """A word, or the keys of a model."""
    values = with_fields(
        EXAMPLE,
        "behaviour",
        sync_behaviour__changed__variant="ignore",
        sync_behaviour__dropped__variant="Expire:",
        sync_behaviour__dropped__expire="new_expired",
    )["sync_behaviour"]
    assert (values["changed"], values["dropped"]) == ("ignore", {"expire": "new_expired"})


@pytest.mark.parametrize("chosen", ["update", "ignore"])
def test_what_is_filled_in_for_another_choice_is_a_mistake(chosen: str) -> None:
    """It would be lost: the field keeps it, and the mistake says what to choose. What nobody has touched is none."""
    tab = tab_named("behaviour")
    data: Any = read_yaml(EXAMPLE).value
    data["sync_behaviour"]["changed"] = "update"
    field = "sync_behaviour.changed.when"
    fields = as_browser(widgets_of(tab, data)) | {"sync_behaviour.changed.variant": [chosen]}
    sent = Sent(fields | {field: ["source.a > target.b"]})
    made: Any = values_with(tab, data, sent)
    assert made["sync_behaviour"]["changed"] == chosen
    (problem,) = sent.problems
    assert (problem.path, "choose “with when” as Changed" in problem.message) == (field, True)
    assert sent.texts == {field: "source.a > target.b"}
    data["sync_behaviour"]["changed"] = {"when": "source.a > target.b"}
    sent = Sent(as_browser(widgets_of(tab, data)) | {"sync_behaviour.changed.variant": [chosen]})
    made = values_with(tab, data, sent)
    assert (made["sync_behaviour"]["changed"], sent.problems) == (chosen, [])


def test_another_type_of_source_keeps_what_both_know() -> None:
    """The others go: they would only be mistakes."""
    values = with_fields(EXAMPLE, "source", source__type="sql")["source"]
    assert values["type"] == "sql"
    assert "path" not in values
    assert values["columns"] == read_yaml(EXAMPLE).value["source"]["columns"]  # type: ignore[index]


def test_a_field_that_is_no_yaml_is_a_mistake_and_stays_in_its_field() -> None:
    """The value in the text stays too."""
    data = read_yaml(EXAMPLE).value
    sent = Sent(as_browser(widgets_of(tab_named("real-time"), data)) | {"listener.topic.match": ["{a: ["]})
    assert same(values_with(tab_named("real-time"), data, sent), data)
    assert [problem.path for problem in sent.problems] == ["listener.topic.match"]
    assert sent.texts == {"listener.topic.match": "{a: ["}


def test_a_mistake_is_at_the_field_that_it_is_about() -> None:
    """Also where the field shows more than the mistake is about; and its tab is known."""
    data = read_yaml(EXAMPLE).value
    widgets = widgets_of(tab_named("mapping"), data)
    problems = [Problem(message="one", path="destination.mappings[3].target"), Problem(message="two", path="name")]
    placed(widgets, problems)
    found = {each.name: each.problems for one in widgets for each in one.walk() if each.problems}
    assert found == {"destination.mappings.3.target": ["one"]}
    assert [tab_of(path).slug for path in ("destination.mappings[3].target", "destination.filter", "source", "name")] == [
        "mapping", "filter", "source", "info",
    ]  # fmt: skip


def test_what_stands_in_the_place_of_a_secret_is_not_shown() -> None:
    """It may be the secret itself."""
    data: Any = read_yaml(EXAMPLE).value
    data["destination"]["client_secret"] = "hunter2"
    shown = [each.text for one in widgets_of(tab_named("destination"), data) for each in one.walk()]
    assert "hunter2" not in shown
