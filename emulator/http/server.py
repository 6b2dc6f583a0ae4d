"""Builds the application from the options, and serves it with uvicorn on 127.0.0.1."""

import errno
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from emulator import API_PATH
from emulator.environment import Environment
from emulator.errors import ServiceError
from emulator.http.app import Application, Policies
from emulator.http.options import Options
from emulator.http.tls import Certificates
from emulator.operations.seed import load_seed
from emulator.policies.assertions import Assertions
from emulator.policies.auth import Authority, Credentials
from emulator.policies.faults import Faults
from emulator.policies.limits import Limits
from emulator.policies.privileges import Privileges
from emulator.policies.stats import Stats
from emulator.schema import Schema
from emulator.schema.entity_definitions import read_entity_definitions
from emulator.schema.faults import SchemaFileError
from emulator.schema.loader import builtin_schema, read_schema_file
from emulator.service import Service

__all__ = ["Server", "build_application"]

Announce = Callable[[Mapping[str, Any]], None]


def _schema(files: tuple[Path, ...]) -> Schema:
    schema = builtin_schema()
    for file in files:
        read = read_entity_definitions if file.suffix.lower() == ".json" else read_schema_file
        schema = read(file, schema)
    return schema


def _assertions(options: Options) -> Assertions:
    """What the applications can sign in with instead of the secret.

    Raises:
        SchemaFileError: A file is not valid.
    """
    assertions = Assertions()
    try:
        certificates = [file.read_text("utf-8") for file in options.certificates]
        assertions.register(certificates, [orjson.loads(file.read_bytes()) for file in options.federated])
    except ValueError as error:
        raise SchemaFileError(f"--certificate or --federated-credential: {error}") from error
    return assertions


def build_application(options: Options) -> Application:
    """Returns the ASGI application that the options describe.

    Raises:
        SchemaFileError: A schema file is not valid.
    """
    privileges = Privileges(options.lacking)
    environment = Environment(
        _schema(options.schema),
        collation=options.collation,
        path=options.db,
        keeps_deleted=options.recycle_bin,
        permit=privileges.check,
    )
    service = Service(environment, privileges)
    policies = Policies(
        authority=Authority(
            tenant_id=options.tenant_id,
            credentials=tuple(
                Credentials(client_id=client, client_secret=options.client_secret) for client in options.client_ids
            ),
            assertions=_assertions(options),
            any_token=options.any_token,
        ),
        limits=Limits(options.limits, servers=options.servers, parallelism_hint=options.dop),
        timing=options.timing,
        faults=Faults(environment.collation),
        stats=Stats(),
    )
    seeds = dict(options.seeds)

    def reset() -> None:
        service.reset()
        policies.limits.reset()
        policies.faults.clear()
        policies.stats.reset()

    def seed(name: str) -> dict[str, int]:
        if name not in seeds:
            raise ServiceError(404, "0x0", f"There is no seed '{name}': start the emulator with --seed {name}=FILE.")
        return load_seed(environment, service.changes, seeds[name])

    return Application(service, policies, reset=reset, seed=seed)


def _listening(port: int) -> socket.socket:
    """Binds a port of 127.0.0.1.

    The socket states its protocol because asyncio disables Nagle's algorithm only on sockets that state TCP. With the
    algorithm, the body of a short answer arrives 40 milliseconds after its headers.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise OSError(
            f"port {port} is in use, perhaps by an emulator that still runs: stop it, or choose another port with "
            f"--port (0 takes any free port)"
        ) from error
    return listening


class Server(uvicorn.Server):
    """Serves an emulator, and announces its address and credentials when it accepts requests."""

    def __init__(self, options: Options, announce: Announce) -> None:
        """Binds the port, so that the address is known before the first request.

        Args:
            options: How the emulator runs.
            announce: Called once with the address and credentials.
        """
        self._options = options
        self._announce = announce
        self._folder = tempfile.TemporaryDirectory(prefix="emulator-")
        self._certificates = Certificates.make(Path(self._folder.name)) if options.tls else None
        self.socket = _listening(options.port)
        super().__init__(
            uvicorn.Config(
                build_application(options),
                http="h11",
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=120,
                timeout_graceful_shutdown=1,
                h11_max_incomplete_event_size=256 * 1024,  # bytes; URLs can have 32 KB
                ssl_certfile=self._certificates.certificate_file if self._certificates else None,
                ssl_keyfile=self._certificates.key_file if self._certificates else None,
            )
        )

    def facts(self) -> dict[str, str | list[str]]:
        """Returns the address and credentials that a client needs."""
        scheme = "https" if self._certificates else "http"
        base_url = f"{scheme}://127.0.0.1:{self.socket.getsockname()[1]}"
        facts: dict[str, str | list[str]] = {
            "service_url": base_url + API_PATH,
            "tenant_id": self._options.tenant_id,
            "authority": base_url,
            "client_id": self._options.client_id,
            "client_secret": self._options.client_secret,
        }
        if len(self._options.client_ids) > 1:
            facts["client_ids"] = list(self._options.client_ids)
        if self._certificates:
            facts["ca_file"] = str(self._certificates.ca_file)
        return facts

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, then announces the address and credentials."""
        await super().startup(sockets)
        if self.started:
            self._announce(self.facts())

    def run_here(self) -> None:
        """Serves in this thread until the server is stopped."""
        try:
            self.run(sockets=[self.socket])
        finally:
            self.socket.close()
            self._folder.cleanup()
