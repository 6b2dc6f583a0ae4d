"""What a run does beside its changes: an approved plan stands for that too."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from shared.definitions.parameters.values import shown
from shared.jobs.batch.job import BatchJob
from shared.jobs.batch.plans.about import environment_of

__all__ = ["approved_checksum"]

_PARAMETER: Final = re.compile(r"@(\w+)", re.ASCII)


def approved_checksum(job: BatchJob, changes: str) -> str:
    """The SHA-256 that names a plan: its changes, where and with which options they are written, and the steps after.

    Args:
        job: The run.
        changes: The checksum of its changes.
    """
    definition = job.definition
    steps = json.dumps([step.model_dump(mode="json") for step in definition.post_sync], sort_keys=True)
    effects = {
        "environment": environment_of(job).lower(),
        "table": definition.destination.entity,
        "options": definition.destination.options.model_dump(mode="json", exclude_defaults=True),
        "steps": steps,
        "values": {n: shown(job.parameters[n]) for n in _PARAMETER.findall(steps) if n in job.parameters},
    }
    return hashlib.sha256(f"{changes}-{json.dumps(effects, sort_keys=True)}".encode()).hexdigest()
