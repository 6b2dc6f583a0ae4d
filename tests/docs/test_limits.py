"""The bounds of docs/limits.md are those of the program."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from batch_sync.pool import SIDE_BY_SIDE
from console.audit.differences import _MOST_SHOWN as MOST_LINES
from console.uploads.addresses import MOST_MENDED, MOST_SOURCE
from scripts.pipeline import LONGEST as OF_A_COMMENT
from shared import settings
from shared.app.publishing import _MOST_FILES
from shared.app.uploads.addresses import LIFETIME
from shared.cli.frame import MOST_SHOWN
from shared.dataverse.course import MOST_POINTS
from shared.dataverse.http.certificates import _LONGEST as OF_A_CERTIFICATE
from shared.dataverse.http.token_endpoint import _LONGEST_TOKEN
from shared.dataverse.read.paging import PageBounds
from shared.definitions.loading.folders import MOST_BYTES as OF_A_DEFINITION
from shared.definitions.loading.yaml_loader import _MOST_NODES
from shared.definitions.models import Model, PostSyncStep, SyncDefinition, UpdateStep
from shared.definitions.models.post_sync import _DEEPEST_BODY, _LONGEST_BODY
from shared.definitions.models.sync import Safety
from shared.drafts.batch_config.elements import _MOST_PARTS
from shared.drafts.batch_config.elements import MOST_BYTES as OF_A_CONFIG
from shared.events.avro.bodies import MOST_RECORDS as OF_AVRO
from shared.events.avro.schemas import LARGEST_SCHEMA
from shared.events.packed import LARGEST_BODY
from shared.http.transport import MOST_BYTES as OF_AN_ANSWER
from shared.jobs.setting_up.drafting import _MOST_COLUMNS as OF_A_DRAFT
from shared.other_systems.request import _MOST_BYTES as OF_A_STEP
from shared.reconcile.links.steps import MOST_GENERATIONS
from shared.reconcile.reports import MOST_KINDS
from shared.secrets.vault_writer import MOST_BYTES as OF_A_SECRET
from shared.sources.excel.archive import MOST_BYTES as OF_A_WORKBOOK
from shared.sources.excel.survey import MOST_CELLS, MOST_MERGED
from shared.sources.header import _MOST_COLUMNS
from shared.sources.json_text.records import _MOST, _MOST_OF_DOCUMENT
from shared.sources.places.row_lines import MOST_READ_AGAIN
from shared.sources.records import MOST_BYTES as OF_A_ROW
from shared.sources.rest.seen import _MOST_PAGES
from shared.state._bounds import MOST_OF_A_BODY, MOST_OF_A_CHANGE, MOST_OF_A_MESSAGE
from shared.transform.lookups.parties import MOST_PARTIES
from shared.transform.profile.keys import _MOST_CANDIDATES, MOST_PAIRED
from shared.views.pages.plan_parts import MOST_OF_A_VALUE
from shared.views.pages.runs import MOST_CHARTED, MOST_COURSES, MOST_WITH_ERRORS
from shared.views.plan_markdown import _LONGEST as OF_A_PLAN
from shared.workspace.growth import MOST as OF_A_RESULT
from shared.workspace.tree import _LONGEST


def _longest(model: type[Model], name: str) -> int:
    """The most entries of a list."""
    return int(next(each.max_length for each in model.model_fields[name].metadata if hasattr(each, "max_length")))


PAGE = Path("docs/limits.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", PAGE.partition("## Bounds")[2], re.MULTILINE))
MB = 1 << 20
HOST = json.loads(Path("host.json").read_text("utf-8"))
REAL = {
    "file of a definition or connection": f"{OF_A_DEFINITION // 1_000_000} MB",
    "values in the file, with those of its aliases": f"{_MOST_NODES:,}",
    "length of an expression": f"{_LONGEST:,} characters",
    "`BatchDataSyncConfig` file": f"{OF_A_CONFIG // 1_000_000} MB, {_MOST_PARTS:,} elements",
    "columns of a source in a first definition": f"{OF_A_DRAFT}",
    "columns that are tried as keys": f"{_MOST_CANDIDATES}, and {MOST_PAIRED} of them in pairs",
    "result of an expression": f"{OF_A_RESULT:,} times the length of a text of the row",
    "file that is sent in the console": (
        f"{MOST_MENDED // 1_000_000} MB; of a source, straight to storage, {MOST_SOURCE // 1_000_000_000} GB"
    ),
    "change in an entry of the audit log": (
        f"{MOST_OF_A_CHANGE:,} characters before and after; the versions of a definition have its whole texts"
    ),
    "lines of a change that a page shows": (
        f"400 in the editor, {MOST_LINES} in the audit log, and how many more there are; "
        "all when somebody else has saved meanwhile"
    ),
    "time in which a file is sent straight to storage": f"{LIFETIME.seconds // 60} minutes",
    "secret that the console writes": f"{OF_A_SECRET:,} bytes",
    "client certificate with its key, as text": f"{OF_A_CERTIFICATE:,} characters",
    "token of a file or an issuer": f"{_LONGEST_TOKEN:,} characters",
    "definitions in a container that `publish` compares": f"{_MOST_FILES:,}",
    "plan as Markdown": f"{OF_A_PLAN:,} characters; a comment with several plans has {OF_A_COMMENT:,}",
    "row of a delimited file; line of fixed width; row of a database": f"{OF_A_ROW // MB} MB",
    "columns of a delimited file": f"{_MOST_COLUMNS:,}",
    "cells of an Excel sheet, from the first to the last row and column": f"{MOST_CELLS:,}",
    "parts of a workbook that are read, unpacked": f"{OF_A_WORKBOOK >> 30} GiB together",
    "merged cells of a sheet that can belong to a header (xlsb and ods)": (
        f"the first {MOST_MERGED:,} that are merged over several rows"
    ),
    "JSON record or line": f"{_MOST // 1_000_000} million characters",
    "JSON document that is read as a whole": f"{_MOST_OF_DOCUMENT // MB} million characters",
    "answer of an HTTP service, unpacked": f"{OF_AN_ANSWER // MB} MB",
    "answer of Dataverse, unpacked": f"{OF_AN_ANSWER // MB} MB",
    "pages of an HTTP service": f"{_MOST_PAGES:,}",
    "pages of a query": f"{PageBounds().pages:,}",
    "line numbers in messages": f"in a remote file, those within the first {MOST_READ_AGAIN // MB} MB",
    "time of a run in the app": f"{int(HOST['functionTimeout'].split(':')[1])} minutes, then its job continues in a new run",
    "runs side by side in one process with a SQLite state store": f"{SIDE_BY_SIDE}; an instance in Azure runs one",
    "jobs of one environment and user at the same time": f"{settings.Settings().jobs_per_user}",
    "steps after the sync": f"{_longest(SyncDefinition, 'post_sync')}",
    "body of a step": f"{_LONGEST_BODY:,} characters of JSON, {_DEEPEST_BODY} deep",
    "time of a step after the sync": f"{PostSyncStep.model_fields['timeout'].default} s, at most one hour",
    "records that a step updates": f"{UpdateStep.model_fields['max_update'].default:,}",
    "answer to a request of a step": f"{OF_A_STEP // MB} MB",
    "records that a plan drops": f"{Safety().max_delete} of the target's records; checked from 10 on",
    "records that lookups create in a run": f"{Safety().max_created_references:,}",
    "refused changes, after which a run stops": f"{Safety().max_errors:,}",
    "levels of a hierarchy that are written in order": (
        f"{MOST_GENERATIONS}; those below get their parent in a second request"
    ),
    "parties in one column": f"{MOST_PARTIES:,}",
    "kinds of error that are told apart for a class, type and column": (f"{MOST_KINDS}; the CSV files have every row"),
    "body of an event, decompressed": f"{LARGEST_BODY // MB} MB",
    "records in an Avro body": f"{OF_AVRO:,}",
    "schema of Avro": f"{LARGEST_SCHEMA // MB} MB, nested 64 levels deep",
    "events in one call of the function": f"{HOST['extensions']['eventHubs']['maxEventBatchSize']:,}",
    "dead letter that is kept whole": f"{MOST_OF_A_BODY // MB} MB",
    "runs, errors, files, rows to mend and dead letters are kept": f"{settings.Settings.load({}).retention_days} days",
    "message of a run": f"{MOST_OF_A_MESSAGE:,} characters",
    "characters of a value on the pages of a plan, of an undo and of a record's history": (
        f"{MOST_OF_A_VALUE}, from where it differs; `plan --json` and the API have all of them"
    ),
    "runs on the page of `runs --html`": (
        f"{MOST_CHARTED}, with the errors of the latest {MOST_WITH_ERRORS}, "
        f"and the latest {MOST_COURSES} over their time"
    ),
    "points of a run over its time in the execution log": f"{MOST_POINTS}",
    "rows that `runs` and `dead-letters` show": f"{MOST_SHOWN:,}",
}


@pytest.mark.parametrize("what", REAL)
def test_a_bound_of_the_page_is_that_of_the_program(what: str) -> None:
    """The page has the row, with the number of the code."""
    assert ROWS[what] == REAL[what]
