"""Suggestions for misspelled names."""

from __future__ import annotations

from shared.suggestions import closest, did_you_mean


def test_the_closest_name_is_suggested_as_it_is_spelled() -> None:
    """Case makes no difference to the comparison."""
    assert did_you_mean("REVENU", ["Name", "Revenue"]) == "did you mean Revenue?"
    assert did_you_mean("revenu", ["Revenue"], before="; ", shown=repr) == "; did you mean 'Revenue'?"


def test_no_name_is_suggested_where_none_is_similar() -> None:
    """The text is empty, so that the caller can list the names instead."""
    assert not did_you_mean("xyz", ["Name", "Revenue"], before="; ")
    assert not did_you_mean("nam", ["names"], cutoff=0.9)


def test_several_names_come_with_the_most_similar_first() -> None:
    """At most as many as asked for."""
    assert closest("account", ["accounts", "contact", "account", "order"], most=2) == ["account", "accounts"]
