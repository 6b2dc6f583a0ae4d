"""Of what a watermark is: of what is read, and of where it is written.

The rows up to a watermark are done only in the table that they were written to, and only those that were asked for. So
another environment, another table and other values of the parameters that say what is read each have their own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Final

from shared.definitions import ParameterValue, SyncDefinition
from shared.definitions.loading.parameter_rules import WITH_NAMES, names_used
from shared.definitions.models import WatermarkedSource
from shared.definitions.parameters import in_text, new_in_each_run

__all__ = ["identity_of"]

# Keys of a source that do not say what is read.
_ONLY_READING: Final = (
    *("columns", "null_values", "watermark"),
    *("pagination", "rate_limit", "retry", "timeout", "auth", "client_id", "client_secret"),
)
# The version of the API does not make another environment.
_VERSION: Final = re.compile(r"/v[0-9.]+/?$")


def identity_of(
    definition: SyncDefinition, parameters: Mapping[str, ParameterValue], given: Collection[str] = ()
) -> str:
    """Identify what the watermark of a run is of.

    Values that the program makes anew for each run (`NOW()`, `GUID()`) do not count: no run would continue another.

    Args:
        definition: A definition whose source has a watermark, with the keys of its connections.
        parameters: The value of each parameter.
        given: The parameters that the run has from outside; their values count in any case.
    """
    source, destination = definition.source, definition.destination
    assert isinstance(source, WatermarkedSource)  # noqa: S101 - see Args
    assert source.watermark  # noqa: S101 - likewise
    new = new_in_each_run(definition.parameters, given)
    names = names_used(source, without=_ONLY_READING, languages=WITH_NAMES, defined=parameters)
    read = {name: parameters[name] for name in names & parameters.keys() - new}
    place = source.model_dump(mode="json", exclude={*_ONLY_READING})
    address = _VERSION.sub("", in_text(destination.service_url or "", parameters))
    written = [address.rstrip("/").lower(), destination.entity]
    described = [place, read, source.watermark.column, written]
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()[:32]
