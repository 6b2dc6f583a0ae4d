"""Workbooks: which kind a file is by its content, which sheets it has, and the cells of one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from shared.errors import UserError
from shared.sources.excel.archive import Archive, damaged
from shared.sources.excel.beginning import is_shared, write_beginning
from shared.sources.excel.compound import SIGNATURE, CompoundFile
from shared.sources.excel.error_texts import write_without_errors
from shared.sources.excel.ods import survey_ods
from shared.sources.excel.survey import Survey, refuse_large
from shared.sources.excel.xls import is_locked, survey_xls
from shared.sources.excel.xlsb import binary_sheet_parts, survey_xlsb
from shared.sources.excel.xlsx import office_parts, sheet_parts, survey_xlsx
from shared.sources.files import InputFile
from shared.sources.kinds import kind_of
from shared.sources.places.copies import copy_of
from shared.workspace import writing

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook, SheetMetadata

__all__ = ["Sheet", "Workbook", "open_workbook"]

_MOST_OLD_BYTES: Final = 1 << 28  # of an xls file: more than 65,536 rows of 256 columns need
_LOOKED_AT: Final = 4096
_ZIP: Final = b"PK\x03\x04"
_LOCKED: Final = "it has a password; save it without one, because a run cannot ask for it"
_TEXT: Final = {b"<!doctype html": "an HTML page", b"<html": "an HTML page", b"<?xml": "XML", b"{\\rtf": "RTF"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The cells of a sheet.

    Attributes:
        name: Its name.
        found: What calamine gives.
        survey: What is known beside.
    """

    name: str
    found: CalamineSheet
    survey: Survey


class Workbook:
    """An open workbook.

    Attributes:
        name: The file as messages show it.
    """

    def __init__(
        self,
        name: str,
        book: Callable[[], CalamineWorkbook],
        survey: Callable[[str], Survey],
        beginning: Beginning | None = None,
        without_errors: Callable[[str], CalamineSheet] | None = None,
    ) -> None:
        """Take what `open_workbook` gives."""
        self.name = name
        self._book = book
        self._survey = survey
        self._beginning = beginning
        self._without_errors = without_errors

    def names(self, *, hidden: bool) -> tuple[str, ...]:
        """The sheets with cells, in their order, also hidden ones if that is asked."""
        from python_calamine import SheetTypeEnum, SheetVisibleEnum  # noqa: PLC0415 - only workbooks need it

        sheets = self._beginning.sheets if self._beginning else None
        return tuple(
            each.name
            for each in sheets or self._book().sheets_metadata
            if each.typ == SheetTypeEnum.WorkSheet and (hidden or each.visible == SheetVisibleEnum.Visible)
        )

    def sheet(self, name: str) -> Sheet:
        """Read a sheet, all of it.

        Raises:
            UserError: It is too large or damaged.
        """
        place = f"{self.name}, sheet {name}"
        survey = self._survey(name)
        refuse_large(survey.cells, place)
        with _Calamine(place):
            return Sheet(name=name, found=self._found(name, survey), survey=survey)

    def _found(self, name: str, survey: Survey) -> CalamineSheet:
        from python_calamine import CalamineError  # noqa: PLC0415 - only workbooks need it

        try:
            return self._book().get_sheet_by_name(name)
        except CalamineError:
            if self._without_errors is None or not survey.faults:
                raise
            return self._without_errors(name)

    def beginning(self, name: str, rows: int, *, with_end: bool) -> Sheet | None:
        """Read the first rows of a sheet, empty ones that are written included.

        Args:
            name: The name of the sheet.
            rows: How many rows.
            with_end: Whether merged cells are told.

        Returns:
            The sheet; None where only the whole one can be read.
        """
        return self._beginning.sheet(name, rows, with_end=with_end) if self._beginning else None


class Beginning:
    """Reads first rows of the sheets of a workbook in XML: from copies that have no more.

    Args:
        path: The workbook.
        name: The file as messages show it.
        tick: Called now and then; raises where the time is over.
    """

    def __init__(self, path: Path, name: str, tick: Callable[[], None]) -> None:
        self._path, self._name, self._tick = path, name, tick

    @cached_property
    def sheets(self) -> Sequence[SheetMetadata]:
        """What the workbook says of its sheets, read from a copy without any; empty where that cannot be made."""
        with suppress(UserError), self._copied("", 0, with_end=False) as copied:
            if copied is not None:
                with _opened(copied, self._name) as book:
                    return book.sheets_metadata
        return ()

    def sheet(self, name: str, rows: int, *, with_end: bool) -> Sheet | None:
        """See `Workbook.beginning`. What is wrong with a file is told by a whole read."""
        with suppress(UserError), self._copied(name, rows, with_end=with_end) as copied:
            if copied is None:
                return None
            with Archive(copied, self._name, self._tick) as archive:
                survey = survey_xlsx(archive, sheet_parts(archive, self._name)[name], self._name)
            refuse_large(survey.cells, name)
            with _opened(copied, self._name) as book, _Calamine(name):
                return Sheet(name=name, found=book.get_sheet_by_name(name), survey=survey)
        return None

    @contextmanager
    def _copied(self, sheet: str, rows: int, *, with_end: bool) -> Iterator[Path | None]:
        copied = self._path.with_name("beginning.xlsx")
        try:
            # Its own archive: what is unpacked here does not count for a whole read.
            with Archive(self._path, self._name, self._tick) as archive, writing(self._path.parent):
                workbook, _ = office_parts(archive, self._name)
                part = sheet_parts(archive, self._name).get(sheet, "")
                written = write_beginning(archive, workbook, part, rows, copied, with_end=with_end)
            yield copied if written else None
        finally:
            copied.unlink(missing_ok=True)


@contextmanager
def open_workbook(
    file: InputFile, folder: Path, tick: Callable[[], None], *, brief: bool = False
) -> Iterator[Workbook]:
    """Open a workbook. It is copied first: it is read several times, and must be the same each time.

    Args:
        file: Where it is.
        folder: For the copy, which is removed at the end.
        tick: Called now and then; raises where the time is over.
        brief: Whether first rows are read. Where that needs no whole workbook, it is read only as far as it is asked.

    Raises:
        UserError: It is not a workbook, has a password, is damaged, or is too large.
    """
    copied = folder / "workbook"
    try:
        copy_of(file, copied)
        ending = _ending(copied, file.name, tick)
        copied = copied.rename(copied.with_suffix(ending))  # calamine reads the extension
        opened = _old if ending == ".xls" else _open_document if ending == ".ods" else partial(_office, brief=brief)
        with opened(copied, file.name, tick) as book:
            yield book
    finally:
        copied.unlink(missing_ok=True)


def _ending(path: Path, name: str, tick: Callable[[], None]) -> str:
    """The usual ending of a file of this kind, by its content."""
    with path.open("rb") as stream:
        first = stream.read(_LOOKED_AT)
    if first.startswith(SIGNATURE):
        return ".xls"
    if not first.startswith(_ZIP):
        raise _other(name, first)
    with Archive(path, name, tick) as archive:
        if "content.xml" in archive.names and any("opendocument" in each for each in _mime_types(archive)):
            return ".ods"
        if "[content_types].xml" not in archive.names:
            raise _other(name, first)
        workbook, sheets = office_parts(archive, name)
        if not sheets:
            raise _other(name, first)
        return ".xlsb" if workbook.endswith(".bin") else ".xlsx"


@contextmanager
def _old(path: Path, name: str, tick: Callable[[], None]) -> Iterator[Workbook]:
    size = path.stat().st_size
    if size > _MOST_OLD_BYTES:
        raise UserError(
            f"{name} has {size:,} bytes; the limit of an xls file is {_MOST_OLD_BYTES:,}: save it as xlsx, or as "
            "delimited text (CSV)"
        )
    compound = CompoundFile(path.read_bytes(), name)
    if "encryptedpackage" in compound.names:
        raise UserError(f"{name} cannot be read: {_LOCKED}")
    stream = next((each for each in ("workbook", "book") if each in compound.names), None)
    if stream is None:
        raise UserError(f"{name} is not a workbook, but another Office file; save the data as xlsx")
    records = compound.read(stream)
    if is_locked(records):
        raise UserError(f"{name} cannot be read: {_LOCKED}")
    surveys = survey_xls(records, name, tick)
    del compound, records
    refuse_large(sum(each.cells for each in surveys.values()), name)
    with _opened(path, name) as book:
        # By their place: names may be in an old code page, which calamine knows.
        known = dict(zip(book.sheet_names, surveys.values(), strict=False))
        yield Workbook(name, lambda: book, lambda sheet: known.get(sheet, Survey()))


@contextmanager
def _open_document(path: Path, name: str, tick: Callable[[], None]) -> Iterator[Workbook]:
    manifest = "meta-inf/manifest.xml"
    with Archive(path, name, tick) as archive:
        if manifest in archive.names and b"encryption-data" in archive.read(manifest):
            raise UserError(f"{name} cannot be read: {_LOCKED}")
        surveys = survey_ods(archive, name)
    refuse_large(sum(each.cells for each in surveys.values()), name)
    with _opened(path, name) as book:
        yield Workbook(name, lambda: book, lambda sheet: surveys.get(sheet, Survey()))


@contextmanager
def _office(path: Path, name: str, tick: Callable[[], None], *, brief: bool) -> Iterator[Workbook]:
    binary = path.suffix == ".xlsb"
    survey = survey_xlsb if binary else survey_xlsx
    with Archive(path, name, tick) as archive, ExitStack() as stack:
        listed = binary_sheet_parts(archive, name) if binary else sheet_parts(archive, name)

        @cache
        def book() -> CalamineWorkbook:
            archive.pass_over(each for each in archive.names if is_shared(each))
            return stack.enter_context(_opened(path, name))

        if not brief:
            book()
        beginning = Beginning(path, name, tick) if brief and not binary else None
        without_errors = None if binary else lambda sheet: _without_errors(path, name, sheet, listed[sheet], tick)
        yield Workbook(
            name, book, lambda sheet: survey(archive, _part(listed, sheet, name), name), beginning, without_errors
        )


def _without_errors(path: Path, name: str, sheet: str, part: str, tick: Callable[[], None]) -> CalamineSheet:
    """A sheet that has an error of a cell which calamine does not know."""
    copied = path.with_name("without-errors.xlsx")
    try:
        with writing(path.parent):
            write_without_errors(path, name, part, copied, tick)
        with _opened(copied, name) as book:
            return book.get_sheet_by_name(sheet)
    finally:
        copied.unlink(missing_ok=True)


def _part(listed: Mapping[str, str], sheet: str, name: str) -> str:
    if sheet not in listed:
        raise damaged(name, f"the part of the sheet {sheet} is missing")
    return listed[sheet]


def _mime_types(archive: Archive) -> Iterator[str]:
    """What an OpenDocument file says it is: in a part of its own, or in the manifest."""
    for part in ("mimetype", "meta-inf/manifest.xml"):
        if part in archive.names:
            yield next(archive.blocks(part), b"")[:_LOOKED_AT].decode("utf-8", "replace")


@contextmanager
def _opened(path: Path, name: str) -> Iterator[CalamineWorkbook]:
    # Imported here: only workbooks need it at a cold start.
    from python_calamine import CalamineWorkbook  # noqa: PLC0415 - see above

    with _Calamine(name):
        book = CalamineWorkbook.from_path(path)
    with book:
        yield book


class _Calamine:
    """Converts the errors that calamine raises in a block."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        from python_calamine import CalamineError, PasswordError  # noqa: PLC0415 - only workbooks need it

        if isinstance(error, PasswordError):
            raise UserError(f"{self._place} cannot be read: {_LOCKED}") from error
        if isinstance(error, (CalamineError, OSError, ValueError)):
            raise damaged(self._place, f"it is damaged ({_first(error)})") from error
        # calamine ends at some damaged files with a panic of Rust, which is no Exception in Python.
        if type(error).__name__ == "PanicException":
            raise damaged(self._place) from error


def _first(error: Exception) -> str:
    """The beginning of the message of calamine, which names parts and records and no value."""
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def _other(name: str, first: bytes) -> UserError:
    """The error about a file that is something else."""
    begin = first.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    text = next((kind for mark, kind in _TEXT.items() if begin.startswith(mark)), "")
    found: Any = kind_of(first)
    what = text or (found[0] if found else "" if b"\0" in first[:_LOOKED_AT] else "text" if first else "empty")
    if what == "empty":
        return UserError(f"{name} is empty; get the file again from its origin")
    said = f": by its content it is {what}" if what else ""
    return UserError(
        f"{name} is not a workbook (xlsx, xls, xlsb or ods){said}; open it in Excel and save it as xlsx, or read it "
        "with another type of source"
    )
