"""The console on one machine: for whoever sits at it, and for nobody else."""

from __future__ import annotations

import socket
from typing import Final

import uvicorn

from batch_sync.local_runner import LocalRunner
from console.access.person import DEVELOPER, SignIn
from console.application import application
from console.console import Console
from shared.app import App
from shared.errors import UserError

__all__ = ["HOST", "bound", "local_console", "serve"]

HOST: Final = "127.0.0.1"
_NAMES: Final = frozenset({HOST, "localhost"})


def local_console(app: App, runner: LocalRunner | None = None) -> Console:
    """The console of whoever runs the process; its jobs run in this process, or in the app that has the queue.

    Args:
        app: The program.
        runner: Runs the jobs of an app without a queue; a new one where there is none.
    """
    wake = app.queue.send if app.queue is not None else (runner or LocalRunner(app)).wake
    return Console(app=app, sign_in=SignIn(app.variables(), DEVELOPER), wake=wake, hosts=_NAMES)


def bound(port: int) -> socket.socket:
    """A socket that listens on the loopback address.

    Args:
        port: The port; 0 for a free one.

    Raises:
        UserError: Another program has the port.
    """
    # With the protocol named, asyncio sends small writes at once; otherwise an answer waits 40 ms for the last one's.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
        made.listen()
    except OSError as error:
        made.close()
        raise UserError(f"port {port} cannot be used ({error.strerror}): choose another one with --port") from error
    return made


def serve(app: App, listening: socket.socket) -> None:
    """Serve the console until the process is interrupted; then its runs stop before their next request.

    Args:
        app: The program.
        listening: See `bound`.
    """
    runner = LocalRunner(app) if app.queue is None else None
    config = uvicorn.Config(
        application(local_console(app, runner)),
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        access_log=False,
        lifespan="off",
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        if runner is not None:
            runner.stop()
