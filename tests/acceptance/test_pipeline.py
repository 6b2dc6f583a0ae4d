"""The workflows for definitions, step by step: pull request, comment, approval, exactly this plan, definitions."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.storage.blob import BlobServiceClient

from tests.acceptance.world import World, accounts, world
from tests.token_issuer import Issuer, issuing
from tests.unit.infra.test_smoke import APP_ID, Manager
from tests.workflows import ROOT, Runner, workflows

ROWS = [{"number": f"N-{number}", "name": f"Name {number}", "city": "Ulm", "revenue": "1"} for number in range(1, 4)]
GH = """#!/bin/sh
case "$1 $2" in
    "run list") cat "$PIPELINE/last" ;;
    "pr comment") cp comment.md "$PIPELINE/comment.md"; echo "$@" > "$PIPELINE/gh" ;;
    *) exit 1 ;;
esac
"""
MAKE = '#!/bin/sh\n[ "$1" = setup ] && ln -s "$PROJECT/.venv" .venv\n'


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as one:
        yield one


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("pipeline")) as here:
        yield here


class Project:
    """A repository with definitions and the runner of its workflows."""

    def __init__(self, folder: Path, here: World, issuer: Issuer, storage: str) -> None:
        self.world, self.folder, self.issuer = here, folder, issuer
        self.repository = folder / "repository"
        shutil.copytree(ROOT / "scripts", self.repository / "scripts")
        (self.repository / "syncs").mkdir()
        programs = folder / "programs"
        programs.mkdir()
        for name, text in {"gh": GH, "make": MAKE}.items():
            (programs / name).write_text(text, "utf-8")
            (programs / name).chmod(0o755)
        settings = ";".join((
            f"DYNAMICS_URL={here.emulator.service_url}",
            f"DYNAMICS_CLIENT_ID={here.emulator.client_id}",
            f"SOURCE={here.environment['SOURCE']}",
            f"STATE_STORE=sqlite:///{folder / 'state.db'}",
        ))  # fmt: skip
        self.blobs = BlobServiceClient.from_connection_string(storage).get_container_client("definitions")
        self.runner = Runner(
            folder=folder,
            repository=self.repository,
            programs=programs,
            variables={
                "PLAN_CLIENT_ID": "planner",
                "APPLY_CLIENT_ID": "writer",
                "PLAN_SETTINGS": settings,
                "APPLY_SETTINGS": settings,
                "DEFINITIONS_URL": "abfs://definitions/syncs",
            },
            environment={"PIPELINE": str(folder), "PROJECT": str(ROOT), "AzureWebJobsStorage": storage},
            identity=issuer.github(),
        )
        self.git("init", "--quiet", "--initial-branch=main")
        self.base = self.commit("accounts", mappings=["number", "name"])

    def git(self, *words: str) -> str:
        named = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *named, *words], cwd=self.repository, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, name: str, *, mappings: list[str], **destination: Any) -> str:
        """Commit a definition with these mapped columns; returns the commit."""
        definition = accounts()
        del definition["destination"]["client_secret"]
        known = definition["destination"]["mappings"]
        kept = [each for each in known if each["source"] in mappings]
        definition["destination"] |= {"auth": "federated", "mappings": kept, **destination}
        text = yaml.safe_dump({"name": name, **definition})
        (self.repository / "syncs" / f"{name}.yaml").write_text(text, "utf-8")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "Change a definition")
        return self.git("rev-parse", "HEAD")

    def pull_request(self) -> str:
        """Run the workflow of a pull request; returns the comment."""
        self.issuer.subject = "repo:contoso/syncs:pull_request"
        self.runner.github = {
            "event.pull_request.base.sha": self.base, "event.pull_request.number": "7",
            "repository": "contoso/syncs", "token": "a-token",
        }  # fmt: skip
        self.planned = self.runner.run("plan", "plan")
        assert self.runner.run("plan", "comment").failed == ""
        return (self.folder / "comment.md").read_text("utf-8")

    def merged(self) -> str:
        """Run the first job after a merge, `base` being the last success; returns what who approves is shown."""
        self.issuer.subject = "repo:contoso/syncs:ref:refs/heads/main"
        self.runner.github = {"repository": "contoso/syncs", "token": "a-token"}
        (self.folder / "last").write_text(self.base, "utf-8")
        done = self.runner.run("apply", "plan")
        assert (done.failed, done.said.count("Traceback")) == ("", 0)
        return done.summary

    def approved(self) -> Any:
        """Run the job that waits for the approval."""
        self.issuer.subject = "repo:contoso/syncs:environment:production"
        return self.runner.run("apply", "apply")

    def records(self) -> list[dict[str, Any]]:
        return self.world.records("accounts?$select=accountnumber,name,address1_city&$orderby=accountnumber")

    def published(self) -> list[str]:
        return [each.name for each in self.blobs.list_blobs()]


@pytest.fixture
def project(tmp_path: Path, shared_world: World, issuer: Issuer, storage_account: str) -> Project:
    shared_world.emulator.reset()
    names = ("pull_request", "ref:refs/heads/main", "environment:production")
    subjects = [issuer.credential(subject=f"repo:contoso/syncs:{name}") for name in names]
    shared_world.emulator.credentials(federated=subjects)
    shared_world.csv(ROWS)
    made = Project(tmp_path, shared_world, issuer, storage_account)
    made.blobs.create_container()
    return made


@pytest.mark.azurite
def test_from_a_pull_request_to_the_records(project: Project) -> None:
    """The comment shows no value, a person sees the checksum, exactly this plan is applied, and only once."""
    project.commit("accounts", mappings=["number", "name", "city"])
    comment = project.pull_request()
    assert project.planned.failed == ""
    assert "| create | 3 |" in comment
    assert not [each for each in ("Ulm", "Name 1", "N-1") if each in comment]
    assert (project.folder / "gh").read_text("utf-8").startswith("pr comment 7 --repo contoso/syncs")
    assert (project.records(), project.published()) == ([], [])
    shown = project.merged()
    assert (project.records(), project.published()) == ([], [])
    (checksum,) = re.findall(r"Checksum <code>([0-9a-f]{64})</code>", shown)
    files = {each.name for each in (project.folder / "artifacts" / "plans").iterdir()}
    assert files == {"comment.md", "accounts.plan"}
    assert "Ulm" not in (project.folder / "artifacts" / "plans" / "accounts.plan").read_text("utf-8")
    done = project.approved()
    assert done.failed == ""
    assert "<code>Succeeded</code>" in done.summary
    assert checksum in done.summary
    assert [each["address1_city"] for each in project.records()] == ["Ulm"] * 3
    assert project.published() == ["syncs/accounts.yaml"]
    again = project.approved()
    assert again.failed == "Apply"
    assert "this saved plan was applied already" in html.unescape(again.summary)


@pytest.mark.azurite
def test_what_changed_since_the_approval_is_not_applied(project: Project) -> None:
    """The source has another row: nothing is written, and the definitions are not published either."""
    project.commit("accounts", mappings=["number", "name", "city"])
    project.merged()
    project.world.csv([*ROWS, {"number": "N-9", "name": "Late", "city": "Bonn", "revenue": "1"}])
    done = project.approved()
    assert done.failed == "Apply"
    assert (project.records(), project.published()) == ([], [])
    assert "source, target or definition changed since the plan was made" in html.unescape(done.summary)
    assert "Traceback" not in done.said


@pytest.mark.azurite
def test_an_edit_in_the_container_stops_the_publication(project: Project) -> None:
    """It is reported, and stays."""
    project.blobs.upload_blob("syncs/accounts.yaml", b"name: edited there")
    project.commit("accounts", mappings=["number", "name"], timeout=50)
    project.commit("more", mappings=["number"])
    shown = project.merged()  # the first merge was not applied, so its sync is planned, too
    assert html.unescape(shown).count("Plan of <code>") == 2
    (project.folder / "artifacts" / "plans" / "more.plan").unlink()
    done = project.approved()
    assert done.failed == "Publish the definitions"
    assert "not overwritten: accounts.yaml" in " ".join(done.said.split())
    assert project.blobs.download_blob("syncs/accounts.yaml").readall() == b"name: edited there"
    assert len(project.records()) == 3


@pytest.mark.azurite
def test_mistakes_and_refused_plans_are_in_the_comment(project: Project) -> None:
    """The job fails, and the author reads why; syncs that did not change are not planned."""
    project.base = project.commit("others", mappings=["number", "name"])
    project.commit("accounts", mappings=["number", "name"], entity="acount")
    comment = project.pull_request()
    assert project.planned.failed == "Plan"
    assert "The definitions have mistakes" in comment
    assert "acount" in comment
    for row in ROWS:
        project.world.create("accounts", {"accountnumber": f"old {row['number']}", "name": "old"})
    project.commit("accounts", mappings=["number", "name"], timeout=20)
    definition = project.repository / "syncs" / "accounts.yaml"
    content = yaml.safe_load(definition.read_text("utf-8"))
    content["sync_behaviour"] |= {"dropped": "delete", "safety": {"max_delete": 1}}
    definition.write_text(yaml.safe_dump(content), "utf-8")
    project.git("commit", "--quiet", "--all", "--message", "Delete dropped records")
    comment = project.pull_request()
    assert project.planned.failed == "Plan"
    assert "Refused as unsafe" in comment
    assert "others" not in comment
    assert len(project.records()) == 3


def test_an_application_that_only_reads_makes_the_plans(tmp_path: Path) -> None:
    """It may not write any record; the files that everybody can read then have no value of a row."""
    lacking = ["prvCreateAccount", "prvWriteAccount", "prvDeleteAccount"]
    with world(tmp_path, without_privilege=lacking) as here:
        here.define(accounts(sync_behaviour={"sync_key": ["name"], "dropped": "delete"}))
        here.csv([*ROWS, {"number": "N-9", "name": "Maria Example", "city": "Bonn", "revenue": "much"}])
        environment = {
            **here.environment,
            "PATH": os.environ["PATH"],
            "SYNC_DEFINITIONS": str(here.folder / "syncs"),
            "STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}",
        }
        program = [sys.executable, str(ROOT / "scripts" / "pipeline.py"), "plan", "plans", "--examples", "0"]
        done = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "| create | 3 |" in (tmp_path / "plans" / "comment.md").read_text("utf-8")
        plan = (tmp_path / "plans" / "accounts.plan").read_text("utf-8")
        assert not [each for each in ("Maria", "Name 1", "Bonn", "much") if each in plan]
        assert [each["examples"] for each in json.loads(plan)["plan"]["errors"]] == [[{"row": 4, "line": 5}]]


AZ = """#!/bin/sh
echo "$@" >> "$PIPELINE/az"
case "$*" in
    "functionapp show"*) echo "$APP_ID" ;;
    "account get-access-token"*) echo secret-token ;;
esac
"""


@pytest.mark.parametrize("appear_at", [1, 99])
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_a_package_is_deployed_and_looked_at(tmp_path: Path, appear_at: int) -> None:
    """By `az`, without a remote build; an app that does not show its functions fails the job."""
    manager = Manager(appear_at=appear_at)
    (tmp_path / "az-program").mkdir()
    (tmp_path / "az-program" / "az").write_text(AZ, "utf-8")
    (tmp_path / "az-program" / "az").chmod(0o755)
    (tmp_path / "artifacts" / "package").mkdir(parents=True)
    (tmp_path / "artifacts" / "package" / "dynamics-sync-python3.13.zip").write_bytes(b"zip")
    shutil.copytree(ROOT / "scripts", tmp_path / "repository" / "scripts")
    for words in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "All"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path / "repository", check=True)
    runner = Runner(
        folder=tmp_path,
        repository=tmp_path / "repository",
        programs=tmp_path / "az-program",
        variables={"FUNCTION_APP": "func-x", "RESOURCE_GROUP": "rg-x"},
        environment={
            "PIPELINE": str(tmp_path),
            "APP_ID": APP_ID,
            "AZURE_RESOURCE_MANAGER": manager.url,
            "SMOKE_SECONDS": "0",
            "SMOKE_TRIES": "2",
            "NO_PROXY": "127.0.0.1",
        },
    )
    done = runner.run("deploy", "deploy")
    manager.stop()
    assert done.failed == ("" if appear_at == 1 else "Smoke test")
    assert manager.asked[0] == (f"{APP_ID}/functions?api-version=2024-04-01", "Bearer secret-token")
    assert "secret-token" not in done.said
    deployed = (tmp_path / "az").read_text("utf-8").splitlines()[0]
    assert deployed.startswith("functionapp deployment source config-zip --resource-group rg-x --name func-x")
    assert "--src dist/dynamics-sync-python3.13.zip --build-remote false" in deployed


def test_workflows_keep_to_the_rules() -> None:
    """Actions by commit, permissions for each job, no expression in a script, no code of strangers with a token."""
    found = workflows()
    assert found.keys() == {"test", "plan", "apply", "deploy"}
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert found["plan"]["jobs"]["plan"]["if"] == f"vars.PLAN_CLIENT_ID != '' && {same}"
    assert found["apply"]["jobs"]["apply"]["environment"] == "production"
    assert found["deploy"]["jobs"]["deploy"]["environment"] == "production"
    for name, each in found.items():
        assert each["permissions"] == {}, name
        assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(each["on"]), name
        for job in each["jobs"].values():
            assert set(job["permissions"]) <= {"actions", "contents", "id-token", "pull-requests"}
            assert job["permissions"].get("actions", "read") == job["permissions"].get("contents", "read") == "read"
            for step in job.get("steps", ()):
                assert "${{" not in step.get("run", "")
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}|", step.get("uses", ""))


def test_only_jobs_that_run_no_code_of_a_pull_request_may_write_to_it() -> None:
    """The job with `pull-requests: write` checks nothing out."""
    for each in workflows().values():
        for job in each["jobs"].values():
            if job["permissions"].get("pull-requests") == "write":
                assert not [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout")]
