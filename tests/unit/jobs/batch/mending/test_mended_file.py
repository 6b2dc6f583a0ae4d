"""What a spreadsheet saves is what was written for it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.batch.mending.mended_file import read_mended
from shared.state import RowsToMend, RowToMend
from shared.views.to_mend import file_to_mend

COLUMNS = {"No": "text", "Größe, in m": "number", "=Note": "text"}
# A text of a source has no half of a surrogate pair; what is empty counts as no value.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufdd0"), min_size=1)
ROWS = st.lists(st.dictionaries(st.sampled_from(sorted(COLUMNS)), TEXTS, min_size=1), min_size=1, max_size=5)


@given(rows=ROWS)
def test_any_values_come_back_as_they_were_written(rows: list[dict[str, str]]) -> None:
    """With formulas, quotes, delimiters, line ends, control characters and blanks at their ends."""
    kept = RowsToMend(
        columns=COLUMNS,
        rows=tuple(RowToMend(number=n, values=values, reason="why; \n so") for n, values in enumerate(rows, start=5)),
        found=len(rows),
    )
    with TemporaryDirectory() as folder:
        file = Path(folder) / "run_to_mend.csv"
        file.write_bytes(file_to_mend(kept))
        read = read_mended(file, COLUMNS, known=COLUMNS)
    assert [(row.number, dict(row.values)) for row in read.rows] == list(enumerate(rows, start=5))


def test_rows_of_the_run_come_before_those_that_were_added(tmp_path: Path) -> None:
    """Both keep their order, and their lines in the file."""
    file = tmp_path / "m.csv"
    file.write_text("to_mend_row,No\n,a\n9,b\n,c\n3,d\n", "utf-8")
    read = read_mended(file, {"No": "text"}, known={"No": "text"})
    assert [(row.number, row.values["No"], row.line) for row in read.rows] == [
        (9, "b", 3), (3, "d", 5), (None, "a", 2), (None, "c", 4),
    ]  # fmt: skip
