#!/bin/sh
# Deploy a package that has all its packages, without a remote build: `deploy_package.sh FILE`, with FUNCTION_APP and
# RESOURCE_GROUP in the environment. Signed in with `az login`.
set -eu
az functionapp deployment source config-zip --resource-group "$RESOURCE_GROUP" --name "$FUNCTION_APP" \
    --src "$1" --build-remote false --output none
echo "Deployed $1 to $FUNCTION_APP."
