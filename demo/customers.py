"""A customer file as an ERP exports it: mostly right, and wrong in the ways that real files are wrong."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

__all__ = ["HEADER", "customers", "write_customers", "write_events"]

HEADER = (
    "Customer No", "Name", "Street", "City", "Postal Code", "Country", "Phone", "Website",
    "Industry", "Revenue", "Staff", "Since", "Active", "Notes",
)  # fmt: skip

_FIRST = (
    "Müller", "Østergård", "Łódź", "Nguyễn", "O'Neill", "Black & White", "São Paulo", "Ferrari", "Crème", "Grüezi",
    "北京", "Ζεύς", "Smith", "Patel", "García", "Yılmaz", "Kovács", "Lindqvist", "Dvořák", 'The "Old" Mill',
)  # fmt: skip
_SECOND = ("Werke", "Logistics", "Foods", "Textiles", "Energy", "Software", "Dairy", "Marine", "Optics", "Partners")
_FORM = ("GmbH", "Ltd", "A/S", "S.A.", "Inc.", "SpA", "B.V.", "Kft.", "AB", "s.r.o.")
_PLACES = (
    ("Berlin", "10115", "Germany"), ("Århus", "8000", "Denmark"), ("Łódź", "90-001", "Poland"),
    ("Toronto, ON", "M5H 2N2", "Canada"), ("São Paulo", "01000-000", "Brazil"), ("München", "80331", "Germany"),
    ("Montréal", "H2Y 1C6", "Canada"), ("Málaga", "29001", "Spain"), ("Zürich", "8001", "Switzerland"),
)  # fmt: skip
_INDUSTRIES = ("Accounting", "Consulting", "Financial", "wholesale", "Building Supply Retail", "Transportation", "")
_STREETS = ("Hauptstraße", "Main Street", "Rue de l'Église", "Calle Mayor", "Nørregade", "ul. Piotrkowska")


def _customer(chance: random.Random, number: int) -> list[str]:
    city, postal_code, country = chance.choice(_PLACES)
    name = f"{chance.choice(_FIRST)} {chance.choice(_SECOND)} {chance.choice(_FORM)}"
    since = date(1990, 1, 1) + timedelta(days=chance.randrange(12_000))
    return [
        f"C-{number:05d}",
        name,
        f"{chance.choice(_STREETS)} {chance.randrange(1, 200)}",
        city,
        postal_code,
        country,
        f"+{chance.randrange(1, 99)} {chance.randrange(10**6, 10**9)}",
        f"https://www.example.com/{number}",
        chance.choice(_INDUSTRIES),
        f"{chance.lognormvariate(12, 2):.2f}",
        str(chance.randrange(1, 5000)),
        since.strftime("%d/%m/%Y"),
        chance.choice(("yes", "true", "1", "Yes")),
        chance.choice(("", "", "Pays late", 'Ask for "Jo"', "First line\nsecond line", "naïve café – ☕")),
    ]


def _spoil(chance: random.Random, row: list[str]) -> list[str]:
    """One mistake of the kind that people and exports make."""
    spoiled = list(row)
    column, value = chance.choice((
        ("Customer No", ""),
        ("Customer No", "C-00007 "),
        ("Customer No", row[0].lower()),
        ("Name", "  " + row[1] + "   "),
        ("Name", "N" * 170),
        ("Industry", "Alchemy"),
        ("Revenue", "n/a"),
        ("Staff", "a dozen"),
        ("Since", "31/02/2011"),
        ("Since", ""),
        ("Active", "no"),
        ("Website", ""),
    ))  # fmt: skip
    spoiled[HEADER.index(column)] = value
    return spoiled


def customers(count: int, seed: int = 20_261_122) -> Iterator[list[str]]:
    """Yield `count` rows in the order of `HEADER`; the same seed yields the same rows."""
    chance = random.Random(seed)  # noqa: S311 - made-up data, and it must be the same every time
    for number in range(1, count + 1):
        row = _customer(chance, number)
        yield _spoil(chance, row) if chance.random() < 0.04 else row  # noqa: PLR2004 - four in a hundred


def write_customers(path: Path, count: int = 5000) -> Path:
    """Write the file, with two rows that no reader can make sense of, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for place, row in enumerate(customers(count)):
            writer.writerow(row[:5] if place in {count // 3, count // 2} else row)
    return path


def write_events(path: Path) -> Path:
    """Write what the ERP would send after the file: a change, a new customer, one that left, and a broken message."""
    changed, left = (dict(zip(HEADER, row, strict=True)) for row in list(customers(3))[1:])
    added = {**changed, "Customer No": "C-90001", "Name": "Nový zákazník s.r.o."}
    events = [
        {"type": "customer.changed", "op": "update", "data": {**changed, "City": "Praha", "Notes": "Moved"}},
        {"type": "customer.changed", "op": "insert", "data": added},
        {"type": "customer.changed", "op": "update", "data": {**changed, "City": "Brno", "Notes": "Moved again"}},
        {"type": "customer.changed", "op": "delete", "data": left},
        {
            "type": "customer.changed",
            "op": "insert",
            "data": {**added, "Customer No": "C-90002", "Industry": "Alchemy"},
        },
    ]
    path.write_text("\n".join([*(json.dumps(event) for event in events), '{"type": "customer.chan']) + "\n", "utf-8")
    return path
