"""The command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from emulator.policies.limits import LimitSettings
from emulator.policies.timing import TimeModel
from emulator.store.collation import DEFAULT_COLLATION, Collation

__all__ = ["Options"]

_DEFAULT_TENANT: Final = "8f1a2b3c-4d5e-4f60-8a7b-9c0d1e2f3a4b"
_DEFAULT_CLIENT: Final = "0b8f6c7e-2d4a-4c1b-9e3f-5a6d7c8b9e0f"
_DEFAULT_SECRET: Final = "emulator-secret"  # noqa: S105 - the default of a local emulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of an emulator, as on the command line."""

    port: int = 5080
    schema: tuple[Path, ...] = ()
    db: Path | None = None
    timing: TimeModel
    limits: LimitSettings
    dop: int = 4
    servers: int = 1
    tls: bool = False
    seeds: tuple[tuple[str, Path], ...] = ()
    collation: Collation
    any_token: bool = False
    tenant_id: str = _DEFAULT_TENANT
    client_ids: tuple[str, ...] = (_DEFAULT_CLIENT,)
    client_secret: str = _DEFAULT_SECRET
    certificates: tuple[Path, ...] = ()
    federated: tuple[Path, ...] = ()
    lacking: tuple[str, ...] = ()
    recycle_bin: bool = False

    @property
    def client_id(self) -> str:
        """The first application."""
        return self.client_ids[0]

    @classmethod
    def parse(cls, arguments: list[str] | None = None) -> Self:
        """Reads the command line; ends the program with a message if an option is not valid."""
        parser = _parser()
        given = parser.parse_args(arguments)
        try:
            return cls(
                port=given.port,
                schema=tuple(given.schema),
                db=given.db,
                timing=TimeModel.parse(given.latency_ms, given.row_ms),
                limits=LimitSettings.parse(given.limits) if given.limits else LimitSettings(),
                dop=given.dop,
                servers=given.servers,
                tls=given.tls,
                seeds=tuple(_seed(text) for text in given.seed),
                collation=Collation.named(given.collation),
                any_token=given.accept_any_token,
                tenant_id=given.tenant_id,
                client_ids=tuple(given.client_id or [_DEFAULT_CLIENT]),
                client_secret=given.client_secret,
                certificates=tuple(given.certificate),
                federated=tuple(given.federated_credential),
                lacking=tuple(given.without_privilege),
                recycle_bin=given.recycle_bin,
            )
        except ValueError as error:
            parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulator", description="A local Dataverse Web API.")
    add = parser.add_argument
    add("--port", type=int, default=5080, help="port on 127.0.0.1; 0 takes a free one (default: 5080)")
    schema_help = "tables and actions in YAML, or the JSON of a real environment's EntityDefinitions; can be repeated"
    add("--schema", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help=schema_help)
    add("--db", type=Path, metavar="FILE", help="keep the rows in this file (default: in memory)")
    add("--latency-ms", type=float, default=0.0, metavar="N", help="time a request takes (default: 0)")
    row_help = "time each row takes: 2, or create=2,update=2,upsert=3,read=0.05,delete=1"
    add("--row-ms", default="0", metavar="N", help=row_help)
    add("--dop", type=int, default=4, metavar="N", help="what x-ms-dop-hint recommends (default: 4)")
    add(
        "--servers",
        type=int,
        default=1,
        metavar="N",
        help="simulated web servers, each with its own limits",
    )
    add("--tls", action="store_true", help="serve https with a new certificate")
    add("--limits", metavar="LIMITS", help="requests=6000,time=1200,concurrency=52,window=300, or none")
    seed_help = "rows to load with POST /_emulator/seed/SET; can be repeated"
    add("--seed", action="append", default=[], metavar="SET=FILE", help=seed_help)
    collation_help = f"how text compares (default: {DEFAULT_COLLATION})"
    add("--collation", default=DEFAULT_COLLATION, metavar="NAME", help=collation_help)
    add("--accept-any-token", action="store_true", help="accept any bearer token")
    add("--tenant-id", default=_DEFAULT_TENANT, metavar="ID", help="tenant (directory) of the authority")
    add("--client-id", action="append", metavar="ID", help="an application that can sign in; can be repeated")
    add("--client-secret", default=_DEFAULT_SECRET, metavar="TEXT", help="the secret of all applications")
    certificate_help = "a certificate of all applications in PEM, without its key; can be repeated"
    add("--certificate", type=Path, action="append", default=[], metavar="FILE", help=certificate_help)
    federated_help = "a federated credential of all applications, as JSON; can be repeated"
    add("--federated-credential", type=Path, action="append", default=[], metavar="FILE", help=federated_help)
    lacking_help = "a privilege that the applications lack, such as prvDeleteAccount; can be repeated"
    add("--without-privilege", action="append", default=[], metavar="NAME", help=lacking_help)
    add("--recycle-bin", action="store_true", help="keep deleted rows, so that Restore brings them back")
    return parser


def _seed(text: str) -> tuple[str, Path]:
    name, separator, file = text.partition("=")
    if not separator or not name or not file:
        raise ValueError(f"--seed {text}: write SET=FILE")
    return name, Path(file)
