"""The folder of definitions and how it follows its files."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec  # type: ignore[import-untyped]  # it ships no types
import pytest

from shared.definitions import Repository, accepted, load_folder
from shared.definitions.loading.folders import MOST_BYTES
from shared.definitions.reference.example import EXAMPLE
from shared.errors import DefinitionError, Problem, UserError


class Clock:
    """Seconds that change only when a test changes them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def named(name: str) -> str:
    return EXAMPLE.replace("name: customers\n", f"name: {name}\n")


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_folder_gives_its_definitions_in_the_order_of_files(tmp_path: Path) -> None:
    """Both endings count; hidden files, other files and subfolders do not."""
    write(tmp_path, b=named("second"), a=named("first"))
    (tmp_path / "c.yml").write_text(named("third"))
    (tmp_path / ".hidden.yaml").write_text("x")
    (tmp_path / "readme.md").write_text("x")
    (tmp_path / "folder.yaml").mkdir()

    loaded = load_folder(tmp_path)

    assert [entry.name for entry in loaded] == ["first", "second", "third"]
    assert [definition.name for definition in accepted(loaded)] == ["first", "second", "third"]


def test_a_single_file_is_a_folder_of_one(tmp_path: Path) -> None:
    """A path to a file works as well."""
    write(tmp_path, a=named("one"), b="nonsense")

    assert [entry.name for entry in load_folder(tmp_path / "a.yaml")] == ["one"]


def test_every_problem_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    """One error holds them all, and good files stay usable."""
    write(tmp_path, a=named("Bad Name"), b=named("good"), c=named("x").replace("full", "ful").replace("30%", "z"))
    (tmp_path / "d.yaml").write_bytes(b"name: a\nx: \xff")

    loaded = load_folder(tmp_path)
    with pytest.raises(DefinitionError) as caught:
        accepted(loaded)

    assert [(Path(each.file).name, each.line, each.column) for each in caught.value.problems] == [
        ("a.yaml", 2, 7),
        ("c.yaml", 53, 13),
        ("c.yaml", 58, 24),
        ("d.yaml", 2, 4),
    ]
    assert [entry.name for entry in loaded if entry.definition] == ["good"]
    assert [entry.name for entry in loaded] == ["a", "good", "x", "d"]


def test_a_name_that_two_files_have_is_refused_in_both(tmp_path: Path) -> None:
    """Which one is meant is not known."""
    write(tmp_path, a=named("same"), b=named("same"), c=named("other"))

    loaded = load_folder(tmp_path)

    assert [entry.definition is None for entry in loaded] == [True, True, False]
    assert "b.yaml" in loaded[0].problems[0].message
    assert (loaded[0].problems[0].line, loaded[0].problems[0].column) == (2, 1)
    assert "a.yaml" in loaded[1].problems[0].message


def test_files_are_looked_at_once_a_minute_and_read_again_only_when_changed(tmp_path: Path) -> None:
    """A change is seen after a minute; what did not change keeps its very object."""
    clock = Clock()
    write(tmp_path, a=named("a"), b=named("b"))
    repository = Repository(tmp_path, clock=clock)
    before = repository.loaded()

    write(tmp_path, a=EXAMPLE.replace("version: 1.0.0", "version: 2.0.10").replace("name: customers", "name: a"))
    clock.now += 59
    assert repository.loaded() is before
    clock.now += 1
    after = repository.loaded()

    assert repository.find("a").version == "2.0.10"
    assert after[1].definition is before[1].definition


@pytest.mark.parametrize("remote", [False, True])
def test_a_caller_can_have_the_folder_looked_at_now(tmp_path: Path, *, remote: bool) -> None:
    """Where it takes no request, or in every case; what did not change keeps its very objects."""
    write(tmp_path, a=named("a"))
    repository = Repository(f"file://{tmp_path}" if remote else tmp_path, clock=Clock())
    before = repository.loaded()
    repository.look_again()
    assert repository.loaded() is before
    write(tmp_path, b=named("b"))

    repository.look_again_if_local()
    assert [each.name for each in repository.loaded()] == (["a"] if remote else ["a", "b"])
    repository.look_again()
    assert [each.name for each in repository.loaded()] == ["a", "b"]
    assert repository.loaded()[0] is before[0]


def test_the_variables_of_secrets_follow_the_files(tmp_path: Path) -> None:
    """Those of connections too; a file that has changed names others."""
    clock = Clock()
    secret = "client_secret: {key_vault: dynamics-client-secret}"
    assert secret in EXAMPLE
    write(tmp_path, a=EXAMPLE.replace(secret, "client_secret: {env: ONE}").replace("name: customers", "name: a"))
    write(tmp_path, erp="kind: connection\nname: erp\ntype: sql\nurl: {env: ERP}\n")
    repository = Repository(tmp_path, clock=clock)
    assert repository.secret_variables() == {"ONE", "ERP"}
    write(tmp_path, a=EXAMPLE.replace(secret, "client_secret: {env: OTHER}").replace("name: customers", "name: a"))
    clock.now += 60
    assert repository.secret_variables() == {"OTHER", "ERP"}


def test_a_removed_file_is_forgotten_and_a_new_one_found(tmp_path: Path) -> None:
    """The folder's content counts."""
    clock = Clock()
    write(tmp_path, a=named("a"))
    repository = Repository(str(tmp_path), clock=clock)
    assert [each.name for each in repository.definitions()] == ["a"]

    (tmp_path / "a.yaml").unlink()
    write(tmp_path, b=named("b"))
    clock.now += 60

    assert [each.name for each in repository.definitions()] == ["b"]


def test_a_file_that_cannot_be_read_is_a_problem_and_other_files_are_used(tmp_path: Path) -> None:
    """A link whose target does not exist is not a definition."""
    write(tmp_path, a=named("a"))
    (tmp_path / "b.yaml").symlink_to(tmp_path / "gone.yaml")
    (tmp_path / "c.yaml").mkdir()
    good, broken = load_folder(tmp_path)
    assert good.definition is not None
    (problem,) = broken.problems
    assert (problem.file, problem.message) == (
        str(tmp_path / "b.yaml"),
        "the file cannot be read: No such file or directory",
    )


def test_a_path_that_is_not_a_regular_file_is_a_problem_and_is_not_opened(tmp_path: Path) -> None:
    """A pipe that nothing writes to, a device without an end, links in a circle: one problem each, and the rest is used."""
    write(tmp_path, a=named("a"))
    os.mkfifo(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").symlink_to("/dev/zero")
    (tmp_path / "d.yaml").symlink_to(tmp_path / "e.yaml")
    (tmp_path / "e.yaml").symlink_to(tmp_path / "d.yaml")

    good, *broken = load_folder(tmp_path)

    assert good.definition is not None
    assert [(each.name, each.definition) for each in broken] == [("b", None), ("c", None), ("d", None), ("e", None)]
    pipe, device, *circle = (problem.message for each in broken for problem in each.problems)
    assert "a definition must be a regular file" in pipe
    assert "a definition must be a regular file" in device
    assert all("symbolic links" in message for message in circle)


@pytest.mark.parametrize("remote", [False, True])
def test_a_file_is_read_up_to_the_size_that_a_definition_may_have(tmp_path: Path, *, remote: bool) -> None:
    """A larger one is refused with its size limit, also where its beginning is a definition."""
    write(tmp_path, a=named("a"), b=named("b") + "#" * MOST_BYTES)

    good, broken = load_folder(f"file://{tmp_path}" if remote else tmp_path)

    assert good.definition is not None
    assert broken.definition is None
    assert "larger than 1,000,000 bytes" in broken.problems[0].message


def test_a_broken_file_keeps_the_name_that_it_gives(tmp_path: Path) -> None:
    """The sync is found by its own name, also where the text is not YAML any more."""
    write(
        tmp_path, a=named("first").replace("full", "ful"), b=named("second").replace("destination:", "destination: [")
    )

    assert [entry.name for entry in load_folder(tmp_path)] == ["first", "second"]


def test_a_broken_copy_does_not_take_the_name_of_a_good_file(tmp_path: Path) -> None:
    """It has the name of its file, and the sync continues."""
    write(tmp_path, a=named("same").replace("full", "ful"), b=named("same"))

    assert [entry.name for entry in load_folder(tmp_path)] == ["a", "same"]
    assert Repository(tmp_path, clock=Clock()).find("same").name == "same"


def test_a_mistake_in_a_changed_file_affects_only_that_sync(tmp_path: Path) -> None:
    """Find says what is wrong with it."""
    clock = Clock()
    write(tmp_path, a=named("a"), b=named("b"))
    repository = Repository(tmp_path, clock=clock)
    repository.loaded()
    write(tmp_path, a=named("a").replace("strategy: full", "strategy: fully"))
    clock.now += 60

    assert [each.name for each in repository.definitions()] == ["b"]
    with pytest.raises(DefinitionError, match="did you mean full"):
        repository.find("a")


def test_a_sync_that_is_not_there_is_an_error_that_lists_those_that_are(tmp_path: Path) -> None:
    """The error lists the names that there are."""
    write(tmp_path, a=named("a"), b=named("b"))

    with pytest.raises(UserError, match="there are: a, b"):
        Repository(tmp_path, clock=Clock()).find("c")


def test_a_place_that_cannot_be_read_is_an_error_at_first_and_no_loss_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When storage is unavailable the definitions of the last look stay in use."""
    with pytest.raises(UserError, match=r"the folder of definitions .* does not exist"):
        load_folder(tmp_path / "nowhere")

    write(tmp_path, a=named("a"))
    clock = Clock()
    repository = Repository(tmp_path, clock=clock)
    repository.loaded()
    clock.now += 60
    with monkeypatch.context() as unavailable:
        unavailable.setattr(Path, "iterdir", _unavailable)
        assert repository.find("a").name == "a"
        with pytest.raises(UserError, match="cannot be read"):
            load_folder(tmp_path)


def _unavailable(path: Path) -> Iterator[Path]:
    raise OSError(errno.EIO, "Input/output error", str(path))


@pytest.mark.parametrize("remote", [False, True], ids=["local", "behind a URL"])
def test_a_folder_that_is_gone_has_no_definitions(tmp_path: Path, *, remote: bool) -> None:
    """In blob storage a folder goes with its last file: its syncs and listeners must not go on."""
    place = f"memory://{uuid4()}/syncs" if remote else str(tmp_path / "syncs")
    system, path = fsspec.url_to_fs(place)
    clock = Clock()
    for names in (["a"], [], ["b"]):
        if system.exists(path):
            system.rm(path, recursive=True)
        for name in names:
            system.makedirs(path, exist_ok=True)
            system.pipe(f"{path}/{name}.yaml", named(name).encode())
        if names == ["a"]:
            repository = Repository(place, clock=clock)
        clock.now += 60
        assert [each.name for each in repository.definitions()] == names


def test_a_folder_behind_a_url_is_followed_too() -> None:
    """Fsspec reaches it; its version marks tell what changed."""
    system = fsspec.filesystem("memory")
    place = f"/{uuid4()}/syncs"
    system.pipe(f"{place}/a.yaml", named("a").encode())
    system.pipe(f"{place}/b.yml", b"nonsense")
    system.pipe(f"{place}/c.txt", b"nonsense")
    clock = Clock()
    repository = Repository(f"memory:/{place}", clock=clock)

    assert [(entry.name, entry.file) for entry in repository.loaded()] == [
        ("a", f"memory:/{place}/a.yaml"),
        ("b", f"memory:/{place}/b.yml"),
    ]
    system.pipe(f"{place}/b.yml", named("bee").encode())
    clock.now += 60
    assert [entry.name for entry in repository.loaded()] == ["a", "bee"]


def test_an_unknown_kind_of_url_is_a_user_error() -> None:
    """Whatever the driver raises becomes one message."""
    with pytest.raises(UserError, match="cannot be read"):
        load_folder("nosuch://container/path")


def test_a_rewritten_file_of_the_same_size_and_time_is_seen_by_its_inode(tmp_path: Path) -> None:
    """Deployments replace files and may keep their time."""
    clock = Clock()
    write(tmp_path, a=named("a"))
    repository = Repository(tmp_path, clock=clock)
    repository.loaded()
    times = (tmp_path / "a.yaml").stat()
    (tmp_path / "new").write_text(named("b"))
    os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "new").replace(tmp_path / "a.yaml")
    clock.now += 60

    assert [each.name for each in repository.definitions()] == ["b"]


def test_problems_found_later_get_the_place_of_their_path(tmp_path: Path) -> None:
    """What the table's metadata shows to be wrong is reported like any other mistake."""
    write(tmp_path, a=named("a"))
    repository = Repository(tmp_path, clock=Clock())
    known = Problem(message="m", file="x", line=9, column=9)

    found = repository.placed(
        "a",
        [
            Problem(message="m", path="destination.mappings[2].target"),
            Problem(message="m", path="destination.mappings[2].lookup.entity"),
            Problem(message="m", path="nowhere"),
            known,
        ],
    )

    file = str(tmp_path / "a.yaml")
    assert [(each.file, each.line, each.column) for each in found] == [
        (file, 46, 25),
        (file, 46, 7),
        (file, 0, 0),
        ("x", 9, 9),
    ]
    assert repository.placed("other", [known]) == (known,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nsauce: {type: delimited}\n", False),
        ("name: a\nsauce: {type: delimited}\nlistener: {topic: {action: $.op}}\n", True),
        ("name: a\nlistenr: {topic: {action: $.op}}\n", True),
        ("name: a\nsource: [\n", True),  # no YAML: it may hold anything
    ],
)
def test_a_definition_with_mistakes_may_listen_if_its_text_says_so(
    tmp_path: Path, text: str, *, expected: bool
) -> None:
    """Events are kept for it until its mistakes are corrected, and not for one that has no listener."""
    write(tmp_path, a=text)
    (loaded,) = load_folder(str(tmp_path))
    assert loaded.definition is None
    assert loaded.may_hide_a_listener is expected
