"""Bodies, batches and keys, as text."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse.changes import Change, ChangeAction
from shared.dataverse.http.batch_requests import BatchPart, decoded, encoded
from shared.dataverse.http.connection import write_headers
from shared.dataverse.http.keys import key_text, key_values, literal, lookups, predicate
from shared.dataverse.write.bulk import create_body, delete_body, new_record, update_body, upsert_body, without_key
from shared.definitions.models import KeyMatch, WriteOptions
from shared.entities import AlternateKey, AttributeMetadata, AttributeType
from shared.errors import DefinitionError
from shared.http.transport import Response
from tests.unit.dataverse.simulation import ACCOUNT

URL_CHARACTERS = set(string.ascii_letters + string.digits + "%-._~/=$,()'@[]")
ID = "11111111-2222-3333-4444-555555555555"


def change(payload: str = '{"name":"x"}', *, id: str | None = None, key: str = "") -> Change:  # noqa: A002 - the field's name
    return Change(number=0, action=ChangeAction.UPSERT, id=id, key=key, payload=payload)


def test_every_item_names_its_type() -> None:
    """`@odata.type` is mandatory in each target; the payload follows untouched."""
    body = create_body(ACCOUNT, [change('{"name":"Ü \\"q\\"","revenue":1.10}'), change("{}")])
    assert body.decode() == (
        '{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.account","name":"Ü \\"q\\"","revenue":1.10},'
        '{"@odata.type":"Microsoft.Dynamics.CRM.account"}]}'
    )


def test_an_upsert_that_creates_brings_its_whole_key() -> None:
    """Planned payloads lack the key; one that has it does not send it twice. An insert is sent as it is."""
    key = '{"accountnumber":"A/1","revenue":1.10}'
    for payload in ('{"name":"x"}', '{"accountnumber":"A/1","name":"x"}'):
        one = change(payload, key=key, id=ID)
        assert new_record(ACCOUNT, one) == f'{{"accountid":"{ID}","accountnumber":"A/1","revenue":1.10,"name":"x"}}'
    assert new_record(ACCOUNT, change("{}", key=key)) == key
    assert new_record(ACCOUNT, replace(change(key=key), action=ChangeAction.INSERT)) == '{"name":"x"}'


def test_updates_and_deletes_carry_the_id() -> None:
    """An update names its record by primary id, before its columns."""
    (updated,) = json.loads(update_body(ACCOUNT, [change(id=ID)]))["Targets"]
    assert updated == {"@odata.type": "Microsoft.Dynamics.CRM.account", "accountid": ID, "name": "x"}
    (deleted,) = json.loads(delete_body(ACCOUNT, [change(id=ID)]))["Targets"]
    assert deleted == {"@odata.type": "Microsoft.Dynamics.CRM.account", "accountid": ID}


def test_upserts_by_key_keep_every_digit_and_lose_the_key() -> None:
    """Key columns leave the body; all other values stay as they were written."""
    one = change(
        '{ "accountnumber" : "O\'Neil" , "revenue": 12345678901234567890.1200, "name":null }',
        key='{"accountnumber":"O\'Neil"}',
    )
    assert without_key(ACCOUNT, one) == '{"revenue": 12345678901234567890.1200,"name":null}'
    (item,) = json.loads(upsert_body(ACCOUNT, [one]))["Targets"]
    assert item["@odata.id"] == "accounts(accountnumber='O''Neil')"
    assert "accountnumber" not in item


def test_a_lookup_in_the_key_leaves_the_body_by_its_navigation_name() -> None:
    """The body writes a lookup through its navigation property, so that is what has to go."""
    parent = AttributeMetadata(
        name="parentaccountid", type=AttributeType.LOOKUP, navigation={"account": "parentaccountid"}
    )
    table = replace(
        ACCOUNT,
        attributes={**ACCOUNT.attributes, "parentaccountid": parent},
        keys=(AlternateKey(name="k", columns=("parentaccountid",), active=True),),
    )
    one = change('{"parentaccountid@odata.bind":"/accounts(1)","name":"x"}', key=json.dumps({"parentaccountid": ID}))
    assert without_key(table, one) == '{"name":"x"}'
    assert predicate(table, {"parentaccountid": ID}) == f"_parentaccountid_value={ID}"


@pytest.mark.parametrize("value", ["a/b", "a<b", "100%", "a&b", "a:b", "a\\b", "a?b", "a+b", "a#b", "*"])
def test_reserved_characters_cannot_stand_in_a_key_url(value: str) -> None:
    """Such a key has to be looked up by filter."""
    assert predicate(ACCOUNT, {"accountnumber": value}) is None


def test_a_predicate_needs_an_active_key_over_exactly_these_columns() -> None:
    """An inactive key, other columns or a null value leave only the filter."""
    assert predicate(ACCOUNT, {"accountnumber": "A1"}) == "accountnumber='A1'"
    assert predicate(ACCOUNT, {"accountnumber": None}) is None
    assert predicate(ACCOUNT, {"name": "A1"}) is None
    inactive = replace(ACCOUNT, keys=(replace(ACCOUNT.keys[0], active=False),))
    assert predicate(inactive, {"accountnumber": "A1"}) is None


def test_literals_are_typed_by_the_column() -> None:
    """Text is quoted, everything else stands bare."""
    columns = ACCOUNT.attributes
    assert literal(columns["name"], "O'Neil") == "'O''Neil'"
    assert literal(columns["accountid"], ID) == ID
    assert literal(columns["numberofemployees"], 5) == "5"
    assert literal(columns["revenue"], Decimal("1.10")) == "1.10"
    assert literal(columns["createdon"], "2026-01-31T10:00:00Z") == "2026-01-31T10:00:00Z"
    assert literal(columns["name"], None) == "null"


def test_many_keys_are_looked_up_in_few_requests() -> None:
    """A thousand short keys fit one URL; longer ones are split below the limit."""
    (one,) = lookups(ACCOUNT, ({"accountnumber": f"A{n}"} for n in range(1000)))
    assert one.asked == 1000
    found = list(lookups(ACCOUNT, ({"accountnumber": f"{n:05}" * 20} for n in range(1000))))
    assert sum(query.asked for query in found) == 1000
    assert all(len(query.path) < 32_000 for query in found)


def test_quotes_of_both_kinds_survive_in_a_list_of_keys() -> None:
    """The In function takes a JSON array, so an apostrophe is plain text and a double quote is escaped."""
    (query,) = lookups(ACCOUNT, [{"accountnumber": "O'Neil"}, {"accountnumber": 'Zoll 7"'}])
    assert unquote(query.path).endswith('In(PropertyName=\'accountnumber\',PropertyValues=["O\'Neil","Zoll 7\\""])')


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_text_is_looked_up_as_it_is(texts: list[str]) -> None:
    """What a URL or JSON writes in another way is encoded; nothing else of a URL is left in a key."""
    (query,) = lookups(ACCOUNT, ({"accountnumber": text} for text in texts))
    start = "In(PropertyName='accountnumber',PropertyValues="
    elements = query.path.partition(start)[2].removesuffix(")")
    assert set(elements) <= URL_CHARACTERS
    assert json.loads(unquote(elements)) == texts


def test_keys_of_several_columns_are_asked_for_with_and_and_or() -> None:
    """Each key is one conjunction."""
    (query,) = lookups(ACCOUNT, [{"name": "a", "numberofemployees": 1}, {"name": "b", "numberofemployees": 2}])
    condition = "((name eq 'a' and numberofemployees eq 1) or (name eq 'b' and numberofemployees eq 2))"
    assert unquote(query.path).endswith(condition)


@pytest.mark.parametrize(
    ("left", "right", "match", "same"),
    [
        ("abc ", "ABC", KeyMatch.SERVICE, True),
        ("Müller", "muller", KeyMatch.SERVICE, True),
        ("Müller", "muller", KeyMatch.ACCENT_SENSITIVE, False),
        ("abc ", "ABC", KeyMatch.ACCENT_SENSITIVE, True),
        ("abc", "ABC", KeyMatch.EXACT, False),
        (1, Decimal("1.00"), KeyMatch.EXACT, True),
    ],
)
def test_keys_are_compared_as_the_service_compares_them(
    left: object,
    right: object,
    match: KeyMatch,
    same: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Case, accents and trailing spaces count only where the definition says so."""
    assert (key_text({"k": left}, ["k"], match) == key_text({"k": right}, ["k"], match)) is same


def test_decimals_of_a_key_keep_their_digits() -> None:
    """A key is never taken through a double."""
    assert key_values('{"n":12345678901234567890.12}') == {"n": Decimal("12345678901234567890.12")}


def test_a_batch_ends_every_line_with_crlf() -> None:
    """To the last byte; each part has its Content-ID and its own headers."""
    part = BatchPart(method="PATCH", path="/api/data/v9.2/accounts(1)", headers={"If-Match": "*"}, body=b'{"name":"x"}')
    text = encoded([part, BatchPart(method="DELETE", path="/api/data/v9.2/accounts(2)")], "batch_1")
    assert text.endswith(b"--batch_1--\r\n")
    assert text.replace(b"\r\n", b"").count(b"\n") == 0
    assert b"Content-ID: 1\r\n\r\nPATCH /api/data/v9.2/accounts(1) HTTP/1.1\r\n" in text
    assert b"If-Match: *\r\n" in text


@given(
    st.lists(
        st.tuples(
            st.sampled_from([200, 204, 400, 404, 412, 429, 500]),
            st.dictionaries(
                st.sampled_from(["etag", "location", "retry-after"]), st.sampled_from(["1", 'W/"2"', "a:b"])
            ),
            st.binary(max_size=200).filter(lambda body: b"--edge" not in body and not body.endswith(b"\r\n")),
        ),
        max_size=8,
    )
)
def test_any_batch_answer_is_taken_apart_as_it_was_put_together(parts: list[tuple[int, dict[str, str], bytes]]) -> None:
    """Statuses, headers and bodies survive, whatever bytes the bodies hold."""
    pieces = [
        b"--edge\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 %d X\r\n" % status
        + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        + b"\r\n"
        + body
        + b"\r\n"
        for status, headers, body in parts
    ]
    answer = Response(
        status=200, headers={"content-type": "multipart/mixed; boundary=edge"}, body=b"".join(pieces) + b"--edge--\r\n"
    )
    assert [(one.status, dict(one.headers), one.body) for one in decoded(answer)] == parts


@pytest.mark.parametrize("body", [b"", b"--edge\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 X\r\n\r\n"])
def test_a_truncated_batch_answer_is_a_lost_answer(body: bytes) -> None:
    """Without its closing boundary it is as good as lost."""
    with pytest.raises(ValueError, match="closing boundary"):
        decoded(Response(status=200, headers={"content-type": "multipart/mixed; boundary=edge"}, body=body))


def test_options_become_the_documented_headers() -> None:
    """Names and values as Microsoft's page has them; nothing without options."""
    assert write_headers(WriteOptions(), {}) == {}
    every = WriteOptions(bypass_custom_logic=("sync", "async"), suppress_flows=True, detect_duplicates=True, run_as=ID)
    assert write_headers(every, {}) == {
        "MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync",
        "MSCRM.SuppressCallbackRegistrationExpanderJob": "true",
        "MSCRM.SuppressDuplicateDetection": "false",
        "CallerObjectId": ID,
    }


def test_the_user_of_the_writes_may_be_a_parameter() -> None:
    """With its value, and only if that is an id: another text would be refused for every record."""
    options = WriteOptions(run_as="@who")
    assert write_headers(options, {"who": ID}) == {"CallerObjectId": ID}
    for value in ("", "Maria"):
        with pytest.raises(DefinitionError, match=r"destination\.options\.run_as: the value of its parameter"):
            write_headers(options, {"who": value})
