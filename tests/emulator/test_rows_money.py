"""Amounts of money over HTTP: currency, decimals, exchange rate and the amounts in the base currency."""

from collections.abc import Iterator
from typing import Any

import pytest

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client, made

FORMATTED = "OData.Community.Display.V1.FormattedValue"
SCHEMA = """
new_Deal:
  entity_set: new_deals
  columns:
    new_Name: {type: String}
    new_Own: {type: Money, precision: 3}
    new_Price: {type: Money, precision: 1, precision_source: 1}
    new_Amount: {type: Money, precision: 1, precision_source: 2}
"""
COLUMNS = "$select=revenue,revenue_base,exchangerate,_transactioncurrencyid_value"


def _currency(client: Client, rate: float, **more: Any) -> str:
    body = {"currencyname": "Euro", "isocurrencycode": "EUR", "currencysymbol": "€", "exchangerate": rate, **more}
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
    new = {"currencyname": "Krone", "isocurrencycode": "DKK", "currencysymbol": "kr", "exchangerate": None}
    assert client.send("POST", "transactioncurrencies", new).json()["error"]["code"] == "0x80048cfd"


# Decimals


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    file = tmp_path_factory.mktemp("schema") / "deals.yaml"
    file.write_text(SCHEMA, encoding="utf-8")
    with running(in_thread=True, limits="none", schema=[file]) as emulator:
        yield emulator


def _deal(client: Client, amount: float, currency: str | None = None) -> dict[str, Any]:
    bind = {"transactioncurrencyid@odata.bind": f"/transactioncurrencies({currency})"} if currency else {}
    body = {"new_own": amount, "new_price": amount, "new_amount": amount, **bind}
    deal = made(client, "new_deals", **body)
    annotations = f'odata.include-annotations="{FORMATTED}"'
    return dict(client.send("GET", f"new_deals({deal})", Prefer=annotations).json())


def test_the_decimals_of_an_amount_come_from_its_precision_source(client: Client) -> None:
    """From the column, from the setting of the organisation for prices, or from the currency of the row."""
    deal = _deal(client, 1.23456)
    assert [deal[name] for name in ("new_own", "new_price", "new_amount")] == [1.235, 1.2346, 1.23]
    (row,) = client.send("GET", "organizations?$select=pricingdecimalprecision").json()["value"]
    path = f"organizations({row['organizationid']})"
    assert client.send("PATCH", path, {"pricingdecimalprecision": 0}).status_code == 204
    assert _deal(client, 1.23456)["new_price"] == 1
    assert client.send("PATCH", path, {"pricingdecimalprecision": 4}).status_code == 204


@pytest.mark.parametrize(
    ("digits", "amount", "text"), [(0, 101, "¥101"), (3, 100.654, "¥100.654"), (None, 100.7, "¥100.7")]
)
def test_a_currency_has_its_own_decimals(client: Client, digits: int | None, amount: float, text: str) -> None:
    """Amounts are stored and shown with them; a currency that states none leaves them to the column."""
    yen = _currency(client, 100, currencyprecision=digits, currencysymbol="¥")
    deal = _deal(client, 100.65444, yen)
    assert (deal["new_amount"], deal[f"new_amount@{FORMATTED}"]) == (amount, text)
    assert (deal["new_own"], deal[f"new_own@{FORMATTED}"]) == (100.654, "¥100.654")
    assert deal[f"new_own_base@{FORMATTED}"].startswith("$1.0")
    path = f"new_deals({deal['new_dealid']})"
    assert client.send("PATCH", path, {"new_amount": 7.89995}).status_code == 204
    assert client.send("GET", path).json()["new_amount"] == {0: 8, 3: 7.9, None: 7.9}[digits]


def test_an_amount_is_rounded_in_the_currency_of_the_same_body(client: Client) -> None:
    """Amounts that get another currency alone stay as they are."""
    yen = _currency(client, 100, currencyprecision=0)
    account = made(client, "accounts", name="A", revenue=10.65, creditlimit=5.55)
    bind = {"transactioncurrencyid@odata.bind": f"/transactioncurrencies({yen})"}
    assert client.send("PATCH", f"accounts({account})", {"revenue": 20.65, **bind}).status_code == 204
    row = client.send("GET", f"accounts({account})?$select=revenue,creditlimit").json()
    assert (row["revenue"], row["creditlimit"]) == (21, 5.55)


@pytest.mark.parametrize(
    ("table", "column", "source"),
    [
        ("account", "revenue", 2), ("account", "revenue_base", 2), ("product", "price", 1),
        ("new_deal", "new_own", 0), ("new_deal", "new_price", 1), ("new_deal", "new_amount", 2),
    ],
)  # fmt: skip
def test_the_metadata_has_the_precision_source(client: Client, table: str, column: str, source: int) -> None:
    path = f"EntityDefinitions(LogicalName='{table}')/Attributes(LogicalName='{column}')"
    definition = client.send("GET", f"{path}/Microsoft.Dynamics.CRM.MoneyAttributeMetadata").json()
    assert definition["PrecisionSource"] == source
