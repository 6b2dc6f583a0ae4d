"""`RetrieveTotalRecordCount`: how many rows tables have, as a snapshot that may be a day old in the service."""

from emulator.environment import Environment
from emulator.errors import invalid_argument
from emulator.messages import Planned, Request, answer
from emulator.odata import Segment
from emulator.store import sql_name

__all__ = ["total_record_count"]


def total_record_count(environment: Environment, request: Request, segment: Segment) -> Planned:
    """Plans `GET RetrieveTotalRecordCount(EntityNames=@p1)?@p1=["account"]`; the answer counts all rows of now.

    Raises:
        ServiceError: A name is no table, or the parameter is missing.
    """
    given = segment.arguments.named.get("EntityNames") if segment.arguments else None
    value = given.value if given is not None else None
    if not isinstance(value, list):
        raise invalid_argument("Required field 'EntityNames' is missing")
    names = [str(name) for name in value]
    tables = environment.schema.tables
    unknown = [name for name in names if name not in tables]
    if unknown:
        message = f"The entity with a name = '{unknown[0]}' with namemapping = 'Logical' was not found."
        raise invalid_argument(message)
    counts = [int(environment.database.scalar(f"SELECT count(*) FROM {sql_name(name)}", ())) for name in names]
    content = {
        "@odata.context": request.context("Microsoft.Dynamics.CRM.RetrieveTotalRecordCountResponse"),
        "EntityRecordCountCollection": {
            "Count": len(names),
            "IsReadOnly": False,
            "Keys": names,
            "Values": counts,
        },
    }
    return Planned(act=lambda: answer(content))
