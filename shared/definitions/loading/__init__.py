"""From YAML to definitions: one text or a folder of files, and every problem in them with its place."""

from shared.definitions.loading.definition import load_definition
from shared.definitions.loading.loaded import Loaded
from shared.definitions.loading.parameter_rules import names_used
from shared.definitions.loading.repository import Repository, accepted, load_folder

__all__ = ["Loaded", "Repository", "accepted", "load_definition", "load_folder", "names_used"]
