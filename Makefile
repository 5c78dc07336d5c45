# Every command a person needs. `make` lists them.
# Works with GNU make 3.81, which macOS has, and later.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
PY := $(VENV)/bin/python
# bin/environment writes it: a copy of the lock that is installed.
INSTALLED := $(VENV)/installed.lock
CLIENTS := .venv-clients
LOCAL_AWS := packages/local-aws
CLIENTS_FOLDER := $(LOCAL_AWS)/tests/clients
ALONE := .venv-local-aws
PEERS := .venv-peers
PEERS_FOLDER := $(LOCAL_AWS)/tests/local_aws_tests/peers
INFRA := .venv-infra
TEMPLATES := build/cdk
AUDIT := .venv-audit
DASHBOARD := .venv-dashboard
SITE := .venv-site
MUTANTS := .venv-mutants
# Every lock of this repository: make audit looks up what is installed here, and nothing else.
LOCKS := requirements.lock $(CLIENTS_FOLDER)/requirements.lock $(PEERS_FOLDER)/requirements.lock infra/requirements.lock docs/requirements.lock tests/security/requirements.lock tests/mutants/requirements.lock dashboard/requirements.lock dashboard/requirements-test.lock

LOCAL_AWS_PORT ?= 4566
AIRFLOW_PORT ?= 8080
DASHBOARD_PORT ?= 8501
# Given on the command line: make demo UPLOADS=... ; handed on as environment variables, so that a name may
# hold any character.
UPLOADS ?=
AS_OF ?=
EXPIRY_WINDOW ?=
DATA_END ?=
STAY_CLASSES ?=
FILE ?=
SNAPSHOT ?=
SQL ?=
FORMAT ?=
ENV ?= dev
OUTPUTS ?=
CODE_BUCKET ?=
CHECKED ?=
DRY_RUN ?=
ARGS ?=
SEED ?=
STEPS ?= 200
# As many as there are processors on a small machine; each takes about 1 GB.
TEST_PROCESSES ?= 2
STACK ?= lake
AUDIT_ARGS ?=
export LOCAL_AWS_PORT AIRFLOW_PORT DASHBOARD_PORT UPLOADS AS_OF EXPIRY_WINDOW DATA_END STAY_CLASSES FILE SNAPSHOT SQL
# Python finds the library where Airflow finds it.
export PYTHONPATH := $(CURDIR):$(CURDIR)/plugins:$(CURDIR)/$(LOCAL_AWS)/src

.PHONY: help
help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} \
		/^test-[a-z-]+:.*## / {long = long (++count == 6 ? "\n  " : " ") substr($$1, 6); next} \
		/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2} \
		END {printf "\nLong tests (CONTRIBUTING.md describes them), make test-:%s\n", long}' $(MAKEFILE_LIST)

## Look at it

.PHONY: setup
setup: $(INSTALLED) ## Create or update the environment (.venv) from the lock
	@echo "The environment $(VENV) matches requirements.lock."

.PHONY: demo
demo: $(INSTALLED) ## Run the pipeline on sample data: UPLOADS=DIR AS_OF=DATE EXPIRY_WINDOW=P180D
	@$(PY) -m laptop demo $(if $(UPLOADS),--uploads "$$UPLOADS") $(if $(AS_OF),--as-of "$$AS_OF") $(if $(EXPIRY_WINDOW),--expiry-window "$$EXPIRY_WINDOW")

.PHONY: demo-staffing
demo-staffing: $(INSTALLED) ## Run nurse staffing on sample data or files of CMS: UPLOADS=DIR
	@$(PY) -m laptop demo-staffing $(if $(UPLOADS),--uploads "$$UPLOADS")

.PHONY: demo-clinical
demo-clinical: $(INSTALLED) ## Run clinical quality on sample data: UPLOADS=DIR DATA_END=DATE
	@$(PY) -m laptop demo-clinical $(if $(UPLOADS),--uploads "$$UPLOADS") $(if $(DATA_END),--data-end "$$DATA_END") $(if $(STAY_CLASSES),--stay-classes "$$STAY_CLASSES")

.PHONY: demo-dashboard
demo-dashboard: $(INSTALLED) $(DASHBOARD)/installed.lock ## Open the dashboard over samples of all pipelines: DASHBOARD_PORT=8501
	@$(PY) -m laptop demo-dashboard

## Keep it running

.PHONY: up
up: $(INSTALLED) ## Start local AWS and Airflow: LOCAL_AWS_PORT=4566 AIRFLOW_PORT=8080
	@$(PY) -m laptop up

.PHONY: upload
upload: $(INSTALLED) ## Upload a file; the DAG starts: FILE=... SNAPSHOT=YYYY-MM-DD
	@test -n "$$FILE" && test -n "$$SNAPSHOT" || { echo "Name the file and its snapshot: make upload FILE=... SNAPSHOT=YYYY-MM-DD" >&2; exit 2; }
	@$(PY) -m laptop upload --file "$$FILE" --snapshot "$$SNAPSHOT"

.PHONY: status
status: $(INSTALLED) ## What runs, where, and whether it is healthy
	@$(PY) -m laptop status

.PHONY: sql
sql: $(INSTALLED) ## Query the lake, with a history: SQL="SELECT ..." FORMAT=vertical|csv|json
	@$(PY) -m laptop sql $(if $(FORMAT),--format "$(FORMAT)") $(if $(SQL),-- "$$SQL")

.PHONY: alerts
alerts: $(INSTALLED) ## Show the published alerts
	@$(PY) -m laptop alerts

.PHONY: down
down: $(INSTALLED) ## Stop both; the lake stays in .local
	@$(PY) -m laptop down

.PHONY: dashboard
dashboard: $(INSTALLED) $(DASHBOARD)/installed.lock ## Open the dashboard over the running stack: DASHBOARD_PORT=8501
	@$(PY) -m laptop dashboard

.PHONY: aws
aws: $(INSTALLED) ## Run local AWS alone, in this terminal
	@$(PY) -m local_aws --port $(LOCAL_AWS_PORT) --state .local/aws

## Run it on AWS

.PHONY: package
package: $(INSTALLED) ## Build dist/mwaa for Amazon MWAA: ENV=dev OUTPUTS=stack-outputs.json
	@$(PY) -m deploy package --env "$(ENV)" $(if $(OUTPUTS),--outputs "$(OUTPUTS)")

.PHONY: deploy
deploy: $(INSTALLED) ## Check, package and upload to Amazon MWAA: ENV=dev DRY_RUN=1
	@$(PY) -m deploy mwaa --env "$(ENV)" $(if $(OUTPUTS),--outputs "$(OUTPUTS)") $(if $(CODE_BUCKET),--code-bucket "$(CODE_BUCKET)") $(if $(CHECKED),--checked "$(CHECKED)") $(if $(DRY_RUN),--dry-run)

.PHONY: synth
synth: $(INFRA)/installed.lock ## Write the CloudFormation templates of all environments to build/cdk
	@command -v node >/dev/null || { echo "CDK needs Node 22 or later: https://nodejs.org" >&2; exit 1; }
	@rm -rf $(TEMPLATES)
	@$(INFRA)/bin/python -m infra.app --out $(TEMPLATES)

.PHONY: preflight
preflight: $(INSTALLED) synth ## Find what would stop a deployment; reads only: ENV=dev ZONES="a b"
	@$(PY) -m deploy preflight --env "$(ENV)" --templates $(TEMPLATES) $(if $(ZONES),--zones $(ZONES))

.PHONY: diff-infra
diff-infra: $(INSTALLED) synth ## Show what deploy-infra would change: ENV=dev
	@$(PY) -m deploy changes --env "$(ENV)" --templates $(TEMPLATES)

.PHONY: deploy-infra
deploy-infra: $(INSTALLED) synth ## Deploy a stack: ENV=dev STACK=lake PARAMETERS="AlertsEmail=a@b.c"
	@test -n "$(ENV)" || { echo "Name the environment: make deploy-infra ENV=dev STACK=lake" >&2; exit 2; }
	@# MWAA's stack is created with the versions of its files, and keeps its parameters afterwards.
	versions=$(if $(filter mwaa,$(STACK)),$$($(PY) -m deploy versions --env "$(ENV)")) && set -- $$versions $(PARAMETERS) && \
	$(VENV)/bin/aws cloudformation deploy --stack-name medlaunch-$(ENV)-$(STACK) \
		--template-file $(TEMPLATES)/medlaunch-$(ENV)-$(STACK).template.json \
		--capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset \
		$${1:+--parameter-overrides "$$@"} $(if $(DRY_RUN),--no-execute-changeset)
	$(if $(DRY_RUN),,@$(PY) -m deploy protect --env "$(ENV)" --stack "$(STACK)" --templates $(TEMPLATES))

## Work on it

.PHONY: test
test: $(INSTALLED) ## Run the tests: ARGS="-k name" TEST_PROCESSES=2
	@$(PY) -m pytest --numprocesses $(TEST_PROCESSES) --no-loadscope-reorder $(ARGS)

.PHONY: test-trino
test-trino: $(INSTALLED) ## Compare local Athena with Trino; needs Java 17 and mvn
	@PYTHONPATH="$(CURDIR)/$(LOCAL_AWS)/tests:$$PYTHONPATH" $(PY) -m local_aws_tests.trino $(ARGS)

.PHONY: test-package
test-package: $(INSTALLED) ## Load dist/mwaa with the packages of MWAA's image: MWAA_CONSTRAINTS=file
	@$(PY) -m pytest -p no:cacheprovider -m slow tests/deploy/test_package_on_mwaa.py $(ARGS)

.PHONY: test-compose
test-compose: $(INSTALLED) ## Run docker-compose.yaml with real containers
	@$(PY) -m pytest -s -p no:cacheprovider -m docker tests/deploy/test_compose_running.py $(ARGS)

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
test-clients: $(INSTALLED) $(CLIENTS)/installed.lock ## Run published Athena clients against local AWS: ARGS="-k dbt"
	@LOCAL_AWS_PYTHON="$(CURDIR)/$(PY)" $(CLIENTS)/bin/python -m pytest -p no:cacheprovider -W ignore \
		--confcutdir=$(CLIENTS_FOLDER) $(CLIENTS_FOLDER) $(ARGS)
	@# examples/dbt too, whose tables the pipeline makes in its own environment; 5: ARGS chooses none of these tests.
	@DBT="$(CURDIR)/$(CLIENTS)/bin/dbt" $(PY) -m pytest -p no:cacheprovider -m slow tests/examples $(ARGS) || test $$? -eq 5

.PHONY: test-peers
test-peers: $(INSTALLED) $(PEERS)/installed.lock ## Run clients' own suites: {PYATHENA,AWSWRANGLER,DBT_ATHENA}_TESTS=DIR
	@PYTHONPATH="$(CURDIR)/$(LOCAL_AWS)/tests:$$PYTHONPATH" PEERS_PYTHON="$(CURDIR)/$(PEERS)/bin/python" \
		PYATHENA_TESTS="$(PYATHENA_TESTS)" AWSWRANGLER_TESTS="$(AWSWRANGLER_TESTS)" DBT_ATHENA_TESTS="$(DBT_ATHENA_TESTS)" \
		$(PY) -m local_aws_tests.peers --numprocesses $(TEST_PROCESSES) $(ARGS)

# Its own environment: Streamlit's versions and Airflow's never meet. ARGS="-m 'not browser'" needs no Chromium.
.PHONY: test-dashboard
test-dashboard: $(INSTALLED) $(DASHBOARD)/installed.lock ## Test the dashboard's pages, and use it in Chromium: ARGS="-k staffing"
	@PYTHONPATH= $(DASHBOARD)/bin/python -m pytest -c dashboard/pyproject.toml dashboard/tests $(ARGS)

.PHONY: screenshots
screenshots: $(INSTALLED) $(DASHBOARD)/installed.lock ## Make the pictures of the dashboard in docs/images; needs Chromium
	@PYTHONPATH= $(DASHBOARD)/bin/python -m pytest -c dashboard/pyproject.toml dashboard/tests/screenshots.py

.PHONY: test-load
test-load: $(INSTALLED) $(DASHBOARD)/installed.lock ## Time the dashboard's pages, and load them: PEOPLE=30 MINUTES=5
	@PYTHONPATH= $(DASHBOARD)/bin/python -m pytest -c dashboard/pyproject.toml dashboard/tests/load.py --timeout 3600 $(ARGS)

.PHONY: test-sql
test-sql: $(INSTALLED) ## Compare many random uploads in random order with the models
	@$(PY) -m pytest -p no:cacheprovider -m slow tests/sql $(ARGS)

.PHONY: test-permissions
test-permissions: $(INSTALLED) ## Remove each permission and see the step fail that needs it
	@$(PY) -m pytest -p no:cacheprovider -m slow tests/security/test_each_permission.py $(ARGS)

.PHONY: test-infra
test-infra: $(INSTALLED) synth ## Check the templates, and deploy the lake to local AWS
	@$(VENV)/bin/cfn-lint $(TEMPLATES)/*.template.json
	@INFRA_PYTHON="$(CURDIR)/$(INFRA)/bin/python" TEMPLATES="$(CURDIR)/$(TEMPLATES)" \
		$(PY) -m pytest -p no:cacheprovider -m slow tests/infra $(ARGS)

.PHONY: test-faults
test-faults: $(INSTALLED) ## Break each step in each way and compare the results: ARGS="-k publish"
	@$(PY) -m tests.faults $(ARGS)

.PHONY: test-mutants
test-mutants: $(INSTALLED) $(MUTANTS)/installed.lock ## Change the code in small ways and see a test fail: ARGS="plugins/medlaunch/publish --minutes 30"
	@$(PY) -m tests.mutants $(ARGS)

.PHONY: test-history
test-history: $(INSTALLED) ## Do random things to a lake and compare its tables with a model: SEED=1 STEPS=200
	@$(PY) -m tests.history --steps "$(STEPS)" $(if $(SEED),--seed "$(SEED)") $(ARGS)

.PHONY: lint
lint: $(INSTALLED) ## Check style, formatting, types and SQL; changes nothing
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m sqlfluff lint include/sql
	$(PY) -m docs.generate --check

.PHONY: audit
audit: $(AUDIT)/installed.lock ## Look up every locked version among the known vulnerabilities
	@for lock in $(LOCKS); do echo "$$lock"; \
		$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r "$$lock" $(AUDIT_ARGS) || exit 1; done

.PHONY: sbom
sbom: $(AUDIT)/installed.lock ## Write dist/sbom.cdx.json, the software bill of materials (CycloneDX)
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
bench: $(INSTALLED) ## Measure speed and memory; writes benchmarks/RESULTS.md
	@$(PY) -m benchmarks $(ARGS)

.PHONY: docs
docs: $(INSTALLED) ## Write the generated pages of docs/
	@$(PY) -m docs.generate

# Warnings are errors in strict mode, and --quiet would hide them.
.PHONY: site
site: $(SITE)/installed.lock ## Build the docs site in build/site; fails on a broken link: ARGS=serve
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs $(if $(ARGS),$(ARGS),build)

.PHONY: lock
lock: $(INSTALLED) ## Resolve the dependencies of pyproject.toml and packages/ again
	$(VENV)/bin/uv pip compile pyproject.toml $(LOCAL_AWS)/pyproject.toml --group local --group dev --universal --python-version 3.11 --generate-hashes --no-header -o requirements.lock -q
	$(VENV)/bin/uv pip compile $(CLIENTS_FOLDER)/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o $(CLIENTS_FOLDER)/requirements.lock -q
	$(VENV)/bin/uv pip compile $(PEERS_FOLDER)/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o $(PEERS_FOLDER)/requirements.lock -q
	$(VENV)/bin/uv pip compile infra/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o infra/requirements.lock -q
	$(VENV)/bin/uv pip compile docs/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o docs/requirements.lock -q
	$(VENV)/bin/uv pip compile dashboard/pyproject.toml --group dashboard/pyproject.toml:test --universal --python-version 3.11 --generate-hashes --no-header -o dashboard/requirements-test.lock -q
	$(VENV)/bin/uv pip compile dashboard/pyproject.toml --constraint dashboard/requirements-test.lock --universal --python-version 3.11 --generate-hashes --no-header -o dashboard/requirements.lock -q
	$(VENV)/bin/uv pip compile tests/security/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o tests/security/requirements.lock -q
	$(VENV)/bin/uv pip compile tests/mutants/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o tests/mutants/requirements.lock -q
	$(VENV)/bin/uv pip compile pyproject.toml --no-deps --no-strip-extras --no-annotate --python-version 3.12 --custom-compile-command "make lock" -o requirements.txt -q
	@$(MAKE) setup

.PHONY: clean
clean: ## Remove what can be made again; the lake in .local stays
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name '.*' ! -name . -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment follows its lock.
$(INSTALLED): requirements.lock
	@bin/environment $(VENV) $<

# Tools that few need, or that need other versions than Airflow does, have environments of their own.
$(CLIENTS)/installed.lock: $(CLIENTS_FOLDER)/requirements.lock $(INSTALLED)
	@bin/environment $(CLIENTS) $<

$(PEERS)/installed.lock: $(PEERS_FOLDER)/requirements.lock $(INSTALLED)
	@bin/environment $(PEERS) $<

$(AUDIT)/installed.lock: tests/security/requirements.lock $(INSTALLED)
	@bin/environment $(AUDIT) $<

$(MUTANTS)/installed.lock: tests/mutants/requirements.lock $(INSTALLED)
	@bin/environment $(MUTANTS) $<

$(SITE)/installed.lock: docs/requirements.lock $(INSTALLED)
	@bin/environment $(SITE) $<

$(DASHBOARD)/installed.lock: dashboard/requirements-test.lock $(INSTALLED)
	@bin/environment $(DASHBOARD) $<

$(INFRA)/installed.lock: infra/requirements.lock $(INSTALLED)
	@bin/environment $(INFRA) $<
