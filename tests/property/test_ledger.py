"""For all changes of source, target and ledger between runs: a sync with a ledger follows its three-way table."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.property.ledger_world import KEYS, RULES, TEXTS, Death, Event, Rules, Sync, World, happen

events = st.builds(
    Event,
    what=st.sampled_from(
        ["mark", "row", "no row", "edit", "open", "row", "no row", "mark", "edit", "create", "delete", "lose"]
    ),
    key=st.sampled_from(KEYS),
    text=st.sampled_from(TEXTS),
)


turns = st.tuples(st.lists(events, min_size=2, max_size=5), st.sampled_from(["", "", "", "before", "after"]))


@pytest.mark.timeout(9000)  # the thorough profile, on a machine that may be busy
@settings(max_examples=settings().max_examples // 5, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(rule=st.sampled_from(RULES), history=st.lists(turns, min_size=4, max_size=6))
def test_every_run_does_what_the_three_way_table_says(
    tmp_path_factory: pytest.TempPathFactory, rule: Rules, history: Sequence[tuple[Sequence[Event], Death]]
) -> None:
    """Values, marks, drops and reports are as the oracle says, and in the end a plan is empty."""
    world, sync = World(rule), Sync(rule, tmp_path_factory.mktemp("ledger"))
    world.source = dict.fromkeys(KEYS[:2], ("A", "note A"))
    try:
        for happened, death in [([], ""), *history]:
            for event in happened:
                happen(event, world, sync)
            edited = world.run(death)
            done = sync.run(world.source, death)
            assert sync.shown() == {key: item.shown() for key, item in world.items.items()}
            if done is not None:
                assert done.failed == done.skipped == 0
                reported = sum(error.count for error in done.errors if error.error_type == "Edited in target")
                assert reported == edited
        if not history[-1][1]:
            assert sync.changes(world.source) == 0
    finally:
        sync.state.close()
