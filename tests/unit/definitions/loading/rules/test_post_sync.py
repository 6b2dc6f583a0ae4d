"""Steps after the sync in a definition: each mistake at its place, and what their texts may name."""

from __future__ import annotations

import pytest
import yaml

from shared.definitions import Language, load_definition, names_in
from shared.definitions.loading.definition import read_definition
from shared.definitions.models.post_sync import PostSyncStep
from shared.definitions.parameters.environment import env_references, secret_variables
from shared.definitions.reference.example import EXAMPLE
from shared.errors import DefinitionError


def with_steps(steps: str, **changes: object) -> str:
    """The example with steps behind it, so that their first line is known."""
    text = yaml.safe_dump({**yaml.safe_load(EXAMPLE), **changes}, sort_keys=False)
    return f"{text}post_sync:\n{steps}\n"


def found(steps: str, **changes: object) -> list[str]:
    """`column: path: message` of each problem; the steps begin in line 1."""
    text = with_steps(steps, **changes)
    before = text.partition("post_sync:\n")[0].count("\n") + 1
    problems = read_definition(text).problems
    return [f"{each.line - before}:{each.column}: {each.path}: {each.message}" for each in problems]


ONE = "a step has exactly one of action, update, sql and http"


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("{name: a}", f"1:5: post_sync[0]: {ONE}"),
        ("{action: x}", "1:5: post_sync[0].name: this key is missing (the step's name; unique in the definition)"),
        (
            "{name: a, action: x, sql: {connection: erp, statement: select 1}}",
            f"1:26: post_sync[0].sql: {ONE}; this one has action already",
        ),
        (
            "{name: a, http: {url: 'https://a.example'}, body: {a: 1}}",
            "1:49: post_sync[0].body: only a step with action has body; write the body of a request below http",
        ),
        ("{name: a, action: x.y}", "1:23: post_sync[0].action: the name of an action consists of letters"),
        ("{name: a, action: x, run_on: error}", "'success', 'errors' or 'always' is required here"),
        ("{name: a, action: x, timeout: 2h}", "a number of at most 3600"),
        ("{name: a, action: x, body: {A: '@nothing'}}", "1:36: post_sync[0].body.A: there is no parameter @nothing"),
        ("{name: a, action: x, body: {A: [1, '@run.crated']}}", "there is no parameter @run; steps of post_sync know"),
        ("{name: a, update: {entity: lead, set: {a: '1'}}}", "post_sync[0].update.filter: this key is missing"),
        ("{name: a, update: {entity: lead, filter: a = 1, set: {a: '1'}}}", "OData writes eq, not ="),
        (
            "{name: a, sql: {connection: erp, statement: 'select 1; drop table x'}}",
            "1:49: post_sync[0].sql.statement: a step is one statement, and here are several",
        ),
        (
            "{name: a, sql: {connection: 'postgresql://me:secret@host/db', statement: select 1}}",
            "this is not the name of a connection; for its URL: do not write a secret here",
        ),
        ("{name: a, http: {method: POST}}", "a request needs url, connection, or both"),
        ("{name: a, http: {url: 'http://a.example'}}", "an address of an API starts with https://"),
        ("{name: a, http: {url: 'https://a.example?sig=abc'}}", "this url holds a key"),
        ("{name: a, http: {url: 'https://a.example', headers: {Authorization: abc}}}", "this header holds a secret"),
        ("{name: a, http: {url: 'https://a.example', headers: {X-Api-Key: '@region'}}}", "this header holds a secret, and"),
        ("{name: a, http: {url: 'https://a.example/?sig=@region'}}", "this url holds a key, and the value of @region is kept"),
        ("{name: a, http: {url: 'https://a.example', method: GET, body: {a: 1}}}", "method: GET has no body"),
        ("{name: a, http: {url: 'https://a.example', body: text}}", "post_sync[0].http.body"),
        ("{name: a, action: x}\n  - {name: A, action: y}", "2:6: post_sync[1].name: two steps have this name, on lines"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_at_its_place(step: str, problem: str) -> None:
    """With what to do; a secret is not repeated."""
    told = found(f"  - {step}")
    assert any(problem in each for each in told), told
    assert "secret@host" not in "".join(told)


def test_a_body_has_bounds() -> None:
    """In depth and in size."""
    deep = "[" * 30 + "]" * 30
    assert any("more than 20 deep" in each for each in found(f"  - {{name: a, action: x, body: {{A: {deep}}}}}"))
    long = "x" * 100_001
    assert any("more than 100,000" in each for each in found(f"  - {{name: a, action: x, body: {{A: {long}}}}}"))
    many = "\n".join(f"  - {{name: s{number}, action: x}}" for number in range(21))
    assert any("at most 20 entries" in each for each in found(many))


def test_a_sync_of_events_has_no_steps() -> None:
    """It has no batch run; and `@run` is no parameter beside steps."""
    events = {"source": {"type": "events", "columns": [{"name": "a"}]}}
    told = found("  - {name: a, action: x}", **events)
    assert any("has no batch run, and steps run only after a batch run" in each for each in told)
    told = found("  - {name: a, action: x}", parameters={"run": {"default": 1}})
    assert any("parameters.run: @run is the run itself" in each for each in told)


def test_figures_of_the_run_are_known_only_to_steps() -> None:
    """Elsewhere they would have no value."""
    document = yaml.safe_load(EXAMPLE)
    document["destination"]["filter"] = "name eq @run.id"
    (problem,) = read_definition(yaml.safe_dump(document)).problems
    assert problem.path == "destination.filter"
    assert problem.message.startswith("figures of the run are known after it")


def test_figures_are_one_name_in_each_language() -> None:
    """Longer words and other parts are not."""
    assert names_in("@run.created-@run.createdx @{run.failed}x", Language.TEXT) == ("run.created", "run", "run.failed")
    assert names_in("update a set b = @run.id where c = '@run.id'", Language.DATABASE) == ("run.id",)
    assert names_in("createdon ge @run.started and name ne '@run.id'", Language.ODATA) == ("run.started",)
    assert names_in("'a' || @run.sync", Language.SQL) == ("run.sync",)


def test_a_step_knows_its_kind() -> None:
    """By the key that it has."""
    step = PostSyncStep.model_validate({"name": "a", "http": {"url": "https://a.example"}})
    assert (step.kind, step.timeout, step.run_on) == ("http", 60, "success")


def test_variables_of_steps_are_secrets() -> None:
    """Formulas cannot read them."""
    steps = "  - {name: a, http: {url: {env: HOOK_URL}, headers: {X: {env: OTHER}}, body: {env: PLAIN}}}"
    document = yaml.safe_load(with_steps(steps))
    assert {"HOOK_URL", "OTHER"} <= env_references(document)
    assert "PLAIN" not in env_references(document)
    assert {"HOOK_URL", "OTHER"} <= {*secret_variables([load_definition(with_steps(steps))])}


def test_sets_come_later() -> None:
    """A file that describes one is refused with that sentence, and nothing else is said about it."""
    with pytest.raises(DefinitionError) as caught:
        load_definition("kind: set\nname: all\nsyncs: [a, b]\n", file="all.yaml")
    assert caught.value.message == (
        "all.yaml:1:7: kind: sets of syncs come later: this version reads syncs (without kind) and connections "
        "(kind: connection)"
    )
