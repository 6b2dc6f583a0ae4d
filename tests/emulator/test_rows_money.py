"""Amounts of money over HTTP: currency, exchange rate and the amounts in the base currency."""

from typing import Any

import pytest

from tests.emulator.http_client import Client, made

COLUMNS = "$select=revenue,revenue_base,exchangerate,_transactioncurrencyid_value"


def _currency(client: Client, rate: float) -> str:
    body = {"currencyname": "Euro", "isocurrencycode": "EUR", "currencysymbol": "€", "exchangerate": rate}
    return made(client, "transactioncurrencies", **body)


def _amounts(client: Client, account: str) -> tuple[Any, ...]:
    row = client.send("GET", f"accounts({account})?{COLUMNS}").json()
    return row["revenue"], row["revenue_base"], row["exchangerate"]


def test_an_amount_without_a_currency_is_in_the_base_currency(client: Client) -> None:
    account = made(client, "accounts", name="A", revenue=10)
    assert _amounts(client, account) == (10, 10, 1)
    assert client.send("GET", f"accounts({account})?{COLUMNS}").json()["_transactioncurrencyid_value"] is not None


def test_a_new_row_with_null_as_currency_has_the_base_currency(client: Client) -> None:
    account = made(client, "accounts", name="A", revenue=10, transactioncurrencyid=None)
    assert _amounts(client, account) == (10, 10, 1)
    account = made(client, "accounts", name="B", transactioncurrencyid=None)
    assert _amounts(client, account) == (None, None, None)


def test_amounts_are_divided_by_the_rate_of_the_currency(client: Client) -> None:
    """Also those that were there before the currency; the rate stays until the currency is set again."""
    currency = _currency(client, 0.8)
    account = made(client, "accounts", name="A", revenue=10)
    bind = {"transactioncurrencyid@odata.bind": f"/transactioncurrencies({currency})"}
    assert client.send("PATCH", f"accounts({account})", bind).status_code == 204
    assert _amounts(client, account) == (10, 12.5, 0.8)
    assert client.send("PATCH", f"transactioncurrencies({currency})", {"exchangerate": 0.5}).status_code == 204
    assert client.send("PATCH", f"accounts({account})", {"revenue": 20}).status_code == 204
    assert _amounts(client, account) == (20, 25, 0.8)
    assert client.send("PATCH", f"accounts({account})", bind).status_code == 204
    assert _amounts(client, account) == (20, 40, 0.5)


def test_a_row_with_amounts_keeps_its_currency(client: Client) -> None:
    """It becomes null only together with the amounts."""
    account = made(client, "accounts", name="A", revenue=10)
    answer = client.send("PATCH", f"accounts({account})", {"transactioncurrencyid": None})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "0x80048cfb")
    answer = client.send("PATCH", f"accounts({account})", {"transactioncurrencyid": None, "revenue": None})
    assert answer.status_code == 204
    assert _amounts(client, account) == (None, None, None)


@pytest.mark.parametrize(("amount", "code"), [(900000000000000, "0x80048cec")])
def test_an_amount_must_fit_in_the_base_currency(client: Client, amount: int, code: str) -> None:
    currency = _currency(client, 0.1)
    body = {
        "name": "O",
        "totalamount": amount,
        "transactioncurrencyid@odata.bind": f"/transactioncurrencies({currency})",
    }
    answer = client.send("POST", "opportunities", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert "totalamount" in answer.json()["error"]["message"]
    answer = client.send("POST", "opportunities", {**body, "totalamount": -amount})
    assert answer.json()["error"]["code"] == "0x80048ceb"


def test_the_rate_of_the_base_currency_is_fixed(client: Client) -> None:
    """Another currency needs a rate, which can change."""
    (base,) = client.send("GET", "transactioncurrencies?$select=transactioncurrencyid").json()["value"]
    path = f"transactioncurrencies({base['transactioncurrencyid']})"
    assert client.send("PATCH", path, {"exchangerate": 2}).json()["error"]["code"] == "0x80048cf5"
    assert client.send("PATCH", path, {"exchangerate": 1, "currencyname": "Dollar"}).status_code == 204
    path = f"transactioncurrencies({_currency(client, 0.8)})"
    assert client.send("PATCH", path, {"exchangerate": None}).json()["error"]["code"] == "0x80048cfd"
    assert client.send("PATCH", path, {"exchangerate": 0.9}).status_code == 204
