"""The function app: two triggers over one core."""

import azure.functions as func

from batch_sync.function import blueprint as batch_sync
from event_sync.function import blueprint as event_sync

app = func.FunctionApp()
app.register_functions(batch_sync)
app.register_functions(event_sync)
