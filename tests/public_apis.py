"""Answers in the shapes of two public APIs, written by hand from their documentation.

- GitHub, "List repository issues" and "Using pagination in the REST API": a list, and links in a header.
- OData 4.01, "OData JSON Format": `value`, `@odata.count` on the first page, and `@odata.nextLink`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.api_server import Received, Reply

__all__ = ["CUSTOMERS", "ISSUES", "github", "odata"]

ISSUES: Final[list[dict[str, Any]]] = [
    {
        "id": 2_000_000_000 + number,
        "node_id": f"I_kwDO{number:04}",
        "url": f"https://api.github.com/repos/contoso/shop/issues/{number}",
        "html_url": f"https://github.com/contoso/shop/issues/{number}",
        "number": number,
        "state": "open" if number % 2 else "closed",
        "title": f'Label "{number}" is cut, and no one sees it 🙈',
        "body": "Steps:\r\n1. Print\r\n2. Look" if number % 3 else None,
        "user": {"login": f"user-{number}", "id": number, "type": "User", "site_admin": False},
        "labels": [
            {"id": 1, "name": "bug", "color": "f29513", "default": True},
            {"id": 2, "name": "printing", "color": "ededed", "default": False},
        ][: number % 3],
        "assignee": None,
        "comments": number % 4,
        "created_at": "2024-01-31T09:00:00Z",
        "updated_at": f"2024-02-{number:02}T10:30:00Z",
        "closed_at": None if number % 2 else "2024-03-01T00:00:00Z",
        **(
            {"pull_request": {"url": f"https://api.github.com/repos/contoso/shop/pulls/{number}"}}
            if number == 5
            else {}
        ),
    }
    for number in range(7, 0, -1)
]

CUSTOMERS: Final[list[dict[str, Any]]] = [
    {
        "@odata.id": f"Customers('C{number:03}')",
        "@odata.etag": f'W/"{number}"',
        "Number": f"C{number:03}",
        "Name": f"Kunde & Söhne {number}",
        "Address": {"City": "Köln" if number % 2 else None, "PostalCode": f"{50_000 + number}"},
        "Revenue": 1234.5 * number,
        "Active": number != 2,
        "ModifiedAt": f"2024-05-0{number}T23:59:59.123+02:00",
    }
    for number in range(1, 6)
]


def github(base: Callable[[], str], size: int = 3) -> Callable[[Received], Reply]:
    """The issues, in pages; GitHub keeps the other parameters of the query in its links."""

    def answer(received: Received) -> Reply:
        page = int(received.query.get("page", 1))
        rows = ISSUES[(page - 1) * size : page * size]
        last = -(-len(ISSUES) // size)
        others = "&".join(f"{name}={value}" for name, value in received.query.items() if name != "page")

        def link(number: int, relation: str) -> str:
            return f'<{base()}{received.path}?{others}&page={number}>; rel="{relation}"'

        links = [link(page - 1, "prev"), link(1, "first")] if page > 1 else []
        links += [link(page + 1, "next"), link(last, "last")] if page < last else []
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Link": ", ".join(links),
            "X-RateLimit-Remaining": "4999",
            "X-GitHub-Request-Id": f"ABCD:{page}",
        }
        return Reply(body=rows, headers=headers)

    return answer


def odata(base: Callable[[], str], size: int = 2) -> Callable[[Received], Reply]:
    """The customers, in pages that the service itself makes."""

    def answer(received: Received) -> Reply:
        begin = int(received.query.get("$skiptoken", "0"))
        body: dict[str, Any] = {"@odata.context": f"{base()}/odata/$metadata#Customers"}
        if not begin:
            body["@odata.count"] = len(CUSTOMERS)
        body["value"] = CUSTOMERS[begin : begin + size]
        if begin + size < len(CUSTOMERS):
            body["@odata.nextLink"] = f"{base()}{received.path}?$orderby=Number&$skiptoken={begin + size}"
        return Reply(
            body=body, headers={"Content-Type": "application/json;odata.metadata=minimal", "OData-Version": "4.0"}
        )

    return answer
