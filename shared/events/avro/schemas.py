"""Avro schemas: checked for what a small body could make large, and read as JSON has the values.

A decoder does what the schema says, and a container brings its own schema. So a schema is refused with which a few
bytes could fill the memory or the stack: a record that contains itself (fastavro follows it in C, without a limit),
values without a byte in arrays and maps, and too many of them elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from shared.events.avro.values import KIND, OURS, SCALE, kind_of, register
from shared.events.bodies import DEEPEST, parse
from shared.events.records import Undecodable

__all__ = ["LARGEST_SCHEMA", "AvroError", "Schema"]

LARGEST_SCHEMA: Final = 1024 * 1024  # bytes of its text
_MOST_EMPTY: Final = 100  # values without a byte in one record
_MOST_SAID: Final = 200  # characters of what is wrong with a schema
_SIZES: Final = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}
_DAMAGED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error)


class AvroError(Exception):
    """Something that is not Avro as expected; its text says what, without a value."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a type: fewest bytes of a value, values without a byte in it, and levels of nesting."""

    size: int
    empty: int
    depth: int


class Schema:
    """A schema that values are read with.

    Args:
        text: The schema as JSON.
        as_json: Give values as JSON has them; otherwise as fastavro does.

    Raises:
        AvroError: It is no schema, or one that is refused.
    """

    def __init__(self, text: bytes, *, as_json: bool = True) -> None:
        # Imported here: a process without Avro events does without it.
        from fastavro.schema import (  # noqa: PLC0415 - see above
            SchemaParseException,
            UnknownType,
            fingerprint,
            parse_schema,
            to_parsing_canonical_form,
        )

        register()
        raw = self._parsed(text)
        try:
            named = parse_schema(raw)
            checked = _Checking(as_json=as_json)
            rewritten = checked.type(named)
            if checked.facts.empty > _MOST_EMPTY:
                raise AvroError(f"the schema has more than {_MOST_EMPTY} fields whose values take no bytes")
            self._schema = parse_schema(rewritten)
            # The CRC-64 of the single-object encoding, in the order of its bytes there.
            self.fingerprint = bytes.fromhex(fingerprint(to_parsing_canonical_form(raw), "CRC-64-AVRO"))
        except UnknownType as error:
            raise AvroError(f"the schema is not an Avro schema: there is no type {_short(error)}") from None
        except SchemaParseException as error:
            raise AvroError(f"the schema is not an Avro schema: {_short(error)}") from None
        except _DAMAGED:
            raise AvroError("the schema is not an Avro schema") from None

    @staticmethod
    def _parsed(text: bytes) -> Any:
        if len(text) > LARGEST_SCHEMA:
            raise AvroError(f"the schema is larger than {LARGEST_SCHEMA:,} bytes")
        raw = parse(text)
        if isinstance(raw, Undecodable):
            raise AvroError(f"the schema is not JSON: {raw.reason.replace('the body', 'it')}")
        return raw

    def read(self, stream: BinaryIO) -> Any:
        """The next value of a stream.

        Raises:
            AvroError: The bytes do not fit the schema, or end within the value.
        """
        from fastavro import schemaless_reader  # noqa: PLC0415 - loaded with the first schema

        try:
            return schemaless_reader(stream, self._schema, None)
        except EOFError:
            raise AvroError("the data ends within a record") from None
        except UnicodeDecodeError:
            raise AvroError("a text is not UTF-8") from None
        except (*_DAMAGED, MemoryError):
            raise AvroError("the data does not fit the schema") from None


class _Checking:
    """Walks over a schema in which fastavro has given every named type its full name."""

    def __init__(self, *, as_json: bool) -> None:
        self.facts = _Facts(0, 0, 0)  # of the type that was walked over last
        self._as_json = as_json
        self._named: dict[str, _Facts | None] = {}  # None while it is being defined

    def type(self, schema: Any) -> Any:
        """The schema to read with; `facts` are then its own.

        Raises:
            AvroError: It is refused.
        """
        if isinstance(schema, list):
            return self._union(schema)
        if isinstance(schema, str):
            return self._name(schema)
        match schema["type"]:
            case "record" | "error":
                return self._record(schema)
            case "array":
                return self._items(schema, "items", free=0)
            case "map":
                return self._items(schema, "values", free=1)  # a key takes a byte
            case "enum":
                return self._define(schema, {**_of(schema, "symbols")}, _Facts(1, 0, 1))
            case "fixed":
                size = int(schema["size"])
                facts = _Facts(size, int(not size), 1)
                return self._define(schema, self._valued(schema, _of(schema, "size")), facts)
            case name:
                self._name(name)
                return self._valued(schema, {"type": name})

    def _name(self, name: str) -> Any:
        if name in _SIZES:
            self.facts = _Facts(_SIZES[name], int(not _SIZES[name]), 1)
            return self._valued({"type": name}, {"type": name})
        facts = self._named[name]
        if facts is None:
            raise AvroError(f"the schema's type {name} contains itself, which is not supported")
        self.facts = facts
        return name

    def _valued(self, schema: Mapping[str, Any], bare: dict[str, Any]) -> dict[str, Any]:
        kind = kind_of(schema) if self._as_json else ""
        return bare | {"logicalType": OURS, KIND: kind, SCALE: schema.get(SCALE, 0)} if kind else bare

    def _define(self, schema: Mapping[str, Any], read: dict[str, Any], facts: _Facts) -> dict[str, Any]:
        self._named[schema["name"]] = self.facts = facts
        return read

    def _record(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        self._named[schema["name"]] = None
        fields, found = [], []
        for field in schema["fields"]:
            fields.append({"name": field["name"], "type": self.type(field["type"])})
            found.append(self.facts)
        size, empty = sum(each.size for each in found), sum(each.empty for each in found)
        deep = self._deeper(max((each.depth for each in found), default=0))
        return self._define(schema, {**_of(schema), "fields": fields}, _Facts(size, empty + (not size), deep))

    def _union(self, branches: list[Any]) -> list[Any]:
        read, found = [], []
        for branch in branches:
            read.append(self.type(branch))
            found.append(self.facts)
        empty = max((each.empty - (not each.size) for each in found), default=0)  # the branch's number takes a byte
        self.facts = _Facts(1, empty, max((each.depth for each in found), default=0))
        return read

    def _items(self, schema: Mapping[str, Any], part: str, *, free: int) -> dict[str, Any]:
        inner = self.type(schema[part])
        if self.facts.empty > free:
            raise AvroError(f"the schema has an {schema['type']} with values that take no bytes, which is refused")
        self.facts = _Facts(1, 0, self._deeper(self.facts.depth))
        return {"type": schema["type"], part: inner}

    @staticmethod
    def _deeper(depth: int) -> int:
        if depth >= DEEPEST:
            raise AvroError(f"the schema is nested too deeply: more than {DEEPEST} levels")
        return depth + 1


def _short(error: Exception) -> str:
    return str(error)[:_MOST_SAID]


def _of(schema: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: schema[name] for name in ("type", "name", *names)}
