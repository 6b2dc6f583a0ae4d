"""Golden pairs of requests and answers, written from what the service documents."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.testing import RunningEmulator, running
from tests.emulator.golden_cases import Case, Player, cases_in

CASES = list(cases_in())


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True, schema=[Path(__file__).parent / "golden_schema.yml"]) as emulator:
        yield emulator


@pytest.fixture
def player(emulator: RunningEmulator) -> Iterator[Player]:
    emulator.reset()
    player = Player(emulator)
    yield player
    player.session.close()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.file}: {case.name}" for case in CASES])
def test_the_documented_answer_is_given(case: Case, player: Player) -> None:
    """The emulator answers as the page says."""
    player.play(case)


def test_every_case_names_its_source() -> None:
    """No case is without a page, and no two have one name."""
    assert all(case.source for case in CASES)
    assert len({(case.file, case.name) for case in CASES}) == len(CASES)
