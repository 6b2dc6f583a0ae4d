"""What is said of a file before it is sent."""

from __future__ import annotations

from shared.app.uploads.announced import safe_name


def test_names_become_harmless() -> None:
    """Folders go, and characters that an address would have to write in another way."""
    names = [
        "C:\\data\\My rows.csv",
        "../../etc/passwd",
        "täst.csv",
        "...",
        "",
        "x" * 300,
        "rows.csv.",
        f"{'x' * 9}.{'y' * 99}",
        "данные.csv.gz",
        "客户.xlsx",
        "客户",
    ]
    assert [safe_name(each) for each in names] == [
        "My_rows.csv",
        "passwd",
        "t_st.csv",
        "file",
        "file",
        "x" * 100,
        "rows.csv",
        "y" * 99,
        "file.csv.gz",
        "file.xlsx",
        "file",
    ]
