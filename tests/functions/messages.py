"""The host's protobuf messages, as Microsoft generated them: the wheel of the older runtime carries them for its tests."""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "functions_host_messages"


def _load() -> ModuleType:
    if NAME in sys.modules:
        return sys.modules[NAME]
    init = Path(str(distribution("azure-functions-runtime-v1").locate_file("tests/protos/__init__.py")))
    # The folder is called `tests`, as ours is: load it under a name of its own.
    spec = importlib.util.spec_from_file_location(NAME, init, submodule_search_locations=[str(init.parent)])
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What the runtime wants, and the few messages that the package does not re-export.
protos: Any = _load()
rpc: Any = sys.modules[f"{NAME}.FunctionRpc_pb2"]
