"""The names of parts of a ledger say whose records they are about, and which of two parts is the later one."""

from __future__ import annotations

from shared.memory.names import Turn, new_part, next_turn, numbers_of, owner_of, parts_of, renamed, turn_of


def test_each_part_has_the_next_number_of_its_line() -> None:
    names = list[str]()
    for _ in range(3):
        names.append(new_part("owner", next_turn(names)))
    turns = [turn for name in names if (turn := turn_of(name))]
    assert [turn.number for turn in turns] == numbers_of(names) == [1, 2, 3]
    assert len({turn.line for turn in turns}) == 1


def test_a_part_that_takes_the_place_of_another_has_its_turn() -> None:
    name = new_part("owner", Turn(line="0a1b2c3d", number=7))
    assert renamed(name) != name
    assert (owner_of(renamed(name)), turn_of(renamed(name))) == ("owner", Turn(line="0a1b2c3d", number=7))


def test_names_of_earlier_versions_have_no_turn() -> None:
    """A line begins after them; what is of another line counts as older than it."""
    old = ["abcdef.parquet", "owner-abcdef.parquet"]
    assert [turn_of(renamed(name)) for name in old] == [None, None]
    turn = next_turn(old)
    assert turn.number == 1
    assert numbers_of([*old, new_part("owner", Turn(line="other", number=9)), new_part("owner", turn)]) == [0, 0, 0, 1]
    assert numbers_of([new_part("owner", turn), *old]) == [0, 0, 0]
    assert parts_of("owner", ["other-abcdef.parquet", *old]) == old
