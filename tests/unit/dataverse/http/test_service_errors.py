"""The service's refusals in the error tree."""

from __future__ import annotations

import json

import pytest

from shared.dataverse.http.service_errors import Conflict, conflict, error_of, refusal, trouble
from shared.errors import AbortRun, RequestRefused
from shared.http.retry import Trouble
from shared.http.transport import Response
from shared.redaction import register_secret


def answer(status: int, code: str = "", message: str = "", **headers: str) -> Response:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Response(status=status, headers=headers, body=body)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("0x80060892", Conflict.KEY_TAKEN),
        ("0x80040237", Conflict.KEY_TAKEN),
        ("0x80060882", Conflict.VERSION),
        ("0x80040333", Conflict.RULE),
        ("", Conflict.PRECONDITION),
    ],
)
def test_the_meaning_of_412_depends_on_its_code(code: str, meaning: Conflict) -> None:
    """One status, four meanings."""
    assert conflict(refusal(answer(412, code))) is meaning


def test_a_duplicate_rule_counts_as_conflict_whatever_its_status() -> None:
    """Microsoft's sample shows 500 for it."""
    assert conflict(refusal(answer(500, "0x80040333"))) is Conflict.RULE
    assert conflict(refusal(answer(400, "0x80044331"))) is None


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer(429, "0x80072322"), Trouble.THROTTLED),
        (answer(429, "0x80072321"), Trouble.THROTTLED),
        (answer(429, "0x80072326"), Trouble.THROTTLED),
        (answer(500, "0x80044150"), Trouble.DATABASE),
        (answer(500, "0x80044151"), Trouble.DATABASE),
        (answer(400, "0x80040255"), Trouble.DATABASE),
        (answer(503, "0x80040216"), Trouble.UNAVAILABLE),
        (Response(status=503, headers={"retry-after": "5"}), Trouble.UNAVAILABLE),
        (Response(status=503), Trouble.LOST),
        (Response(status=502), Trouble.LOST),
        (Response(status=504), Trouble.LOST),
        (Response(status=408, body=b"<html>Request Timeout</html>"), Trouble.LOST),
        (Response(status=425), Trouble.UNAVAILABLE),
        (answer(408, "0x80040265"), None),
        (answer(425, "0x80040265"), None),
        (answer(400, "0x80044331"), None),
        (answer(500, "0x80040216"), None),
        (answer(404, "0x80040217"), None),
    ],
)
def test_trouble_is_what_another_try_may_settle(response: Response, kind: Trouble | None) -> None:
    """A gateway's refusal is a lost answer; the service's own is not."""
    assert trouble(response, refusal(response)) is kind


@pytest.mark.parametrize(
    ("message", "column"),
    [
        ("A validation error occurred.  The length of the 'name' attribute of the 'account' entity exceeded", "name"),
        ("The value 7 of 'statuscode' on record of type 'account' is outside the valid range.", "statuscode"),
        ("Invalid property 'Nome' was found in entity 'Microsoft.Dynamics.CRM.account'.", "Nome"),
        ("Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.account'.", "Name"),
        ("An unexpected error occurred.", ""),
    ],
)
def test_the_column_at_fault_is_read_from_the_message(message: str, column: str) -> None:
    """Where the service names a column, so does the refusal."""
    assert refusal(answer(400, "0x80044331", message)).column == column


def test_a_missing_privilege_ends_the_run_and_is_named() -> None:
    """The message says which privilege and which table."""
    refused = refusal(answer(403, "0x80040220", "Principal user is missing prvWriteAccount privilege."))
    error = error_of(refused, table="account", doing="update")
    assert isinstance(error, AbortRun)
    assert "prvWriteAccount" in error.message
    assert "update account" in error.message


def test_an_access_check_on_one_record_does_not_end_the_run() -> None:
    """A record that may not be touched is that record's refusal."""
    refused = refusal(answer(403, "0x80048306", "User does not have access rights on the record"))
    assert isinstance(error_of(refused, table="account", doing="update"), RequestRefused)


@pytest.mark.parametrize("code", ["0x8006088a", "0x80060888", ""])
def test_a_wrong_address_ends_the_run(code: str) -> None:
    """Both documented codes of an unknown segment, and a 404 without any."""
    error = error_of(refusal(answer(404, code, "Resource not found for the segment")), table="acount", doing="read")
    assert isinstance(error, AbortRun)
    assert "service_url" in error.message
    assert "acount" in error.message


@pytest.mark.parametrize("status", [302, 401, 403, 404])
@pytest.mark.parametrize("code", ["0x80040265", "0x80040224", "0x80048d02", "0x80048d0c", "0x80048d11"])
def test_the_refusal_of_a_plug_in_is_one_rows_matter(status: int, code: str) -> None:
    """A plug-in chooses the status itself; the code of the next refusal in Microsoft's list is none of a plug-in."""
    refused = refusal(answer(status, code, "Orders over 10,000 need an approval: prvApprove"))
    assert refused.by_plug_in
    assert isinstance(error_of(refused, table="account", doing="create"), RequestRefused)
    assert not refusal(answer(status, "0x80048d12")).by_plug_in


def test_a_missing_record_is_one_rows_matter() -> None:
    """404 with a record's code is no wrong address."""
    error = error_of(refusal(answer(404, "0x80040217", "Does Not Exist")), table="account", doing="update")
    assert isinstance(error, RequestRefused)
    assert (error.status, error.code) == (404, "0x80040217")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"x"}', b'{"Message":"x"}'])
def test_an_answer_that_is_not_the_services_is_survived(body: bytes) -> None:
    """Gateways answer HTML or nothing."""
    refused = refusal(Response(status=502, body=body))
    assert not refused.spoken
    assert refused.message == "HTTP 502"


def test_endless_messages_are_shortened() -> None:
    """A plug-in's stack trace does not fill the log."""
    assert len(refusal(answer(400, "0x80040265", "x\n" * 5000)).message) <= 1000


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("0x80072560", "The user is not a member of the organization.", "add one"),
        ("", "The user is not a member of the organization.", "add one"),
        ("0x80040225", "The specified user(Id = x) is disabled. Consider enabling this user.", "enable it"),
        ("0x80040225", "The specified user is either disabled or is not a member of any business unit.", "enable it"),
    ],
)
def test_trouble_with_the_application_user_is_no_missing_privilege(code: str, message: str, said: str) -> None:
    """No role would help; the message says what does, and ends the run."""
    refused = refusal(answer(403, code, message))
    error = error_of(refused, table="account", doing="read")
    assert isinstance(error, AbortRun)
    assert said in error.message
    assert "privilege" not in error.message


def test_a_secret_in_a_refusal_is_replaced_before_the_message_is_cut() -> None:
    """Otherwise a half of it would be left at the end."""
    token = "a-token-of-this-test-" + "0123456789" * 20
    register_secret(token)
    refused = refusal(answer(400, token, "x" * 900 + token))
    assert "0123456789" not in refused.message + refused.code


def test_a_code_that_means_no_code_is_not_shown() -> None:
    """The service writes 0x0 where it has no code for an error."""
    assert str(refusal(answer(400, "0x0", "Syntax error"))) == "Syntax error"
    assert str(refusal(answer(400, "0x80040265", "No"))) == "0x80040265: No"
