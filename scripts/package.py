"""Build the zip that is deployed, as `azd` uploads it: everything that git tracks and .funcignore does not name.

    python scripts/package.py [--with-packages] [--folder FOLDER]

The zip has no packages: the remote build installs requirements.txt. With `--with-packages` they are installed into
`.python_packages` first, for the Python version and the platform of the deployed app, and no remote build is needed.
Equal input gives an equal zip. The size of each part is printed, and a package over the limit ends with exit code 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

ROOT = Path(__file__).parents[1]
# As in infra/modules/app.bicep and in the Makefile's `lock`.
PYTHON = "3.13"
# Wheels name the oldest glibc that they run on; the image of the deployed app has 2.31 or newer.
PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 26, 24, 17, 12, 5)), "manylinux2014_x86_64")
PACKAGES = Path(".python_packages/lib/site-packages")
# Flex Consumption downloads and unpacks the package at each cold start. Measured: 1.3 MB and 55 MB.
CODE_LIMIT = 1_800_000
PACKAGED_LIMIT = 60_000_000
_EPOCH = (1980, 1, 1, 0, 0, 0)


def deployed_files(root: Path) -> list[Path]:
    """Return the files that are deployed, relative to `root` and in order.

    Only what git tracks: notes or exports beside the code are never deployed, and a new clone gives the same package.
    """
    spec = GitIgnoreSpec.from_lines((root / ".funcignore").read_text("utf-8").splitlines())
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - git from the PATH
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    names = sorted(name for name in listed.stdout.split("\0") if name and not spec.match_file(name))
    return [Path(name) for name in names if (root / name).is_file()]


def install_packages(target: Path) -> None:
    """Install requirements.txt for the deployed Python and platform into a folder, wheels only, hashes checked."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--target", str(target), "--python-version", PYTHON]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    command += ["--only-binary", ":all:", "--no-deps", "--ignore-requires-python", "--require-hashes"]
    command += ["-r", str(ROOT / "requirements.txt")]
    subprocess.run(command, check=True)  # noqa: S603 - fixed words


def _entries(packages: Path | None) -> Iterator[tuple[str, bytes]]:
    for name in deployed_files(ROOT):
        yield name.as_posix(), (ROOT / name).read_bytes()
    if packages is not None:
        for file in sorted(path for path in packages.rglob("*") if path.is_file()):
            yield (PACKAGES / file.relative_to(packages)).as_posix(), file.read_bytes()


def write_zip(target: Path, packages: Path | None = None) -> None:
    """Write the zip.

    Args:
        target: The file to write.
        packages: A folder of installed packages to add; None for none.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in _entries(packages):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def _built(folder: Path, *, with_packages: bool) -> Path:
    if not with_packages:
        target = folder / "dynamics-sync.zip"
        write_zip(target)
        return target
    target = folder / f"dynamics-sync-python{PYTHON}.zip"
    with tempfile.TemporaryDirectory() as temporary:
        install_packages(Path(temporary))
        write_zip(target, Path(temporary))
    return target


def main() -> int:
    """Build, print what was built; 1 when it is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with-packages", action="store_true", help="install the packages into the zip")
    parser.add_argument("--folder", type=Path, default=ROOT / "dist", help="where to write the zip")
    chosen = parser.parse_args()
    target = _built(chosen.folder, with_packages=chosen.with_packages)
    size, limit = target.stat().st_size, PACKAGED_LIMIT if chosen.with_packages else CODE_LIMIT
    with zipfile.ZipFile(target) as archive:
        unpacked, count = sum(entry.file_size for entry in archive.infolist()), len(archive.infolist())
    print(
        f"{target}: {count:,} files, {size / 1e6:.1f} MB, unpacked {unpacked / 1e6:.1f} MB (limit {limit / 1e6:.1f} MB)"
    )
    return int(size > limit)


if __name__ == "__main__":
    sys.exit(main())
