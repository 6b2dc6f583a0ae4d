"""A literal secret in a definition is refused and never repeated."""

from __future__ import annotations

import traceback
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions import KeyVaultSecret, SyncDefinition, load_definition
from shared.definitions.parameters.environment import holds_secret
from shared.definitions.reference.example import EXAMPLE
from shared.errors import DefinitionError

SECRET = "Zq8~hunter2.Xy"
PLACE = "client_secret: {key_vault: dynamics-client-secret}"

SHAPES = [
    "client_secret: {s}",
    "client_secret: '{s}'",
    'client_secret: "{s}"',
    "client_secret: [{s}]",
    "client_secret: [{{key_vault: a}}, {s}]",
    "client_secret: [[{s}]]",
    "client_secret: {{{s}: a}}",
    "client_secret: {{{s}}}",
    "client_secret: {{value: {s}}}",
    "client_secret: {{key_vault: {s}}}",
    "client_secret: {{key_vault: a, {s}: b}}",
    "client_secret: {{key_vault: [{s}]}}",
    "client_secret: {{key_vault: {{{s}: {s}}}}}",
    "client_secret: {{env: {s}}}",
    "client_secret: {{env: A, key_vault: {s}}}",
    "client_secret: {{key_vault: 'https://{s}@vault/secrets/x'}}",
    "client_secret: *{s}",
    "client_secret: &{s}",
    "client_secret: !{s} a",
    "client_secret: !!{s} a",
    "client_secret: !<{s}> a",
    "client_secret: @{s}",
    "client_secret: '@{s}'",
    "client_secret: '@region {s}'",
    "client_secret: %{s}",
    "client_secret: `{s}",
    "client_secret: |{s}",
    "client_secret: > {s}",
    "client_secret: {s}: {s}",
    'client_secret: "\\{s}"',
    "client_secret: '{s}",
    "client_secret: {{{s}",
    "client_secret:\n    {s}:\n      {s}: {s}",
    "client_secret:\n    - {s}\n    - {s}",
    "client_secret: {{? [{s}] : {s}}}",
    "client_secret: {{{s}: 1, {s}: 2}}",
    "client_secret: {s}\n  timeout: -1",
    "client_id: a\n  client_secret: {{key_vault: a}}\n  service_url: https://user:{s}@host/",
]


def said(text: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        load_definition(text, file="a.yaml")
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value.problems)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_literal_secret_is_refused_without_being_repeated(shape: str) -> None:
    """Whatever shape the secret was written in, no message and no traceback holds it."""
    text = EXAMPLE.replace(PLACE, shape.format(s=SECRET))

    report = said(text)

    assert SECRET not in report
    assert "hunter2" not in report


def test_the_refusal_says_what_to_write_instead() -> None:
    """The message names the forms of a reference and the place."""
    with pytest.raises(DefinitionError) as caught:
        load_definition(EXAMPLE.replace(PLACE, f"client_secret: {SECRET}"))

    (problem,) = caught.value.problems
    assert problem.path == "destination.client_secret"
    assert "{key_vault: name}" in problem.message
    assert "SECRET('name')" in problem.message


@given(secret=st.text(min_size=8, max_size=30), shape=st.sampled_from(SHAPES))
def test_no_secret_of_any_characters_is_repeated(secret: str, shape: str) -> None:
    """The same for secrets of any characters; those that happen to be a valid reference are accepted."""
    text = EXAMPLE.replace(PLACE, shape.format(s=f"hunter2{secret}"))

    with suppress(DefinitionError):
        load_definition(text)
        return
    assert "hunter2" not in said(text)


def test_a_validation_error_of_pydantic_holds_no_input() -> None:
    """Also without the loader no value is in the error."""
    with pytest.raises(ValueError, match="do not write a secret here") as caught:
        SyncDefinition.model_validate({"destination": {"client_secret": SECRET}})

    assert SECRET not in str(caught.value)


def with_parameter(use: str, formula: str = "SECRET('the-name')") -> str:
    return EXAMPLE.replace("  region:", f'  password: {{formula: "{formula}"}}\n  region:').replace(PLACE, use)


def test_a_secret_parameter_stands_for_its_reference() -> None:
    """SECRET('name') makes @password a reference, for the secret and for the id."""
    text = with_parameter("client_secret: '@password'").replace(
        "client_id: {key_vault: dynamics-client-id}", "client_id: '@password'"
    )

    definition = load_definition(text)

    assert definition.destination.client_secret == KeyVaultSecret(key_vault="the-name")
    assert definition.destination.client_id == KeyVaultSecret(key_vault="the-name")


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("filter: Active", "filter: Name = @password and Active", "source.filter"),
        ("eq @region", "eq @password", "destination.filter"),
        ('path: "@file_path"', 'path: "@password"', "source.path"),
        ('value: "@run_tag"', 'value: "@password"', "destination.mappings[4].value"),
        ("(@file_path,", "(@password,", "parameters.business_date.formula"),
        ("contoso.onmicrosoft.com", '"@password"', "destination.tenant_id"),
        ("client_id: {key_vault: dynamics-client-id}", "client_id: 'x-@password'", "destination.client_id"),
    ],
)
def test_a_secret_parameter_is_refused_in_other_fields(old: str, new: str, path: str) -> None:
    """Where no secret may stand a SECRET parameter is a mistake."""
    with pytest.raises(DefinitionError) as caught:
        load_definition(with_parameter("client_secret: '@password'").replace(old, new))

    (problem,) = caught.value.problems
    assert problem.path == path
    assert "secret" in problem.message


@pytest.mark.parametrize(
    "formula", ["SECRET('hunter2!')", "SECRET(hunter2)", "SECRET('a', 'hunter2')", "ENV(SECRET('hunter2'))"]
)
def test_a_bad_secret_formula_is_not_repeated(formula: str) -> None:
    """What stands inside SECRET(...) may be the secret itself."""
    report = said(with_parameter("client_secret: '@password'", formula))

    assert "hunter2" not in report


@pytest.mark.parametrize(
    "name",
    [
        "DYNAMICS_CLIENT_SECRET",
        "db_password",
        "MyConnectionString",
        "SQLCONNSTR_MAIN",
        "GITHUB_TOKEN",
        "API_KEY",
        "X_PWD",
    ],
)
def test_a_variable_that_is_a_secret_by_its_name_is_refused_in_its_place(name: str) -> None:
    """Before any run, with line and column."""
    with pytest.raises(DefinitionError) as caught:
        load_definition(with_parameter("client_secret: {env: OTHER}", f"ENV('{name}')"), file="a.yaml")
    (problem,) = caught.value.problems
    assert problem.path == "parameters.password.formula"
    assert problem.line > 0
    assert name in problem.message


def test_a_variable_that_the_definition_uses_as_its_secret_is_refused() -> None:
    """Whatever its name; inside another formula too."""
    for formula in ("ENV('PLAIN')", "FILENAME(ENV('PLAIN'), '.*')"):
        with pytest.raises(DefinitionError, match="contains a secret"):
            load_definition(with_parameter("client_secret: {env: PLAIN}", formula))


@pytest.mark.parametrize(
    "name", ["PWD", "HOME", "SOURCE", "DYNAMICS_URL", "KEY_COLUMN", "REGION", "DYNAMICS_CLIENT_ID"]
)
def test_ordinary_variables_are_read(name: str) -> None:
    """Paths, addresses, names of columns and ids are no secrets."""
    load_definition(with_parameter("client_secret: {env: OTHER}", f"ENV('{name}')"))
    assert not holds_secret(name, {name: "/home/x", "OTHER": "a-secret"}, {"OTHER"})


@pytest.mark.parametrize(
    "value",
    [
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abc==",
        "Endpoint=sb://x;SharedAccessKeyName=k;SharedAccessKey=abc",
        "Server=x;User Id=y;Password=z",
        "https://x.blob.core.windows.net/c?sv=1&sig=abc",
        "postgres://user:word@host/db",
        "-----BEGIN RSA PRIVATE KEY-----",
        "the-secret-of-another-definition and more",
    ],
)
def test_a_value_that_is_or_holds_a_secret_is_refused(value: str) -> None:
    """A variable may have any name."""
    environment = {"PLACE": value, "OTHER": "the-secret-of-another-definition"}
    assert holds_secret("PLACE", environment, {"OTHER"})
