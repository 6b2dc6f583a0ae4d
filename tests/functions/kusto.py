"""The queries of the alert rules, run over telemetry that was captured: a small part of Kusto, translated to SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

BICEP = Path(__file__).parents[2] / "infra" / "modules" / "alerts.bicep"
NO_DIMENSIONS: Mapping[str, str] = {}
COMPARED: Mapping[str, Callable[[int, int], bool]] = {
    "GreaterThan": lambda rows, limit: rows > limit,
    "LessThan": lambda rows, limit: rows < limit,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alert rule."""

    name: str
    severity: int
    query: str
    operator: str
    rows: int

    def fires(self, telemetry: Telemetry) -> bool:
        """Whether the rule fires on what was captured."""
        return COMPARED[self.operator](len(telemetry.ask(self.query)), self.rows)


def rules() -> Mapping[str, Rule]:
    """The rules as the deployment has them, by name."""
    text = BICEP.read_text("utf-8").replace("${hours}", "24").replace("${waitingEvents}", "1000")
    found = re.findall(
        r"name: '([\w-]+)'\n.*?severity: (\d).*?query: '(.*?)'\n\s+operator: '(\w+)'\n\s+rows: (\d+)", text, re.DOTALL
    )
    return {
        name: Rule(name=name, severity=int(severity), query=query, operator=operator, rows=int(rows))
        for name, severity, query, operator, rows in found
    }


class Telemetry:
    """Captured telemetry as the tables of Application Insights."""

    def __init__(self, items: Iterable[Mapping[str, Any]] = (), *, requests: Sequence[bool] = ()) -> None:
        """Make the tables.

        Args:
            items: What the exporter sent.
            requests: For each call of a function, whether it succeeded; the host sends these.
        """
        self._database = duckdb.connect()
        self._database.execute(
            "CREATE TABLE customMetrics (name VARCHAR, valueSum DOUBLE, valueMax DOUBLE, customDimensions JSON, "
            '"timestamp" TIMESTAMPTZ, valueMin DOUBLE)'
        )
        self._database.execute("CREATE TABLE requests (success BOOLEAN)")
        self._database.execute('CREATE TABLE traces (message VARCHAR, "timestamp" TIMESTAMPTZ)')
        for success in requests:
            self._database.execute("INSERT INTO requests VALUES (?)", [success])
        for item in items:
            if item["name"].endswith("Metric"):
                of = item["data"]["baseData"].get("properties", {})
                for point in item["data"]["baseData"]["metrics"]:
                    self.add(point["name"], point["value"], least=point.get("min"), most=point.get("max"), of=of)

    def add(
        self,
        name: str,
        total: float,
        *,
        least: float | None = None,
        most: float | None = None,
        of: Mapping[str, str] = NO_DIMENSIONS,
    ) -> None:
        """Add one point of a metric."""
        least, most = (total if each is None else each for each in (least, most))
        row = [name, total, most, json.dumps(dict(of)), datetime.now(UTC), least]
        self._database.execute("INSERT INTO customMetrics VALUES (?, ?, ?, ?, ?, ?)", row)

    def trace(self, line: str, at: datetime) -> None:
        """Add a line of the log, as the host sends it."""
        self._database.execute("INSERT INTO traces VALUES (?, ?)", [line, at])

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        table, *stages = (part.strip() for part in query.split("|"))
        sql = f"SELECT * FROM {table}"
        for stage in stages:
            word, _, rest = stage.partition(" ")
            sql = STAGES[word](sql, _expression(rest))
        return self._database.execute(sql).fetchall()


def _where(sql: str, condition: str) -> str:
    return f"SELECT * FROM ({sql}) WHERE {condition}"


def _summarize(sql: str, what: str) -> str:
    figures, _, groups = what.partition(" by ")
    named = [re.fullmatch(r"\s*(\w+) = (.*)", each) for each in _split(figures) + _split(groups)]
    selected = ", ".join(f"{each[2]} AS {each[1]}" for each in named if each)
    grouped = ", ".join(each.partition(" = ")[2] for each in _split(groups) if each)
    return f"SELECT {selected} FROM ({sql})" + (f" GROUP BY {grouped}" if grouped else "")


def _extend(sql: str, what: str) -> str:
    name, _, value = what.partition(" = ")
    return f"SELECT *, {value} AS {name} FROM ({sql})"


def _project(sql: str, what: str) -> str:
    return f"SELECT {what} FROM ({sql})"


def _order(sql: str, what: str) -> str:
    return f"SELECT * FROM ({sql}) ORDER {what}"


STAGES: Mapping[str, Callable[[str, str], str]] = {
    "extend": _extend,
    "order": _order,
    "project": _project,
    "summarize": _summarize,
    "where": _where,
}


def _split(text: str) -> list[str]:
    """The parts between those commas that are outside of brackets."""
    return [part.strip() for part in re.split(r",(?![^()]*(?:\([^()]*\)[^()]*)*\))", text)]


def _expression(text: str) -> str:
    text = re.sub(r"tostring\(customDimensions\.(\w+)\)", r"(customDimensions->>'\1')", text)
    text = re.sub(r"parse_json\((\w+)\)", r"(CASE WHEN json_valid(\1) THEN \1::JSON END)", text)
    text = re.sub(r"\bline\.(\w+)", r"(line->>'\1')", text)
    text = re.sub(r"sumif\((\w+), ((?:[^()]|\([^()]*\))*)\)", r"coalesce(sum(\1) FILTER (WHERE \2), 0)", text)
    text = re.sub(r"ago\((\d+)h\)", r"(now() - INTERVAL \1 HOUR)", text)
    return re.sub(r'"([^"]*)"', r"'\1'", text).replace("==", "=")
