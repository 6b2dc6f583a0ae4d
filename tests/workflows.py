"""Runs the jobs of GitHub workflows on this machine: their shell steps as they are, and the actions that they use.

Each job gets a fresh clone. What a step may read is what GitHub would give it: an unknown expression is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["ROOT", "Done", "Runner", "workflow", "workflows"]

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / ".github" / "workflows"
_EXPRESSION: Final = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_NOT_EMPTY: Final = re.compile(r"vars\.(\w+) != ''")


def workflow(name: str) -> dict[str, Any]:
    """One workflow; YAML 1.1 reads its key `on` as true."""
    read: dict[Any, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text("utf-8"))
    return {"on" if key is True else str(key): value for key, value in read.items()}


def workflows() -> dict[str, dict[str, Any]]:
    """All of them, by name."""
    return {file.stem: workflow(file.stem) for file in sorted(FOLDER.glob("*.yml"))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a job left.

    Attributes:
        failed: The name of the step that failed; empty for none.
        said: Everything that its steps printed.
        summary: What the job's page shows.
    """

    failed: str
    said: str
    summary: str


@dataclass(kw_only=True)
class Runner:
    """A machine for jobs.

    Attributes:
        folder: For clones and artifacts.
        repository: The repository that jobs check out.
        programs: A folder with programs that come first.
        variables: The repository's variables, `vars`.
        github: The context `github`, by its names such as `event.before`.
        environment: Variables of every job.
        identity: Variables of jobs that may get a token of their own (`id-token: write`).
    """

    folder: Path
    repository: Path
    programs: Path
    variables: dict[str, str] = field(default_factory=dict)
    github: dict[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    identity: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 0

    def run(self, name: str, job: str) -> Done:
        """Run one job of a workflow."""
        content = workflow(name)["jobs"][job]
        self.jobs += 1
        here = self.folder / f"job-{self.jobs}"
        here.mkdir()
        summary = self.folder / f"summary-{self.jobs}.md"
        summary.touch()
        allowed = self.identity if content["permissions"].get("id-token") == "write" else {}
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "GITHUB_STEP_SUMMARY": str(summary),
            "NO_COLOR": "1",
            **self.environment,
            **allowed,
            **self._values(content.get("env", {})),
        }
        failed, said = "", []
        for step in content["steps"]:
            if not self._is_due(str(step.get("if", "")), failed):
                continue
            if "uses" in step:
                self._use(step["uses"].partition("@")[0], step.get("with", {}), here)
                continue
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=here,
                env=environment | self._values(step.get("env", {})),
                capture_output=True,
                text=True,
                check=False,
                timeout=110,
            )
            said += [done.stdout, done.stderr]
            failed = failed or (step["name"] if done.returncode else "")
        return Done(failed=failed, said="".join(said), summary=summary.read_text("utf-8"))

    def _values(self, texts: Mapping[str, str]) -> dict[str, str]:
        return {name: _EXPRESSION.sub(lambda each: self._value(each[1]), text) for name, text in texts.items()}

    def _value(self, expression: str) -> str:
        context, _, name = expression.partition(".")
        if context == "vars":
            return self.variables.get(name, "")
        assert context == "github", expression
        return self.github[name]

    def _is_due(self, condition: str, failed: str) -> bool:
        condition = _EXPRESSION.sub(lambda each: each[1], condition)
        if condition == "!cancelled()":
            return True
        named = _NOT_EMPTY.fullmatch(condition)
        assert named or not condition, condition
        return not failed and (named is None or bool(self.variables.get(named[1])))

    def _use(self, action: str, given: Mapping[str, Any], here: Path) -> None:
        artifacts = self.folder / "artifacts"
        match action:
            case "actions/checkout":
                assert given["persist-credentials"] is False
                subprocess.run(["git", "clone", "--quiet", str(self.repository), str(here)], check=True)
            case "actions/upload-artifact":
                shutil.rmtree(artifacts / given["name"], ignore_errors=True)
                (artifacts / given["name"]).mkdir(parents=True)
                path = here / given["path"]
                files = [path] if path.is_file() else [each for each in path.iterdir() if each.is_file()]
                for file in files:
                    shutil.copy(file, artifacts / given["name"])
            case "actions/download-artifact":
                shutil.copytree(artifacts / given["name"], here / given.get("path", "."), dirs_exist_ok=True)
            case _:
                assert action in {"actions/setup-python", "azure/login"}, action
