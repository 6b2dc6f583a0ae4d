"""What a run does beside its changes: an approved plan stands for that too."""

from __future__ import annotations

import hashlib
import json

from shared.definitions.loading.parameter_rules import WITH_NAMES, names_used
from shared.definitions.parameters.values import shown
from shared.jobs.batch.job import BatchJob
from shared.jobs.batch.plans.about import environment_of

__all__ = ["approved_checksum"]


def approved_checksum(job: BatchJob, changes: str) -> str:
    """The SHA-256 that names a plan: its changes, where and with which options they are written, and the steps after.

    Args:
        job: The run.
        changes: The checksum of its changes.
    """
    definition = job.definition
    steps, values = definition.post_sync, job.parameters
    used = {name for step in steps for name in names_used(step, languages=WITH_NAMES, defined=values)}
    effects = {
        "environment": environment_of(job).lower(),
        "table": definition.destination.entity,
        "options": definition.destination.options.model_dump(mode="json", exclude_defaults=True),
        "steps": [step.model_dump(mode="json") for step in steps],
        "values": {name: shown(values[name]) for name in used & values.keys()},
    }
    return hashlib.sha256(f"{changes}-{json.dumps(effects, sort_keys=True)}".encode()).hexdigest()
