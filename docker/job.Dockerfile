# The command line as a container, for Container Apps jobs, such as a run that is too large or too long for a function:
#     docker build --file docker/job.Dockerfile --tag dynamics-sync-job .
#     docker run dynamics-sync-job run customers
# requirements/job.txt is locked for this Python version and for x86_64.
FROM --platform=linux/amd64 python:3.13-slim-bookworm

RUN useradd --create-home --uid 10001 sync
WORKDIR /app

COPY requirements/job.txt /tmp/job.txt
RUN pip install --no-cache-dir --no-deps --require-hashes -r /tmp/job.txt

COPY pyproject.toml README.md LICENSE function_app.py ./
COPY batch_sync ./batch_sync
COPY console ./console
COPY event_sync ./event_sync
COPY shared ./shared
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

COPY syncs ./syncs
USER sync
ENTRYPOINT ["dynamics-sync"]
CMD ["--help"]
