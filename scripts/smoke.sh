#!/bin/sh
# After `azd deploy`: wait until Azure shows all functions of the app. An app whose packages cannot be imported shows
# none. azd runs this as its postdeploy hook, with the outputs of infra/main.bicep in the environment. In a pipeline
# without azd, FUNCTION_APP and RESOURCE_GROUP name the app, and `az` is signed in.
set -eu
manager="${AZURE_RESOURCE_MANAGER:-https://management.azure.com}"
tries="${SMOKE_TRIES:-40}"
if [ -n "${FUNCTION_APP_ID:-}" ]; then
    token=$(azd auth token --output json | sed -n 's/.*"token"[^"]*"\([^"]*\)".*/\1/p')
else
    FUNCTION_APP_ID=$(az functionapp show --resource-group "$RESOURCE_GROUP" --name "$FUNCTION_APP" --query id --output tsv)
    token=$(az account get-access-token --query accessToken --output tsv)
fi
url="$manager$FUNCTION_APP_ID/functions?api-version=2024-04-01"

try=1
while [ "$try" -le "$tries" ]; do
    # The token goes through standard input: arguments of a process can be read by other users of the machine.
    found=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | curl --silent --show-error --config - "$url" || true)
    missing=""
    for name in batch_sync batch_job event_sync console; do
        case "$found" in
            *"/functions/$name\""*) ;;
            *) missing="$missing $name" ;;
        esac
    done
    if [ -z "$missing" ]; then
        echo "Smoke test: $FUNCTION_APP shows batch_sync, batch_job, event_sync and console."
        exit 0
    fi
    try=$((try + 1))
    sleep "${SMOKE_SECONDS:-5}"
done
echo "Smoke test failed: $FUNCTION_APP does not show:$missing." >&2
echo "The app cannot be loaded. Look at its log in Application Insights (table exceptions), and at docs/runbook.md," >&2
echo "section 'The functions are missing after a deployment'." >&2
exit 1
