# The function app as a container, for Azure Functions on Container Apps:
#     docker build --file docker/functions.Dockerfile --tag dynamics-sync .
# requirements.txt is locked for this Python version and for x86_64.
FROM --platform=linux/amd64 mcr.microsoft.com/azure-functions/python:4-python3.13

ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true

COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.txt

COPY function_app.py host.json /home/site/wwwroot/
COPY batch_sync /home/site/wwwroot/batch_sync
COPY console /home/site/wwwroot/console
COPY event_sync /home/site/wwwroot/event_sync
COPY shared /home/site/wwwroot/shared
COPY syncs /home/site/wwwroot/syncs
# A new instance loads the bytecode and does not compile hundreds of modules first.
RUN python -m compileall -q /home/site/wwwroot
