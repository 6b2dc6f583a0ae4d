"""Copies of files: as they are stored, under the name of the file."""

from __future__ import annotations

import gzip
from pathlib import Path

from shared.sources.files import BLOCK, find_files
from shared.sources.places.copies import copy_of


def test_a_copy_has_the_bytes_and_the_name_of_its_file(tmp_path: Path) -> None:
    """A compressed file stays compressed, and is read as one where the ending of the copy says so."""
    content = b"number\n" + b"1\n" * BLOCK
    source = tmp_path / "source.csv.gz"
    source.write_bytes(gzip.compress(content))
    (file,) = find_files(str(source))
    copy = copy_of(file, tmp_path / "copy.gz")
    source.unlink()
    with copy.content() as stream:
        assert stream.read() == content
    assert (copy.name, copy.path) == (str(source), str(tmp_path / "copy.gz"))
