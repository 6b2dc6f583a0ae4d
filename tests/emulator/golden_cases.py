"""Reads golden request/response pairs and compares answers with them.

A case states rows to make first (`given`), one request and the answer to it, and further such pairs (`then`). In
texts, `{root}` is the service's address and `{name}` is what an earlier answer saved under `save`. An
expected object lists the members that matter; `<any>`, `<guid>`, `<etag>`, `<number>` and `/pattern/` match by form.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from emulator.testing import RunningEmulator

__all__ = ["Case", "Player", "cases_in"]

GOLDEN = Path(__file__).parent / "golden"
FORMS = {
    "<any>": r".*",
    "<guid>": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "<etag>": r'W/"[0-9a-f-]+"',
    "<number>": r"-?\d+(\.\d+)?",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One golden case, `name` a sentence and `source` the page that documents it."""

    file: str
    name: str
    source: str
    given: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)


def cases_in(folder: Path = GOLDEN) -> Iterator[Case]:
    """Yields every case of the folder's files."""
    for file in sorted(folder.glob("*.yaml")):
        for content in yaml.safe_load(file.read_text(encoding="utf-8")):
            first = {"request": content["request"], "response": content["response"]}
            yield Case(
                file=file.stem,
                name=content["name"],
                source=content["source"],
                given=content.get("given", []),
                steps=[first, *content.get("then", [])],
            )


class Player:
    """Sends a case's requests and checks the answers."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self.root = emulator.service_url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {emulator.token()}"
        self.saved: dict[str, str] = {}

    def play(self, case: Case) -> None:
        self.saved = {"root": self.root}
        for request in case.given:
            answer = self.send(request)
            assert answer.ok, f"given {request}: {answer.status_code} {answer.text}"
        for step in case.steps:
            answer = self.send(step["request"])
            self.check(answer, self.filled(step["response"]))

    def send(self, request: Mapping[str, Any]) -> requests.Response:
        """Sends a request; `raw` bodies get the line ends that HTTP asks for."""
        filled = self.filled({name: value for name, value in request.items() if name != "save"})
        headers = {"Accept": "application/json", "If-None-Match": "null", **filled.get("headers", {})}
        body = None
        if "body" in filled:
            body = json.dumps(filled["body"])
            headers.setdefault("Content-Type", "application/json")
        elif "raw" in filled:
            body = filled["raw"] if filled.get("keep_line_ends") else filled["raw"].replace("\n", "\r\n")
        address = filled["path"] if filled["path"].startswith("http") else self.root + filled["path"]
        answer = self.session.request(filled["method"], address, data=body, headers=headers, timeout=30)
        self.session.cookies.clear()
        for name, place in request.get("save", {}).items():
            self.saved[name] = _saved(answer, place)
        return answer

    def filled(self, content: Any) -> Any:
        if isinstance(content, str):
            for name, value in self.saved.items():
                content = content.replace("{" + name + "}", value)
            return content
        if isinstance(content, Mapping):
            return {self.filled(name): self.filled(value) for name, value in content.items()}
        return [self.filled(one) for one in content] if isinstance(content, list) else content

    def check(self, answer: requests.Response, expected: Mapping[str, Any]) -> None:
        shown = f"{answer.status_code} {dict(answer.headers)} {answer.text}"
        assert answer.status_code == expected["status"], shown
        for name, value in expected.get("headers", {}).items():
            assert name in answer.headers, f"{name} is missing: {shown}"
            _compare(answer.headers[name], value, name)
        for name in expected.get("absent_headers", []):
            assert name not in answer.headers, f"{name} is there: {shown}"
        if "body" in expected:
            if expected["body"] is None:
                assert answer.content == b"", shown
            else:
                _compare(answer.json(), expected["body"], "body")
        if "text" in expected:
            _compare(answer.content.decode("utf-8").replace("\r\n", "\n"), expected["text"], "text")


def _saved(answer: requests.Response, place: str) -> str:
    """Finds a value to keep: `id` of the row just made, a header, or a member of the body."""
    if place == "id":
        found = re.search(FORMS["<guid>"], answer.headers["OData-EntityId"])
        assert found, answer.headers
        return found[0]
    if place in answer.headers:
        return answer.headers[place]
    content = answer.json()
    for part in place.split("/"):
        content = content[int(part)] if isinstance(content, list) else content[part]
    return str(content)


def _compare(found: Any, expected: Any, place: str) -> None:
    if isinstance(expected, Mapping):
        assert isinstance(found, Mapping), f"{place}: {found!r} is no object"
        for name, value in expected.items():
            if value == "<absent>":
                assert name not in found, f"{place}/{name} is there: {found}"
                continue
            assert name in found, f"{place}/{name} is missing in {found}"
            _compare(found[name], value, f"{place}/{name}")
    elif isinstance(expected, list):
        assert isinstance(found, list), f"{place}: {found!r} is no list"
        assert len(found) == len(expected), f"{place}: {found}"
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            _compare(one, other, f"{place}/{number}")
    elif isinstance(expected, str) and (
        expected in FORMS or (expected[:1] == expected[-1:] == "/" and len(expected) > 1)
    ):
        pattern = FORMS.get(expected, expected[1:-1])
        assert re.fullmatch(pattern, str(found), re.DOTALL), f"{place}: {found!r} is not {expected}"
    else:
        assert found == expected, f"{place}: {found!r} is not {expected!r}"
