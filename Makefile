# The targets are the project's fixed names; each does its own set-up. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export ETH_HASH_BACKEND := pysha3
export PYTHONDONTWRITEBYTECODE :=

PY ?= python3
BIN := .venv/bin
MOL := $(BIN)/mol
CHAIN ?= embedded
PYTEST := $(BIN)/python -m pytest
SOURCES := audit contracts edge integrations ledger_service validators tests

.PHONY: help demo serve test check bench simulate clean lock setup-run setup-dev setup-peers fix docs audit-deps sbom

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s $$'\t'

# ---- set-up: idempotent, quick when done
.venv/bin/uv: requirements/uv.txt
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; set PY=...")'
	@$(PY) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.run: requirements/run.txt pyproject.toml | .venv/bin/uv
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/run.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

.venv-proof/.done: requirements/proof.txt | .venv/bin/uv
	@$(BIN)/uv venv -q --clear --python $(BIN)/python .venv-proof
	@$(BIN)/uv pip install -q --python .venv-proof/bin/python --require-hashes -r requirements/proof.txt
	@touch $@

setup-run: .venv/.run ## what runs: virtual environment and locked dependencies
setup-dev: .venv/.dev ## and what tests, checks and measures it

setup-peers: .venv/.dev .venv-proof/.done ## the real parts that tests run against
	@bash tests/peers/setup.sh
	@bash contracts/setup.sh

# ---- the main job
DEMO = $(MOL) demo --chain $(CHAIN) $(if $(INPUT),--input "$(INPUT)") $(if $(ORDERS),--orders $(ORDERS)) $(if $(OUT),--out "$(OUT)") $(if $(DEST),--dest $(DEST)) $(if $(EDGE),--edge)

demo: setup-run ## the whole journey, from nothing: CHAIN=embedded|clique|qbft, INPUT=folder, ORDERS=n, OUT=folder
	@$(DEMO)

serve: setup-run ## the same stack, left running until Ctrl-C; takes what demo takes
	@$(DEMO) --serve

# ---- proof that it holds
test: setup-peers ## all rings, real peers: ARGS="tests/unit -k name"
	@$(PYTEST) $(ARGS)

check: setup-dev ## format, lint, types, floors, budgets, docs and artifacts fresh
	@$(BIN)/ruff format --check -q $(SOURCES)
	@$(BIN)/ruff check -q $(SOURCES)
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(PYTEST) -q tests/house

bench: setup-dev ## benchmarks: ONLY=name, CHAIN=clique|qbft|embedded
	@$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(filter-out file,$(origin CHAIN)),--chain $(CHAIN))

simulate: setup-dev ## the deterministic simulator: N=seeds, SEED=one, ARGS="--json FILE"
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(N),100) --processes 2) $(ARGS)

# ---- housekeeping
fix: setup-dev ## format and mend what can be mended
	@$(BIN)/ruff check -q --fix $(SOURCES) || true
	@$(BIN)/ruff format -q $(SOURCES)

docs: setup-dev ## write the pages that are made from the code
	@$(BIN)/python -m tests.house.error_page

lock: .venv/bin/uv ## make the locks anew
	@for pair in "uv.in:uv" "proof.in:proof"; do \
	  $(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header requirements/$${pair%%:*} -o requirements/$${pair##*:}.txt; done
	@$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra dev requirements/build.in -o requirements/dev.txt
	@$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra run requirements/build.in -c requirements/dev.txt -o requirements/run.txt

audit-deps: setup-dev ## known vulnerabilities in what runs; fails if any of it cannot be looked up
	@$(BIN)/uv tool run pip-audit@2.10.1 --strict --disable-pip --require-hashes -r requirements/run.txt

sbom: setup-dev ## what runs, as a CycloneDX list: build/sbom.json
	@mkdir -p build
	@$(BIN)/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements/run.txt -o build/sbom.json
	@echo "build/sbom.json"

clean: ## back to a bare checkout
	@rm -rf .venv .venv-proof build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -rf contracts/node_modules contracts/out contracts/cache tests/peers/node_modules *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
