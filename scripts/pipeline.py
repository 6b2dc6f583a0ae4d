"""What the workflows of .github/workflows do with definitions: plan those that changed, and apply approved plans.

    python scripts/pipeline.py plan OUT [--base COMMIT] [--examples N]
    python scripts/pipeline.py apply PLANS

`plan` checks all definitions, plans those that changed since a commit (all without one), and writes OUT/comment.md and
a file for each plan with changes. `apply` applies these files, each only if its checksum is still right, and writes
PLANS/summary.md. Settings are taken from the environment, and from APP_SETTINGS (NAME=value, separated by semicolons).
Exit code 1 if a definition has mistakes, or a plan is refused, fails or is not applied whole.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.definitions import Loaded, Repository
from shared.definitions.parameters import is_required

LONGEST = 60_000  # characters of the comment; GitHub takes 65,536
SUCCEEDED, WITH_ERRORS, UNSAFE, CHANGES = 0, 2, 3, 4  # exit codes, see docs/commands.md
# What the first characters of an environment variable's name must be.
_SETTING = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)=(.*)", re.DOTALL)


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with what APP_SETTINGS has.

    Raises:
        SystemExit: A part of it is no setting; its value is not repeated.
    """
    found = dict(environment)
    for number, part in enumerate(environment.get("APP_SETTINGS", "").split(";"), start=1):
        if part.strip():
            setting = _SETTING.fullmatch(part)
            if setting is None:
                raise SystemExit(f"APP_SETTINGS: part {number} is not NAME=value")
            found[setting[1]] = setting[2].strip()
    return found


def typed(*arguments: str, environment: Mapping[str, str]) -> tuple[int, dict[str, Any], str]:
    """Run `dynamics-sync`: its exit code, its JSON, and what it said besides."""
    program = Path(sys.executable).with_name("dynamics-sync")
    done = subprocess.run(  # noqa: S603 - the program itself; no shell
        [str(program), *arguments, "--json"], env=dict(environment), capture_output=True, text=True, check=False
    )
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        answer = {}
    return done.returncode, answer if isinstance(answer, dict) else {}, done.stderr.strip()


def changed(folder: Path, base: str, loaded: Sequence[Loaded]) -> Sequence[Loaded]:
    """The syncs whose files changed since a commit; all of them if a connection or another file changed."""
    if not re.fullmatch(r"[0-9a-f]{40}", base) or not base.strip("0"):  # a new branch has 40 zeros
        return loaded
    listed = subprocess.run(  # noqa: S603 - git from the PATH, with a commit that was checked
        ["git", "diff", "--name-only", "--no-renames", "-z", base, "HEAD", "--", str(folder)],  # noqa: S607 - see above
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        return loaded
    names = {Path(name).name for name in listed.stdout.split("\0") if name and Path(name).exists()}
    gone = [name for name in listed.stdout.split("\0") if name and not Path(name).exists()]
    syncs = {Path(each.file).name: each for each in loaded}
    return loaded if gone or names - syncs.keys() else [syncs[name] for name in sorted(names)]


def not_planned(sync: Loaded) -> str:
    """Why a sync cannot be planned here; empty if it can."""
    definition = sync.definition
    if definition is None:
        return "it has mistakes"
    if not definition.enabled:
        return "it is not enabled"
    if definition.source.type == "events":
        return "it takes events only"
    parameters = definition.parameters.items()
    needed = [name for name, each in parameters if is_required(each)]
    return f"a run must give a value for {', '.join(needed)}" if needed else ""


def plan(out: Path, base: str, examples: int) -> int:
    """Check, plan, and write the comment."""
    environment = settings(os.environ)
    out.mkdir(parents=True, exist_ok=True)
    folder = Path(environment.get("SYNC_DEFINITIONS") or "syncs")
    # Plans are made by an application that only reads; the one that applies them has privileges of its own.
    code, checked, said = typed("validate", "--no-privileges", environment=environment)
    problems = [_problem(each) for each in checked.get("problems", ())] or ([_said(checked, said)] if code else [])
    parts, failed = [*_mistakes(problems)], bool(code)
    if not code:
        for sync in changed(folder, base, Repository(folder, clock=lambda: 0.0).loaded()):
            part, refused = planned(sync, out, examples, environment)
            parts.append(part)
            failed = failed or refused
    (out / "comment.md").write_text(comment(parts), "utf-8")
    return int(failed)


def planned(sync: Loaded, out: Path, examples: int, environment: Mapping[str, str]) -> tuple[str, bool]:
    """The part of the comment about one sync, and whether its plan cannot be applied; its file is left if it can."""
    if reason := not_planned(sync):
        print(f"{sync.name}: not planned: {reason}")
        return f"### {_code(sync.name)}\n\nNot planned: {_code(reason)}\n", False
    markdown, file = out / f"{sync.name}.md", out / f"{sync.name}.plan"
    files = ("--markdown", str(markdown), "--out", str(file), "--limit", str(examples), "--detailed-exit-code")
    code, answer, said = typed("plan", sync.name, *files, environment=environment)
    if code != CHANGES:
        file.unlink(missing_ok=True)
    print(f"{sync.name}: exit code {code}")
    if not markdown.exists():
        reason = _said(answer, said)
        print(reason)
        return f"### {_code(sync.name)}\n\nThe plan failed:\n\n{_block(reason)}\n", True
    text = markdown.read_text("utf-8")
    markdown.unlink()
    return text, code not in {SUCCEEDED, WITH_ERRORS, CHANGES}


def comment(parts: Sequence[str]) -> str:
    """All parts that fit, under a heading; the others are named."""
    shown = ["## Plan of the changed syncs\n\nNothing has been written.\n", *parts]
    if not parts:
        shown.append("No sync has changed.\n")
    kept = len(shown)
    while sum(len(each) + 1 for each in shown[:kept]) > LONGEST - 200:
        kept -= 1
    if left := len(shown) - kept:
        shown = [*shown[:kept], f"{left} further plans are too long for a comment: see the log of the workflow.\n"]
    return "\n".join(shown)


def apply(plans: Path) -> int:
    """Apply every saved plan, and write the summary."""
    environment, failed = settings(os.environ), False
    lines = ["## Applied plans\n", "| Sync | Result | Checksum |", "| --- | --- | --- |"]
    for file in sorted(plans.glob("*.plan")):
        saved = json.loads(file.read_text("utf-8"))
        code, done, said = typed("run", saved["sync"], "--plan", str(file), environment=environment)
        state = str(done.get("state") or "Failed")
        message = _said(done, said if code else "")
        print(f"{saved['sync']}: {state} {message}".rstrip())
        failed = failed or not _whole(code, done)
        shown = f"{state}: {message}" if message else state
        lines.append(f"| {_code(saved['sync'])} | {_code(shown)} | {_code(saved['checksum'])} |")
    if len(lines) == 3:  # noqa: PLR2004 - the head of the table
        lines = ["## Applied plans\n", "There was nothing to apply."]
    (plans / "summary.md").write_text("\n".join(lines) + "\n", "utf-8")
    return int(failed)


def _said(answer: Mapping[str, Any], otherwise: str) -> str:
    """The message of a run or of an error; what was printed where there is none."""
    error = answer.get("error")
    message = error.get("message") if isinstance(error, dict) else answer.get("message")
    return str(message or otherwise)


def _whole(code: int, done: Mapping[str, Any]) -> bool:
    """Whether all of a plan was applied: rows that the source's rules reject were in the approved plan already."""
    return code == SUCCEEDED or (code == WITH_ERRORS and not done.get("failed") and not done.get("skipped"))


def _mistakes(problems: Sequence[str]) -> Iterator[str]:
    if problems:
        print(*problems, sep="\n")
        yield f"### The definitions have mistakes\n\n{_block(chr(10).join(problems))}\n"


def _problem(problem: Mapping[str, Any]) -> str:
    place = ":".join(str(problem[key]) for key in ("file", "line", "column") if problem.get(key))
    return ": ".join(filter(None, (place, str(problem.get("path") or ""), str(problem.get("message") or ""))))


def _block(text: str) -> str:
    """Text as it is: an element that Markdown does not look into."""
    return f"<pre>{html.escape(text[:4000]).replace('@', '&#64;')}</pre>"


def _code(text: str) -> str:
    """Text in one cell of a table, in which Markdown reads nothing."""
    shown = " ".join(text.split())[:400]
    return f"<code>{''.join(each if each.isalnum() or each == ' ' else f'&#{ord(each)};' for each in shown)}</code>"


def main() -> int:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan", help="check definitions and plan those that changed")
    planning.add_argument("out", type=Path, metavar="OUT", help="folder for the comment and the plans")
    planning.add_argument("--base", default="", metavar="COMMIT", help="plan what changed since; default all")
    planning.add_argument("--examples", type=int, default=5, metavar="N", help="examples of each kind of change")
    applying = commands.add_parser("apply", help="apply saved plans")
    applying.add_argument("plans", type=Path, metavar="PLANS", help="folder with the plans")
    chosen = parser.parse_args()
    return apply(chosen.plans) if chosen.command == "apply" else plan(chosen.out, chosen.base, chosen.examples)


if __name__ == "__main__":
    sys.exit(main())
