"""The function app: its triggers over one core."""

from shared.deployment import check_when_deployed

# First of all: where a package cannot be imported, this says why.
check_when_deployed()

import azure.functions as func  # noqa: E402 - see above

from batch_sync.function import blueprint as batch_sync  # noqa: E402 - see above
from console.function import blueprint as console  # noqa: E402 - see above
from event_sync.function import blueprint as event_sync  # noqa: E402 - see above

app = func.FunctionApp()
app.register_functions(batch_sync)
app.register_functions(event_sync)
app.register_functions(console)
