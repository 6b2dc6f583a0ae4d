"""Parameters of a definition: their formulas, their values for one run, and how a value is put into a text."""

from shared.definitions.parameters.odata import compared_text, in_odata
from shared.definitions.parameters.values import (
    in_body,
    in_json,
    in_text,
    in_url,
    in_xml,
    is_required,
    logged,
    new_in_each_run,
    resolve,
)

__all__ = [
    "compared_text",
    "in_body",
    "in_json",
    "in_odata",
    "in_text",
    "in_url",
    "in_xml",
    "is_required",
    "logged",
    "new_in_each_run",
    "resolve",
]
