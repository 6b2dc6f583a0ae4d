"""Print the reference page, or with the argument `schema` the JSON Schema."""

from __future__ import annotations

import sys

from shared.definitions.reference.page import reference_page
from shared.definitions.reference.schema import schema_text

if __name__ == "__main__":
    sys.stdout.write(schema_text() if sys.argv[1:] == ["schema"] else reference_page())
