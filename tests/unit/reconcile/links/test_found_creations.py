"""Ids that a plan has given and that turn out otherwise: they are replaced wherever they are."""

from __future__ import annotations

from shared.entities import AttributeMetadata, AttributeType
from shared.reconcile.links.dependencies import found_creations
from shared.transform import TargetColumn
from shared.workspace import Workspace

PLANNED, FOUND = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
LEAD = TargetColumn(
    name="leadid",
    attribute=AttributeMetadata(name="leadid", type=AttributeType.UNIQUEIDENTIFIER, targets=("lead",)),
    sql_type="UUID",
    source_sql="leadid",
    key_part=1,
)


def test_a_link_to_a_record_that_exists_meanwhile_has_its_id_in_key_and_payload() -> None:
    """The request of a link is made from its key."""
    with Workspace.open() as workspace:
        workspace.execute("CREATE TABLE desired (_row BIGINT, leadid UUID)")
        workspace.execute(f"INSERT INTO desired VALUES (1, '{PLANNED}'), (2, '{FOUND}')")
        workspace.execute("CREATE TABLE renamed (planned UUID, found UUID)")
        workspace.execute(f"INSERT INTO renamed VALUES ('{PLANNED}', '{FOUND}')")
        workspace.execute(
            "CREATE TABLE changes "
            "(_row BIGINT, key VARCHAR, payload VARCHAR, later VARCHAR, links VARCHAR, on_create VARCHAR)"
        )
        key, payload = f'{{"leadid":"{PLANNED}"}}', f'{{"leadid@odata.bind":"/leads({PLANNED})"}}'
        workspace.execute("INSERT INTO changes VALUES (1, ?, ?, '', '', '')", [key, payload])

        for statement in found_creations(LEAD):
            workspace.execute(statement)

        expected = (key.replace(PLANNED, FOUND), payload.replace(PLANNED, FOUND))
        assert workspace.query("SELECT key, payload FROM changes") == [expected]
        assert [str(record) for (record,) in workspace.query("SELECT leadid FROM desired")] == [FOUND, FOUND]
