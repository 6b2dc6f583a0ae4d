"""The floor of every read: asking for the pages of a table one after the other, and doing nothing with them.

python -m benchmarks.pages
"""

from __future__ import annotations

import json
import os
import re
import time
from urllib.parse import urlencode

import requests

from benchmarks.dataset import COLUMNS
from benchmarks.footprint import report

NEXT = re.compile(rb'"@odata\.nextLink"\s*:\s*("(?:[^"\\]|\\.)*")')


def main() -> None:
    facts = os.environ
    base = facts["BENCH_AUTHORITY"]
    with requests.Session() as session:
        form = {
            "grant_type": "client_credentials",
            "client_id": facts["BENCH_CLIENT_ID"],
            "client_secret": facts["BENCH_CLIENT_SECRET"],
            "scope": f"{base}/.default",
        }
        signed_in = session.post(f"{base}/{facts['BENCH_TENANT_ID']}/oauth2/v2.0/token", data=form, timeout=60).json()
        session.headers["Authorization"] = f"Bearer {signed_in['access_token']}"
        session.headers["Prefer"] = "odata.maxpagesize=5000"
        select = ",".join(["accountid", *COLUMNS])
        url: str | None = f"{facts['BENCH_SERVICE_URL']}accounts?{urlencode({'$select': select}, safe='$,')}"
        begun, pages = time.perf_counter(), 0
        while url:
            body = session.get(url, timeout=300).content
            pages += 1
            found = NEXT.search(body)
            url = json.loads(found[1]) if found else None
    report(pages=pages, reading_seconds=round(time.perf_counter() - begun, 3))


if __name__ == "__main__":
    main()
