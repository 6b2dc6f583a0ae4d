"""The pages have an order, and each can be found: in the navigation, in the index, and behind every link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCS = Path("docs")
PAGES = sorted(DOCS.glob("*.md"))
NAV: list[dict[str, Any]] = yaml.safe_load(Path("mkdocs.yml").read_text("utf-8"))["nav"]


def pages_of(entry: Any) -> Iterator[str]:
    """The pages of a part of the navigation."""
    if isinstance(entry, str):
        yield entry
        return
    for part in entry.values() if isinstance(entry, dict) else entry:
        yield from pages_of(part)


def without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The ids that the site gives to the headings of a page: as Python-Markdown makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text("utf-8")), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", each)) for each in headings]
    return {re.sub(r"[-\s]+", "-", each).strip().lower() for each in plain}


def test_every_page_has_one_place_in_the_navigation() -> None:
    """None is left out, none is there twice."""
    assert sorted(pages_of(NAV)) == [page.name for page in PAGES]


def test_the_parts_come_in_the_order_in_which_people_need_them() -> None:
    """From the first hour to the limits."""
    assert [part for entry in NAV for part in entry] == [
        "Overview",
        "Start",
        "How to",
        "Explain",
        "Reference",
        "When something is wrong",
        "Limits",
    ]


def test_the_index_has_the_pages_of_the_navigation_in_its_order() -> None:
    """Each page once, except the index itself."""
    text = (DOCS / "index.md").read_text("utf-8").partition("\n## Terms")[0]
    named = re.findall(r"\]\(([\w-]+\.md)\)", text)
    assert sorted(named) == sorted(set(pages_of(NAV)) - {"index.md"})
    for entry in NAV:
        (part,) = entry
        section = text.partition(f"\n## {part}\n")[2].partition("\n## ")[0]
        found = set(re.findall(r"\]\(([\w-]+\.md)\)", section))
        assert found == set(pages_of(entry)) or part == "Overview", part


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_link_to_a_heading_leads_to_one(page: Path) -> None:
    """The heading is on the page that the link names."""
    for target, anchor in re.findall(r"\]\(([\w.-]*)#([^)]+)\)", without_code(page.read_text("utf-8"))):
        other = page.parent / target if target else page
        if other.suffix == ".md" and other.exists():
            assert anchor in anchors(other), f"{target}#{anchor}"


def test_every_symptom_says_what_it_means_and_what_to_do() -> None:
    """And each is in the table at the top of its page."""
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    symptoms = text.split("\n### ")[1:]
    assert len(symptoms) >= 20
    for symptom in symptoms:
        title = symptom.partition("\n")[0]
        assert "- **Meaning.**" in symptom, title
        assert "- **Do.**" in symptom, title
        assert "dynamics-sync" in symptom or "`" in symptom or "Application Insights" in symptom, title
    links = set(re.findall(r"\]\(#([\w-]+)\)", text.partition("\n## ")[0]))
    assert links == anchors(DOCS / "troubleshooting.md") - {
        "when-something-is-wrong", "runs", "rows", "dataverse", "real-time", "the-deployed-app", "this-machine",
    }  # fmt: skip
