"""Scripts in their process: what they can do, what stops them, and what they cannot reach."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from shared.errors import RetryLater, UserError
from shared.scripts import Allowance, ScriptEngine, ScriptError
from shared.scripts.child import read_part

DATED = '{"d":"1970-01-01T00:00:00.000Z","f":2}'
FAST = "function calc(r) { return r.a + 1 }"


@pytest.fixture(scope="module")
def engine() -> Iterator[ScriptEngine]:
    with closing(ScriptEngine(seconds=0.2)) as made:
        yield made


def rows(*values: Any) -> list[str]:
    return [json.dumps({"n": number, "v": value}) for number, value in enumerate(values)]


def results(engine: ScriptEngine, script: str, *values: Any) -> list[Any]:
    """For each row its result in a list, or the reason of the failure."""
    found = json.loads(engine.results(script, rows(*values), Allowance()))
    assert [each["n"] for each in found] == list(range(len(values)))
    return [each["e"] if each["r"] is None else each["r"] for each in found]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (FAST, ["2"]),
        ("const calc = (r) => r.a / 4", ["0.25"]),
        ("function calc(r) { return `${r.a} ä '\"\\\\` }", ["1 ä '\"\\"]),
        ("function calc(r) { return r.a > 0 }", ["true"]),
        ("function calc(r) { return null }", [None]),
        ("function calc(r) { }", [None]),
        ("function calc(r) { return r.missing }", [None]),
        ("function calc(r) { return 2n ** 70n }", ["1180591620717411303424"]),
        ("function calc(r) { return new Date('2024-01-31') }", ["2024-01-31T00:00:00.000Z"]),
        ("function calc(r) { return {x: [r.a, null]} }", ['{"x":[1,null]}']),
        ("function calc(r) { return {d: new Date(0), e: undefined, f: new Number(2)} }", [DATED]),
        ("function calc(r) { return {toJSON() { return null }} }", [None]),
        ("function calc(r) { return {toJSON() { return undefined }} }", [None]),
        ("function calc(r) { return {x: {toJSON() { return null }}} }", ['{"x":null}']),
        ("function calc(r) { return [...'😀x'][0] }", ["😀"]),
        ("total = 0; function calc(r) { let total = 5; return total }", ["5"]),
        ("function calc(r) { return new Date(2024, 5, 1).getTimezoneOffset() }", ["0"]),
    ],
)
def test_results(engine: ScriptEngine, script: str, expected: list[str | None]) -> None:
    assert results(engine, script, {"a": 1}) == [expected]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("function calc(r) {\n\n  return r.a.b.c\n}", "TypeError in line 3"),
        ("function calc(r) { return nothing }", "ReferenceError in line 1"),
        ("function calc(r) { return calc(r) }", "RangeError in line 1"),
        ("function calc(r) { return JSON.parse('{') }", "SyntaxError in line 1"),
        ("function calc(r) { return 0 / 0 }", "the result is not a finite number"),
        ("function calc(r) { return {toJSON() { return 0 / 0 }} }", "the result has a number that is not finite"),
        ("async function calc(r) { return 1 }", "the result is a promise: calc cannot be async"),
        ("function calc(r) { return calc }", "the result is a function"),
        ("function calc(r) { return 'a'.repeat(2e6) }", "the result is longer than 1,048,576 characters"),
        ("function calc(r) { return Math.random() }", "Math.random() is not available"),
        ("function calc(r) { return new Date() }", "new Date() is not available"),
        ("function calc(r) { return Date() }", "Date() is not available"),
        ("function calc(r) { return (new Date(0)).constructor.now() }", "Date.now() is not available"),
    ],
)
def test_a_row_on_which_a_script_fails_has_a_reason(engine: ScriptEngine, script: str, reason: str) -> None:
    assert results(engine, script, {"a": 1}) == [reason]


@pytest.mark.parametrize("place", ["{}", "[{}]", "{{x: {}}}", "{{x: [1, {{y: {}}}]}}"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("new Date('31.12.2024')", "a date that is not valid"),
        ("0 / 0", "finite"),
        ("new Number(1 / 0)", "finite"),
        ("r.a.toFixed", "a function"),
        ("Symbol()", "a symbol"),
        ("'😀x'.slice(0, 1)", "half of a surrogate pair, which is not a character"),
        ("{['😀x'.slice(1)]: 1}", "half of a surrogate pair, which is not a character"),
        ("Promise.resolve(1)", "a promise: calc cannot be async"),
    ],
)
def test_what_is_no_value_is_no_result(engine: ScriptEngine, place: str, value: str, reason: str) -> None:
    """JSON.stringify would write null or an escape for it, or leave it out, and the record would get that."""
    (found,) = results(engine, f"function calc(r) {{ return {place.format(value)} }}", {"a": 1})
    assert isinstance(found, str)
    assert found.startswith("the result ")
    assert reason in found


def test_a_big_number_in_an_object_is_no_result(engine: ScriptEngine) -> None:
    """Alone it gives its digits."""
    found = results(engine, "function calc(r) { return {x: 2n ** 70n} }", {"a": 1})
    assert found == ["the result is an object with a BigInt, which JSON does not have"]


@pytest.mark.parametrize("thrown", ["r.secret", "{name: r.secret, stack: r.secret}", "new Error(r.secret)"])
def test_a_reason_contains_no_value_of_the_row(engine: ScriptEngine, thrown: str) -> None:
    (reason,) = results(engine, f"function calc(r) {{ throw {thrown} }}", {"secret": "4711"})
    assert reason.startswith("Error")
    assert "4711" not in reason


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("function calc(r) {\n  return r.a", "line 2: "),
        ("function calc(r) {\n  return r..a\n}", "line 2: "),
        ("var x = 1", "the script has no function calc(currentRecord)"),
        ("throw new Error('early'); function calc() {}", "early"),
        ("for (;;) {} function calc() {}", "what is outside of the function takes more than 0.2 s"),
    ],
)
def test_a_script_that_cannot_be_used(engine: ScriptEngine, script: str, message: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(message)):
        engine.check(script)


BOMBS = {
    "loop": "for (;;) {}",
    "loop in a catch": "for (;;) { try { for (;;) {} } catch (e) {} }",
    "regular expression": "return /^(a+)+$/.test('a'.repeat(40) + 'b')",
    "sort": "return [3, 2, 1].sort(() => { for (;;) {} })",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_row_without_an_end_is_stopped_and_the_others_have_their_results(engine: ScriptEngine, bomb: str) -> None:
    script = f"function calc(r) {{ if (r.a === 2) {{ {bomb} }} return r.a + 1 }}"
    found = results(engine, script, {"a": 1}, {"a": 2}, {"a": 3})
    assert found == [["2"], "takes more than 0.2 s, or more than 128 MB", ["4"]]


MEMORY = {
    "list": "const a = []; for (;;) a.push(new Array(1000).fill(7))",
    "text": "let s = 'x'; for (;;) s += s",
    "buffer": "return new Uint8Array(1e9).length",
    "big number": "let x = 2n ** 1000000n; for (;;) x = x * x",
}


@pytest.mark.parametrize("bomb", MEMORY.values(), ids=MEMORY)
def test_a_row_that_fills_the_memory_fails_alone(engine: ScriptEngine, bomb: str) -> None:
    script = f"function calc(r) {{ if (r.a === 2) {{ {bomb} }} return r.a + 1 }}"
    first, second, third = results(engine, script, {"a": 1}, {"a": 2}, {"a": 3})
    assert (first, third) == (["2"], ["4"])
    assert isinstance(second, str)


def test_work_that_the_engine_cannot_interrupt_ends_with_its_process() -> None:
    script = (
        "function calc(r) { if (r.a === 2) { const t = 'a'.repeat(6e6); t.indexOf('a'.repeat(3e6) + 'b') } return 1 }"
    )
    with closing(ScriptEngine(seconds=0.2, patience=5)) as engine:
        assert results(engine, script, {"a": 1}, {"a": 2}, {"a": 3}) == [
            ["1"],
            "takes more than 0.2 s, or more than 128 MB",
            ["1"],
        ]


def test_a_script_that_is_stopped_on_many_rows_ends_the_run() -> None:
    with closing(ScriptEngine(seconds=0.05)) as engine, pytest.raises(UserError, match="on more than 1 rows"):
        engine.results("function calc() { for (;;) {} }", rows(1, 2, 3), Allowance(most=1))


def test_a_row_that_is_calculated_again_counts_once() -> None:
    """The first rows of a run are calculated in both orders too."""
    allowance = Allowance(most=2)
    with closing(ScriptEngine(seconds=0.05)) as engine:
        for values in ((1, 2), (1, 2), (1, 2)):
            engine.results("function calc() { for (;;) {} }", rows(*values), allowance)
        with pytest.raises(UserError, match="on more than 2 rows"):
            engine.results("function calc() { for (;;) {} }", rows(1, 2, 3), allowance)


NO_REACH = "['require', 'process', 'fetch', 'std', 'os', 'print', 'console', 'performance', 'WeakRef', 'gc']"


def test_a_script_reaches_nothing_outside(engine: ScriptEngine) -> None:
    script = f"function calc() {{ return {NO_REACH}.filter((name) => name in globalThis).join() }}"
    assert results(engine, script, {}) == [[""]]


TRICKS = (
    "Array.prototype.push = Array.prototype.join = JSON.stringify = JSON.parse = String.prototype.substring = 1;"
    "Object.defineProperty(Object.prototype, 'n', {get() { return 99 }, set() { throw 1 }});"
    "Object.prototype.toJSON = function () { return 'changed' };"
)


def test_changed_prototypes_change_no_other_row_and_no_other_script(engine: ScriptEngine) -> None:
    script = f"function calc(r) {{ if (r.a === 1) {{ {TRICKS} }} return r.a }}"
    assert results(engine, script, {"a": 1}, {"a": 2}) == [["1"], ["2"]]
    assert results(engine, "function calc(r) { return {x: [r.a]} }", {"a": 1}) == [['{"x":[1]}']]


def test_nothing_is_kept_between_two_requests(engine: ScriptEngine) -> None:
    script = "var seen = 0; function calc(r) { seen += 1; return seen }"
    assert results(engine, script, {}, {}) == [["1"], ["2"]]
    assert results(engine, script, {}) == [["1"]]


def test_without_the_engine_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with closing(ScriptEngine()) as engine, pytest.raises(UserError, match=r"dynamics-sync\[javascript\]"):
        engine.check(FAST)


def test_a_machine_that_starts_no_process_now_is_no_mistake_of_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events come again, and a run is tried again."""
    monkeypatch.setattr("sys.executable", "/not/there")
    with closing(ScriptEngine()) as engine:
        with pytest.raises(RetryLater, match="no process for scripts can be started: No such file"):
            engine.results(FAST, rows({"a": 1}), Allowance())
        monkeypatch.undo()
        assert results(engine, FAST, {"a": 1}) == [["2"]]


def test_the_time_zone_of_the_machine_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is UTC: the same rows have the same results everywhere. Without `TZ` the C library reads a file of the machine."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    with closing(ScriptEngine()) as engine:
        assert results(engine, "function calc(r) { return new Date(2024, 0, 31) }", {}) == [
            ["2024-01-31T00:00:00.000Z"]
        ]
        engines = [each for each in children() if b"child.py" in (each / "cmdline").read_bytes()]
        assert {(each / "environ").read_bytes() for each in engines} == {b"TZ=UTC0\0"}


def children() -> list[Path]:
    """The processes that this one has started."""
    tasks = Path("/proc/self/task").glob("*/children")
    return [Path("/proc") / each for task in tasks for each in task.read_text().split()]


@pytest.mark.parametrize("part", [b"", b"\0\0", b"\0\0\0\5", b"\0\0\0\5abcd"])
def test_a_part_that_is_not_whole_is_none(part: bytes) -> None:
    """The process may be ended in the middle of an answer: the rows of the request are then tried one by one."""
    assert read_part(BytesIO(part)) is None


def test_a_whole_part_is_read() -> None:
    stream = BytesIO(b"\0\0\0\2abc")
    assert read_part(stream) == b"ab"
    assert stream.read() == b"c"
