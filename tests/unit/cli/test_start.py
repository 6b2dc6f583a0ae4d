"""Starting the program: quick to help, and installed under its name."""

from __future__ import annotations

import json
import subprocess
import sys

import shared.cli


def test_help_does_not_wait_for_what_only_a_run_needs() -> None:
    """DuckDB, pydantic, requests and the app's adapters are loaded by the command that uses them."""
    program = (
        "import json, sys\n"
        "from shared.cli.boundary import run\n"
        "code = run(['--help'])\n"
        "print(json.dumps([code, sorted({name.split('.')[0] for name in sys.modules})]), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    assert "validate" in done.stdout
    assert not {"duckdb", "pydantic", "requests", "yaml", "msal", "azure", "opentelemetry"} & set(modules)


def test_the_module_offers_the_console_script_and_nothing_else() -> None:
    """`dynamics-sync` is `shared.cli:main`."""
    assert shared.cli.__all__ == ["main"]
    assert callable(shared.cli.main)
