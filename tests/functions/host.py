"""A stand-in for the Functions host: it loads an app in Microsoft's own Python runtime and fires its triggers.

The runtime keeps one app a process, in global variables; a host that starts replaces the app of the one before.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import azure_functions_runtime as runtime  # type: ignore[import-untyped]  # it carries no types

from tests.functions.messages import protos, rpc
from tests.functions.payloads import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """How an invocation ended: `error` is empty when the function returned; `answer` is that of an HTTP trigger."""

    error: str = ""
    trace: str = ""
    answer: Any = None

    @property
    def succeeded(self) -> bool:
        return not self.error


class FunctionsHost:
    """One app in the runtime.

    Args:
        root: The folder with `function_app.py`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._loop = asyncio.Runner()
        self._functions: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Start the worker, index the app and load its functions."""
        if sys.path[0] != str(self._root):
            sys.path.insert(0, str(self._root))  # as the host does
        runtime.start_threadpool_executor()
        init = rpc.WorkerInitRequest(function_app_directory=str(self._root), capabilities={"RpcHttpBodyOnly": "true"})
        self._ask("worker_init_request", worker_init_request=init)
        indexed = self._ask("functions_metadata_request", functions_metadata_request=rpc.FunctionsMetadataRequest())
        for found in indexed.function_metadata_results:
            load = protos.FunctionLoadRequest(function_id=found.function_id, metadata=found)
            self._ask("function_load_request", function_load_request=load)
            self._functions[found.name] = found
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the worker's threads."""
        runtime.stop_threadpool_executor()
        self._loop.close()

    def bindings(self, name: str) -> list[dict[str, Any]]:
        """A function's bindings as the host gets them."""
        return [json.loads(raw) for raw in self._functions[name].raw_bindings]

    def retry_policy(self, name: str) -> dict[str, Any] | None:
        """A function's retry policy as the host gets it, durations in seconds; None where it has none."""
        if not self._functions[name].HasField("retry_options"):
            return None
        policy = self._functions[name].retry_options
        return {
            "strategy": rpc.RpcRetryOptions.RetryStrategy.Name(policy.retry_strategy),
            "count": policy.max_retry_count,
            "minimum": policy.minimum_interval.seconds,
            "maximum": policy.maximum_interval.seconds,
        }

    @property
    def names(self) -> set[str]:
        return set(self._functions)

    def fire(self, name: str, payload: Payload, *, retry: int = 0) -> Invocation:
        """Fire a function's trigger and wait for its end."""
        (trigger,) = (one for one in self.bindings(name) if one["type"].endswith("Trigger"))
        request = protos.InvocationRequest(
            invocation_id=str(uuid.uuid4()),
            function_id=self._functions[name].function_id,
            trigger_metadata=payload.metadata,
            input_data=[protos.ParameterBinding(name=trigger["name"], data=payload.data)],
            retry_context=rpc.RetryContext(retry_count=retry, max_retry_count=-1),
        )
        reply = self._ask("invocation_request", invocation_request=request)
        result = reply.result
        if result.status == protos.StatusResult.Success:
            return Invocation(answer=reply.return_value.http if reply.HasField("return_value") else None)
        return Invocation(error=result.exception.message or "?", trace=result.exception.stack_trace)

    def _ask(self, kind: str, **fields: Mapping[str, Any]) -> Any:
        sent = protos.StreamingMessage(request_id=str(uuid.uuid4()), **fields)
        message = protos.StreamingMessage.FromString(sent.SerializeToString())  # what it is after the wire
        request = SimpleNamespace(request=message, properties={"host": "127.0.0.1", "protos": protos})
        reply = self._loop.run(getattr(runtime, kind)(request))
        if kind != "invocation_request" and reply.result.status != protos.StatusResult.Success:
            raise RuntimeError(f"{kind}: {reply.result.exception.message}\n{reply.result.exception.stack_trace}")
        return reply
