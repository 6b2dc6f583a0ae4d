"""One step of somebody who edits: the draft that was sent, what is done to it, and the page that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.responses import Response

from console.access.guarding import guarded_changes
from console.access.rights import Level
from console.audit.compared import difference
from console.editor.draft import Checked, Draft, check, saved_text
from console.editor.forms.paging import Pages
from console.editor.forms.reading import Sent
from console.editor.forms.widgets import Widget
from console.editor.mapping import Mappings, mappings_of
from console.editor.tabs import FIRST, TABS, YAML, Tab, placed, tab_named, tab_of, values_with, widgets_of
from console.uploads.keeping import can_upload, upload_path
from console.web.field_texts import restored, with_line_feeds
from console.web.refusals import Refusal
from console.web.visit import Visit
from shared.drafts.editing import EditRefusedError, rewritten

_MARK: Final = "\ufeff"

__all__ = ["Answer", "Editing", "Notice", "from_form", "take_form"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that the page says at its top.

    Attributes:
        kind: `good`, `warn` or `bad`.
        lines: Lines of a difference.
    """

    kind: str
    text: str
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A question that was asked as a job.

    Attributes:
        kind: `test` or `preview`.
        job: Id of the job.
        value: The answer; None while there is none.
    """

    kind: str
    job: str
    value: Mapping[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Editing:
    """The state of one step.

    Attributes:
        tab: What is shown.
        sent: What was sent with the form.
        checked: What was found last; None where it is still to be looked for.
        problems: Mistakes in what was sent, which are not in the text.
        mappings: What the environment knows of the mapping; None where it was not asked.
        more: Other values for the page.
        pages: Which rows of long lists are shown.
    """

    visit: Visit
    draft: Draft
    tab: Tab = FIRST
    sent: Sent = field(default_factory=lambda: Sent({}))
    notices: list[Notice] = field(default_factory=list)
    checked: Checked | None = None
    answer: Answer | None = None
    mappings: Mappings | None = None
    more: dict[str, Any] = field(default_factory=dict)
    pages: Pages = field(default_factory=lambda: Pages({}))
    can_save_anyway: bool = False

    @property
    def is_new(self) -> bool:
        """Whether it is a sync that was never saved."""
        return self.visit.known_subject is None

    @property
    def is_deleted(self) -> bool:
        """Whether somebody has deleted its definition since the person opened it."""
        return not self.is_new and self.visit.subject.loaded is None

    @property
    def read_only(self) -> str:
        """Why the person cannot change it; empty where they can."""
        if not self.is_new and not self.visit.may(Level.WRITE):
            return "You may look at this definition. To change it you need the right `write`."
        return self.visit.app.wiring.definition_files.read_only

    @property
    def may_all(self) -> bool:
        """Whether the person may also change what needs `admin`."""
        return self.is_new or self.visit.may(Level.ADMIN)

    def say(self, kind: str, text: str, lines: Sequence[str] = ()) -> None:
        """Say something at the top of the page."""
        self.notices.append(Notice(kind=kind, text=text, lines=lines))

    def stays_open(self) -> bool:
        """Whether a field was sent that the text cannot have, and that another page would lose; then it is said."""
        if self.sent.problems:
            said = "This tab stays open: what is marked in it is not in the definition yet, and would be lost."
            self.say("bad", said)
        return bool(self.sent.problems)

    def refused(self) -> list[str]:
        """The keys that were changed and that the person may not change."""
        if self.may_all:
            return []
        return guarded_changes(saved_text(self.visit, self.draft), self.draft.text, self.visit.connections)

    def may_connect(self) -> bool:
        """Whether the app may sign in with what the draft says; else it says why not."""
        if refused := self.refused():
            self.say("bad", f"Only a person with the right `admin` may try out other {', '.join(refused)}.")
        return not refused

    def page(self) -> Response:
        """The page of the tab."""
        checked = self.checked or check(self.visit, self.draft)
        problems = [*self.sent.problems, *checked.problems]
        widgets = [] if self.tab is YAML or not self.can_show else self._widgets()
        placed(widgets, [each for each in problems if tab_of(each.path) is self.tab])
        self._show_again(widgets)
        mappings = self.mappings or mappings_of(self.draft.data, None)
        mappings.annotate(widgets)
        return self.visit.page(
            "editor.html",
            editing=self,
            draft=self.draft,
            name=self.name,
            tabs=(*TABS, YAML),
            tab=self.tab,
            widgets=widgets,
            problems=[(problem, tab_of(problem.path) if problem.path else YAML) for problem in problems],
            warnings=checked.warnings,
            marked={tab_of(problem.path).slug for problem in problems if problem.path},
            mappings=mappings,
            changed=difference(self._saved(), self.draft.text) if not self.read_only else [],
        )

    @property
    def name(self) -> str:
        """What the page calls the sync."""
        return self.draft.file.rpartition(".")[0] if self.is_new else self.visit.sync

    @property
    def action(self) -> str:
        """Where the form goes."""
        return "/new/edit" if self.is_new else f"/syncs/{self.visit.sync}/edit"

    @property
    def connections(self) -> list[str]:
        """The names of the connections of the folder."""
        return sorted(file.name for file in self.visit.connections)

    @property
    def vault(self) -> str:
        """The name of the vault of the app; empty where it has none."""
        return urlsplit(self.visit.app.settings.key_vault_url).netloc.partition(".")[0]

    @property
    def may_write_secrets(self) -> bool:
        """Whether the person may write secrets into a vault from here."""
        return self.visit.app.wiring.secret_writer is not None and self.may_all and not self.read_only

    @property
    def can_upload(self) -> bool:
        """Whether files of the machine can be given."""
        return can_upload(self.visit)

    @property
    def upload_path(self) -> str:
        """Where the page asks for an address in storage for a file; empty where files go through the app."""
        return upload_path(self.visit)

    @property
    def may_see_rows(self) -> bool:
        """Whether the person may see values of rows."""
        return self.is_new or self.visit.may(Level.READ)

    @property
    def can_show(self) -> bool:
        """Whether the text can be shown as a form."""
        return isinstance(self.draft.data, dict)

    def _widgets(self) -> list[Widget]:
        return widgets_of(self.tab, self.draft.data, self.pages.rows)

    def _saved(self) -> str:
        return saved_text(self.visit, self.draft) if self.draft.version else ""

    def _show_again(self, widgets: Sequence[Widget]) -> None:
        """Show texts again that could not be read."""
        for widget in (each for one in widgets for each in one.walk()):
            if widget.name in self.sent.texts:
                widget.text = self.sent.texts[widget.name]


def from_form(visit: Visit) -> Editing:
    """The draft that a page carries, with what was changed in its form.

    Names of fields that are no keys of a definition begin with `_`.

    Raises:
        Refusal: The form is not one of this page.
    """
    body = visit.body
    draft, tab = Draft.of_form(body), tab_named(body.text("_tab"))
    editing = Editing(visit=visit, draft=draft, tab=tab, sent=Sent(body.fields), pages=Pages(body.fields))
    if visit.known_subject is None:
        editing.draft = draft = replace(draft, version="")  # a new sync replaces nothing
    elif visit.subject.loaded is not None:
        _check_file(editing, visit.subject.loaded.file)
    if job := body.text("_job"):
        editing.answer = Answer(kind=body.text("_job_kind"), job=job)
    if tab is YAML:
        editing.draft = draft.with_text(_as_before(draft.text, body.text("_yaml", draft.text)))
    elif isinstance(draft.data, dict):
        take_form(editing)
    return editing


def _check_file(editing: Editing, file: str) -> None:
    """Refuse a form of another sync: the rights were checked for this one."""
    if file.replace("\\", "/").rpartition("/")[2] != editing.draft.file:
        raise Refusal(
            400, "Another file", "The sync is in another file now, or the form that was sent is that of another sync."
        )


def take_form(editing: Editing) -> None:
    """Put the values of the fields that were sent into the draft; those that were not sent stay."""
    try:
        values = values_with(editing.tab, editing.draft.data, editing.sent)
        editing.draft = editing.draft.with_text(rewritten(editing.draft.text, values))
    except EditRefusedError as error:
        editing.say("bad", f"The form was not taken over: {error.message}.")


def _as_before(before: str, text: str) -> str:
    """A text of a browser with the line breaks and the mark that the definition has."""
    mark = _MARK if before.startswith(_MARK) else ""
    return mark + restored(before.removeprefix(_MARK), with_line_feeds(text.removeprefix(_MARK)))
