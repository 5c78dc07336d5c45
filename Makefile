# Every command a person needs. `make` lists them.
# Works with GNU make 3.81, which macOS has, and later.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
PY := $(VENV)/bin/python
UV_VERSION := 0.13.8
# A copy of the lock that is installed, so that the environment follows requirements.lock.
INSTALLED := $(VENV)/installed.lock
CLIENTS := .venv-clients
LOCAL_AWS := packages/local-aws
CLIENTS_ROOM := $(LOCAL_AWS)/tests/clients
ALONE := .venv-local-aws
INFRA := .venv-infra
TEMPLATES := build/cdk
AUDIT := .venv-audit
# Every lock of this repository: what is installed here is looked up, and nothing else.
LOCKS := requirements.lock $(CLIENTS_ROOM)/requirements.lock infra/requirements.lock tests/security/requirements.lock
ROOMS := dags plugins packages/local-aws/src packages/local-aws/tests sample_data laptop deploy infra benchmarks docs tests

LOCAL_AWS_PORT ?= 4566
AIRFLOW_PORT ?= 8080
# Given on the command line: make demo UPLOADS=... ; handed on as environment variables, so that a name may
# hold any character.
UPLOADS ?=
AS_OF ?=
EXPIRY_WINDOW ?=
FILE ?=
SNAPSHOT ?=
ENV ?= dev
OUTPUTS ?=
CODE_BUCKET ?=
CHECKED ?=
DRY_RUN ?=
ARGS ?=
# As many as there are processors on a small machine; each takes about 1 GB.
TEST_PROCESSES ?= 2
STACK ?= lake
AUDIT_ARGS ?=
export LOCAL_AWS_PORT AIRFLOW_PORT UPLOADS AS_OF EXPIRY_WINDOW FILE SNAPSHOT
# Rooms and the library are found as in Airflow.
export PYTHONPATH := $(CURDIR):$(CURDIR)/plugins:$(CURDIR)/$(LOCAL_AWS)/src

.PHONY: help
help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo

## Look at it

.PHONY: setup
setup: $(INSTALLED) ## Create or update the environment (.venv) from the lock
	@echo "The environment $(VENV) is what requirements.lock says."

.PHONY: demo
demo: $(INSTALLED) ## Run the pipeline on sample data: UPLOADS=DIR AS_OF=2026-11-20 EXPIRY_WINDOW=P180D
	@$(PY) -m laptop demo $(if $(UPLOADS),--uploads "$$UPLOADS") $(if $(AS_OF),--as-of "$$AS_OF") $(if $(EXPIRY_WINDOW),--expiry-window "$$EXPIRY_WINDOW")

## Keep it running

.PHONY: up
up: $(INSTALLED) ## Start local AWS and Airflow: LOCAL_AWS_PORT=4566 AIRFLOW_PORT=8080
	@$(PY) -m laptop up

.PHONY: upload
upload: $(INSTALLED) ## Drop a file, and the DAG reacts: FILE=... SNAPSHOT=YYYY-MM-DD
	@test -n "$$FILE" && test -n "$$SNAPSHOT" || { echo "Which file, for which snapshot? make upload FILE=... SNAPSHOT=YYYY-MM-DD" >&2; exit 2; }
	@$(PY) -m laptop upload --file "$$FILE" --snapshot "$$SNAPSHOT"

.PHONY: status
status: $(INSTALLED) ## What runs, where, and whether it is healthy
	@$(PY) -m laptop status

.PHONY: alerts
alerts: $(INSTALLED) ## Show the alerts that were published
	@$(PY) -m laptop alerts

.PHONY: down
down: $(INSTALLED) ## Stop it; the lake is kept in .local
	@$(PY) -m laptop down

.PHONY: aws
aws: $(INSTALLED) ## Run local AWS alone, in this terminal
	@$(PY) -m local_aws --port $(LOCAL_AWS_PORT) --state .local/aws

## Run it on AWS

.PHONY: package
package: $(INSTALLED) ## Build dist/mwaa, what Amazon MWAA reads: ENV=dev OUTPUTS=stack-outputs.json
	@$(PY) -m deploy package --env "$(ENV)" $(if $(OUTPUTS),--outputs "$(OUTPUTS)")

.PHONY: deploy
deploy: $(INSTALLED) ## Check, package, upload to Amazon MWAA: ENV=dev DRY_RUN=1 shows what it would do
	@$(PY) -m deploy mwaa --env "$(ENV)" $(if $(OUTPUTS),--outputs "$(OUTPUTS)") $(if $(CODE_BUCKET),--code-bucket "$(CODE_BUCKET)") $(if $(CHECKED),--checked "$(CHECKED)") $(if $(DRY_RUN),--dry-run)

.PHONY: synth
synth: $(INFRA)/installed.lock ## Write the CloudFormation templates of infra/ to build/cdk, for all environments
	@command -v node >/dev/null || { echo "CDK needs Node 22 or later: https://nodejs.org" >&2; exit 1; }
	@rm -rf $(TEMPLATES)
	@$(INFRA)/bin/python -m infra.app --out $(TEMPLATES)

.PHONY: diff-infra
diff-infra: $(INSTALLED) synth ## Show what deploy-infra would change, by change sets that are deleted again: ENV=dev
	@$(PY) -m deploy changes --env "$(ENV)" --templates $(TEMPLATES)

.PHONY: deploy-infra
deploy-infra: $(INSTALLED) synth ## Deploy a stack with CloudFormation: ENV=dev STACK=lake PARAMETERS="AlertsEmail=a@b.c"
	@test -n "$(ENV)" || { echo "Which environment? make deploy-infra ENV=dev STACK=lake" >&2; exit 2; }
	$(VENV)/bin/aws cloudformation deploy --stack-name medlaunch-$(ENV)-$(STACK) \
		--template-file $(TEMPLATES)/medlaunch-$(ENV)-$(STACK).template.json \
		--capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset \
		$(if $(PARAMETERS),--parameter-overrides $(PARAMETERS)) $(if $(DRY_RUN),--no-execute-changeset)
	$(if $(DRY_RUN),,@$(PY) -m deploy protect --env "$(ENV)" --stack "$(STACK)" --templates $(TEMPLATES))

## Work on it

.PHONY: test
test: $(INSTALLED) ## Run all tests: ARGS="-k name" TEST_PROCESSES=2
	@$(PY) -m pytest --numprocesses $(TEST_PROCESSES) --no-loadscope-reorder $(ARGS)

.PHONY: test-trino
test-trino: $(INSTALLED) ## Compare local Athena with a real Trino, which your mvn fetches; needs Java 17
	@PYTHONPATH="$(CURDIR)/$(LOCAL_AWS)/tests:$$PYTHONPATH" $(PY) -m local_aws_tests.trino $(ARGS)

.PHONY: test-package
test-package: $(INSTALLED) ## Prove dist/mwaa with what MWAA's image has: MWAA_CONSTRAINTS=copy-of-constraints.txt
	@$(PY) -m pytest -p no:cacheprovider tests/deploy/proof_package.py $(ARGS)

.PHONY: test-compose
test-compose: $(INSTALLED) ## Prove docker-compose.yaml with real containers, where no registry can be reached too
	@$(PY) -m pytest -s -p no:cacheprovider tests/deploy/proof_compose.py $(ARGS)

# From what is built of it, without the rest of the repository, in the versions of the lock.
.PHONY: test-installed
test-installed: $(INSTALLED) ## Build packages/local-aws, install it alone, run its tests: ARGS="-k iceberg"
	@rm -rf build/local-aws
	@$(VENV)/bin/uv build --quiet --wheel --out-dir build/local-aws $(LOCAL_AWS)
	@$(VENV)/bin/uv venv --quiet --clear --python $(PY) $(ALONE)
	@VIRTUAL_ENV="$(CURDIR)/$(ALONE)" $(VENV)/bin/uv pip install --quiet --constraint requirements.lock \
		--group $(LOCAL_AWS)/pyproject.toml:test build/local-aws/*.whl
	@cd $(LOCAL_AWS) && PYTHONPATH= "$(CURDIR)/$(ALONE)/bin/python" -m pytest -p no:cacheprovider \
		--override-ini pythonpath=tests --numprocesses $(TEST_PROCESSES) $(ARGS)

# Clients need versions that Airflow's do not go with, and have an environment and a lock of their own.
.PHONY: test-clients
test-clients: $(INSTALLED) $(CLIENTS)/installed.lock ## Run published clients of Athena against local AWS: ARGS="-k dbt"
	@LOCAL_AWS_PYTHON="$(CURDIR)/$(PY)" $(CLIENTS)/bin/python -m pytest -p no:cacheprovider -W ignore \
		--confcutdir=$(CLIENTS_ROOM) $(CLIENTS_ROOM) $(ARGS)

.PHONY: test-permissions
test-permissions: $(INSTALLED) ## Take each permission away and see the step fail that needs it
	@$(PY) -m pytest -p no:cacheprovider tests/security/proof_each_permission.py $(ARGS)

.PHONY: test-infra
test-infra: $(INSTALLED) synth ## Prove the templates: cdk-nag, cfn-lint, every promise, and the lake deployed to local AWS
	@$(VENV)/bin/cfn-lint $(TEMPLATES)/*.template.json
	@INFRA_PYTHON="$(CURDIR)/$(INFRA)/bin/python" TEMPLATES="$(CURDIR)/$(TEMPLATES)" \
		$(PY) -m pytest -p no:cacheprovider tests/infra/proof_templates.py tests/infra/proof_deployed.py $(ARGS)

.PHONY: test-faults
test-faults: $(INSTALLED) ## Break each step in each way, and compare with the undisturbed result: ARGS="-k publish"
	@$(PY) -m tests.faults $(ARGS)

.PHONY: lint
lint: $(INSTALLED) ## Check style, formatting, types and SQL; changes nothing
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy $(ROOMS)
	$(PY) -m sqlfluff lint include/sql
	$(PY) -m docs.generate --check

.PHONY: audit
audit: $(AUDIT)/installed.lock ## Look every locked version up among the known vulnerabilities, which needs the internet
	@for lock in $(LOCKS); do echo "$$lock"; \
		$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r "$$lock" $(AUDIT_ARGS) || exit 1; done

.PHONY: sbom
sbom: $(AUDIT)/installed.lock ## Write dist/sbom.cdx.json: what a release was made and tested with (CycloneDX)
	@mkdir -p dist
	@$(AUDIT)/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type application \
		--output-reproducible --validate --of JSON --output-file dist/sbom.cdx.json
	@echo dist/sbom.cdx.json

.PHONY: format
format: $(INSTALLED) ## Format Python and SQL, and fix what can be fixed
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(PY) -m sqlfluff fix include/sql

.PHONY: bench
bench: $(INSTALLED) ## Measure speed and memory, and write benchmarks/RESULTS.md
	@$(PY) -m benchmarks $(ARGS)

.PHONY: docs
docs: $(INSTALLED) ## Write the generated pages of docs/
	@$(PY) -m docs.generate

.PHONY: lock
lock: $(INSTALLED) ## Resolve the dependencies of pyproject.toml and packages/ anew
	$(VENV)/bin/uv pip compile pyproject.toml $(LOCAL_AWS)/pyproject.toml --group local --group dev --universal --python-version 3.11 --generate-hashes --no-header -o requirements.lock -q
	$(VENV)/bin/uv pip compile $(CLIENTS_ROOM)/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o $(CLIENTS_ROOM)/requirements.lock -q
	$(VENV)/bin/uv pip compile infra/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o infra/requirements.lock -q
	$(VENV)/bin/uv pip compile tests/security/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o tests/security/requirements.lock -q
	$(VENV)/bin/uv pip compile pyproject.toml --no-deps --no-strip-extras --no-annotate --python-version 3.12 --custom-compile-command "make lock" -o requirements.txt -q
	@$(MAKE) setup

.PHONY: clean
clean: ## Remove what can be made again; the lake in .local stays
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(ROOMS) -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python of a version that the lock is for.
FIND_PYTHON = for python in $(PYTHON) python3.12 python3.11 python3.13 python3 python; do \
	if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	echo "$$python"; break; fi; done

$(INSTALLED): requirements.lock
	@if cmp -s requirements.lock $@; then touch $@; exit 0; fi; \
	set -e; \
	if [ ! -x $(PY) ]; then \
		python=$$($(FIND_PYTHON)); \
		if [ -z "$$python" ]; then \
			echo "Python 3.11, 3.12 or 3.13 is needed, and there is: $$(python3 --version 2>&1 || echo none)." >&2; \
			echo "Install one (python.org, your package manager), or name it: make setup PYTHON=/path/to/python3.12" >&2; \
			exit 1; \
		fi; \
		echo "Creating the environment $(VENV) with $$($$python --version)"; \
		$$python -m venv $(VENV) || { rm -rf $(VENV); echo "$$python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi; \
	if ! $(VENV)/bin/uv --version 2>/dev/null | grep -q "^uv $(UV_VERSION)"; then \
		$(PY) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	fi; \
	echo "Installing what requirements.lock says"; \
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(VENV)/bin/uv pip sync --quiet --require-hashes requirements.lock; \
	$(PY) -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "medlaunch.pth").write_text("$(CURDIR)/plugins\n$(CURDIR)/$(LOCAL_AWS)/src\n")'; \
	cp requirements.lock $@

# Tools whose versions Airflow's do not go with, or that few need, each in an environment of its own.
OWN_ENVIRONMENT = if cmp -s $< $@; then touch $@; exit 0; fi; \
	set -e; \
	test -x $(@D)/bin/python || $(PY) -m venv --without-pip $(@D); \
	echo "Installing what $< names in $(@D)"; \
	VIRTUAL_ENV="$(CURDIR)/$(@D)" $(VENV)/bin/uv pip sync --quiet --require-hashes $<; \
	cp $< $@

$(CLIENTS)/installed.lock: $(CLIENTS_ROOM)/requirements.lock $(INSTALLED)
	@$(OWN_ENVIRONMENT)

$(AUDIT)/installed.lock: tests/security/requirements.lock $(INSTALLED)
	@$(OWN_ENVIRONMENT)

$(INFRA)/installed.lock: infra/requirements.lock $(INSTALLED)
	@$(OWN_ENVIRONMENT)
