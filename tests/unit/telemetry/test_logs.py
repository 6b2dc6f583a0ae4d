"""Logs as JSON lines."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import UserError
from shared.redaction import register_secret
from shared.telemetry import JsonLines, PhaseSpans, RunContext, configure, log_context
from shared.telemetry.exporting import NOISY, OURS, _configure_once


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.addFilter(RunContext())
        self.setFormatter(JsonLines())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, Lines]]:
    handler, log = Lines(), logging.getLogger("shared.test")
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield log, handler
    log.removeHandler(handler)


def test_a_line_has_time_logger_and_message(logger: tuple[logging.Logger, Lines]) -> None:
    """Time with zone, level, logger and message, and the fields of the run around it."""
    log, handler = logger
    with log_context(run_id="r1", sync="customers"), log_context(phase="load"):
        log.warning("%d rows", 5, extra={"rows": 5})
    log.info("afterwards")
    (first, second) = handler.lines
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "WARNING",
        "logger": "shared.test",
        "message": "5 rows",
        "run_id": "r1",
        "sync": "customers",
        "phase": "load",
        "rows": 5,
    }
    assert "run_id" not in second


def test_what_hangs_on_a_record_unasked_is_not_written(logger: tuple[logging.Logger, Lines]) -> None:
    """Only known fields are written: a row among the fields is left out."""
    log, handler = logger
    log.info("x", extra={"row": {"name": "Ann"}})
    assert "Ann" not in json.dumps(handler.lines)


def test_an_exception_is_logged_without_the_value_that_caused_it(logger: tuple[logging.Logger, Lines]) -> None:
    """Other libraries quote values in their messages; ours never do."""
    log, handler = logger
    try:
        try:
            int("Ann's birthday")
        except ValueError as error:
            raise UserError("column since cannot be read as a date") from error
    except UserError:
        log.exception("failed")
    told = handler.lines[0]["error"]
    assert (told["type"], told["message"]) == ("UserError", "column since cannot be read as a date")
    assert told["cause"]["type"] == "ValueError"
    assert "test_logs.py" in told["at"][0]
    assert "Ann" not in json.dumps(handler.lines)


def test_each_phase_is_logged_when_it_begins() -> None:
    """Each phase has a line, and every line within it says the phase."""
    handler, log = Lines(), logging.getLogger("shared.telemetry.phases")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    with PhaseSpans() as phases:
        phases.phase("load", 10)
        phases.advance(10)
        phases.phase("write")
    log.removeHandler(handler)
    assert [(line["phase"], line["message"]) for line in handler.lines] == [
        ("load", "load begins"),
        ("write", "write begins"),
    ]


class Told:
    log_level = "WARNING"
    applicationinsights_connection_string = "InstrumentationKey=x"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger without handlers; levels and handlers are as before afterwards."""
    log = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in (*OURS, *NOISY)}
    handlers, log.handlers = log.handlers, []
    _configure_once.cache_clear()
    yield log
    _configure_once.cache_clear()
    log.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_the_handlers_of_the_host_get_json_lines_and_the_level_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, root: logging.Logger
) -> None:
    """A missing exporter is logged once and stops nothing."""
    monkeypatch.setitem(sys.modules, "azure.monitor.opentelemetry.exporter", None)  # means: not there
    handler = Lines()
    handler.setFormatter(None)
    root.addHandler(handler)
    for _ in range(3):
        configure(Told())
    logging.getLogger("shared.x").info("not said")
    logging.getLogger("azure.core").info("not said either")
    assert [line["message"] for line in handler.lines] == [
        "APPLICATIONINSIGHTS_CONNECTION_STRING is set, but azure-monitor-opentelemetry-exporter is not installed"
    ]


def test_a_handler_with_its_own_format_keeps_it(root: logging.Logger) -> None:
    """Only what has no format gets ours."""
    shaped = logging.NullHandler()
    shaped.setFormatter(logging.Formatter("%(message)s"))
    root.addHandler(shaped)
    monkey = Told()
    monkey.applicationinsights_connection_string = ""
    configure(monkey)
    assert not isinstance(shaped.formatter, JsonLines)


def test_secrets_are_taken_out_of_every_record() -> None:
    """In the text, in arguments, in the message of an exception; also for handlers with a format of their own."""
    register_secret("a-secret-in-a-log")
    lines: list[str] = []

    class Plain(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    log = logging.getLogger("shared.test.secrets")
    log.setLevel(logging.DEBUG)
    handlers = [Plain(), Lines()]
    handlers[0].addFilter(RunContext())
    for handler in handlers:
        log.addHandler(handler)
    log.info("it said %s and %d", "a-secret-in-a-log", 5)
    log.info("it said a-secret-in-a-log", extra={"counts": {"message": "a-secret-in-a-log"}})
    try:
        int("a-secret-in-a-log")
    except ValueError:
        log.exception("it broke")
    for handler in handlers:
        log.removeHandler(handler)
    said = "".join(lines) + json.dumps(handlers[1].lines)  # type: ignore[attr-defined]
    assert "a-secret-in-a-log" not in said
    assert "it said [hidden] and 5" in said
    assert "it broke (ValueError)" in said


def test_a_record_whose_arguments_do_not_fit_is_let_through() -> None:
    """Logging reports it; the code that wrote the line continues."""
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%d rows", ("many",), None)
    assert RunContext().filter(record)
