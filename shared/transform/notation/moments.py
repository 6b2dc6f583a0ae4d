"""Moments: the clock of a time zone becomes UTC, and so do Excel's serial numbers.

DuckDB's own conversion gives one moment for every local time. Here a time that exists twice or not at all is noticed,
so both offsets around it are asked for: that of 16 hours before it and that of 16 hours after it, if the text were UTC.
No zone of the tz database has ever been further than 16 hours from UTC, and since 1900 no two of its changes are so
close together. The offsets are those of the ICU library in DuckDB, which knows the tz database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.definitions.models.notation import AmbiguousTime
from shared.workspace import literal, quoted

__all__ = ["ZonedClock", "clock_in", "excel_timestamp", "zone_trial"]

_MARGIN: Final = 16 * 3600 * 1_000_000  # microseconds
_DAY: Final = 86_400  # seconds
_END: Final = "2958465.9999942130"  # half a second before the end of 9999-12-31; from there it rounds to the next year
# Excel counts from 1 for 1900-01-01, and has 1900-02-29 as day 60, which did not exist ("Excel incorrectly assumes that
# the year 1900 is a leap year", Microsoft 365 troubleshooting).
_FALSE_DAY: Final = 60
_DAY_ZERO, _DAY_ZERO_AFTER = "TIMESTAMP '1899-12-31'", "TIMESTAMP '1899-12-30'"


def excel_timestamp(serial: str) -> str:
    """SQL for the moment of an Excel serial number (1900 system), to the second; NULL where it is not one.

    `serial` is a column of numbers. Those below 1 are times of day without a date, and day 60 is no date.
    """
    zero = f"CASE WHEN {serial} < {_FALSE_DAY} THEN {_DAY_ZERO} ELSE {_DAY_ZERO_AFTER} END"
    moment = f"{zero} + to_seconds(CAST(round({serial} * {_DAY}) AS BIGINT))"
    return f"CASE WHEN {serial} >= 1 AND {serial} < {_END} AND trunc({serial}) <> {_FALSE_DAY} THEN {moment} END"


def clock_in(moment: str, zone: str) -> str:
    """SQL for what a clock in a zone shows at a moment that is kept in UTC."""
    return f"timezone({literal(zone)}, make_timestamptz(epoch_us({moment})))"


def zone_trial(zone: str) -> str:
    """SQL that fails where DuckDB does not know a zone."""
    return clock_in("TIMESTAMP '2000-01-01'", zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonedClock:
    """The layers by which the local time of a column becomes a moment in UTC.

    Attributes:
        label: The column.
        zone: Name of the time zone.
        policy: Which moment is meant where the clock leaves a choice; None for neither.
        local: The column that says whether the text names no offset.
    """

    label: str
    zone: str
    policy: AmbiguousTime | None
    local: str

    @property
    def read(self) -> str:
        """The column with what the text says, in which the clock has not become UTC yet."""
        return quoted(f"clock:{self.label}")

    def layers(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """(SQL, name) of the columns of each layer; the last one gives the moment."""
        before, after, found = (quoted(f"{each}:{self.label}") for each in ("before", "after", "moments"))
        earlier, later = (quoted(f"{each}:{self.label}") for each in ("earlier", "later"))
        told = f"epoch_us({self.read})"
        fits = [
            f"CASE WHEN {clock_in(f'make_timestamp({each})', self.zone)} = {self.read} THEN {bit} ELSE 0 END"
            for each, bit in ((earlier, 1), (later, 2))
        ]
        return (
            ((self._offset(-_MARGIN), before), (self._offset(_MARGIN), after)),
            ((f"{told} - greatest({before}, {after})", earlier), (f"{told} - least({before}, {after})", later)),
            ((f"CASE WHEN {earlier} = {later} THEN 1 ELSE {fits[0]} + {fits[1]} END", found),),
            ((self._moment(found, earlier, later), quoted(self.label)),),
        )

    def _offset(self, margin: int) -> str:
        """SQL for the offset in force some time before or after, in microseconds; none where the text names its own."""
        near = f"make_timestamp(epoch_us({self.read}) + {margin})"
        offset = f"epoch_us({clock_in(near, self.zone)}) - epoch_us({self.read}) - {margin}"
        return f"CASE WHEN {self.local} THEN {offset} ELSE 0 END"

    def _moment(self, found: str, earlier: str, later: str) -> str:
        chosen = {AmbiguousTime.EARLIER: f" ELSE {earlier}", AmbiguousTime.LATER: f" ELSE {later}", None: ""}
        return f"make_timestamp(CASE {found} WHEN 1 THEN {earlier} WHEN 2 THEN {later}{chosen[self.policy]} END)"

    def faults(self) -> tuple[tuple[str, str], ...]:
        """(SQL condition, what is said) for the times that are refused."""
        if self.policy is not None:
            return ()
        found, read = quoted(f"moments:{self.label}"), self.read
        remedy = "; correct it, or write on_ambiguous_time: earlier or later"
        return (
            (
                f"{read} IS NOT NULL AND {found} = 0",
                f"a time that does not exist in {self.zone}, because the clocks were put forward{remedy}",
            ),
            (
                f"{read} IS NOT NULL AND {found} = 3",
                f"a time that exists twice in {self.zone}, because the clocks were put back{remedy}",
            ),
        )
