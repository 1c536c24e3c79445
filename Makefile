# The face of every habit of this project: `make` lists them.

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
TOOLS := $(VENV)/tools/.stamp

# The first Python on the path that is new enough. Looked up only when a recipe needs it; override: make PYTHON=...
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$each"; break; }; done)

# Extra arguments: make test ARGS='-k retry -x'
ARGS ?=
# One more than there are cores: tests wait for servers as often as they compute.
WORKERS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 1 )))
# What pytest makes of the sources and the tests is kept: to do it again costs each worker, and each run of pytest within
# a test, as much as the collecting itself.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup tools demo yaml-suite fuzz test test-fast long lint format types check docs bench bench-durable clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## create .venv with the package and the development tools (once)
	@echo '$(VENV) is ready. To have flowlang on your path: . $(BIN)/activate'

$(STAMP): pyproject.toml requirements-dev.txt
	@python='$(PYTHON)'; \
	if [ -z "$$python" ]; then \
		echo 'FlowLang needs Python 3.11 or newer; none was found. Name one with: make setup PYTHON=/path/to/python3' >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$$python cannot make virtual environments. On Debian and Ubuntu: apt install python$$version-venv" >&2; exit 1; fi; \
	echo "Setting up $(VENV) with $$("$$python" --version) ..."; \
	"$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]' --requirement requirements-dev.txt
	@$(BIN)/python -m compileall -q src
	@touch $@

tools: $(TOOLS) ## install what the tests need beside Python packages (once; servers and npm, by Debian packages when root)

$(TOOLS): tests/tools/package.json tests/tools/setup.py tests/servers/kinds.py $(wildcard tests/servers/sources/*) | $(STAMP)
	@$(BIN)/python -m tests.tools.setup $@

demo: $(STAMP) ## run the main example: import a file of facts into SQLite and ask it questions
	@mkdir -p build
	@$(BIN)/python -m compileall -q src
	$(BIN)/flowlang run examples/nobel.yaml -i database=build/nobel.db $(ARGS)

test: $(STAMP) $(TOOLS) ## run the whole test suite, in random order on all cores
	$(PYTEST) -n $(WORKERS) --dist worksteal $(ARGS)

test-fast: $(STAMP) $(TOOLS) ## run the tests except the slow ones
	$(PYTEST) -n $(WORKERS) --dist worksteal -m 'not slow and not long' $(ARGS)

long: $(STAMP) $(TOOLS) ## run the sets of tests that take minutes: soaks, random kills, a mutant for each check of the conformance kit
	$(PYTEST) -n $(WORKERS) --dist worksteal -m long $(ARGS)

lint: $(STAMP) ## look for mistakes and departures from the style (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## mend what ruff can mend, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## check the types of src, strictly (mypy)
	$(BIN)/mypy

check: lint types test ## everything a change must pass; the same as .ci/run

docs: $(STAMP) ## build the site of the docs into build/site/, and refuse dead links and stale pages
	$(BIN)/python docs/site/build.py $(ARGS)

yaml-suite: $(STAMP) $(TOOLS) ## hold the reader against the public YAML test suite, and print each difference with its reason
	@$(BIN)/python -m tests.document.suite

SECONDS ?= 60
fuzz: $(STAMP) ## let atheris look for files and expressions that nobody thought of, SECONDS=60 each
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-fuzz.txt
	@mkdir -p build/fuzz/flows build/fuzz/expressions
	@cp tests/checking/valid/*.yaml tests/document/valid/*.yaml build/fuzz/flows
	$(BIN)/python -m tests.fuzz.flows -max_total_time=$(SECONDS) -max_len=4000 -timeout=10 -artifact_prefix=build/fuzz/ build/fuzz/flows
	$(BIN)/python -m tests.fuzz.expressions -max_total_time=$(SECONDS) -timeout=10 -artifact_prefix=build/fuzz/ build/fuzz/expressions

bench: $(STAMP) ## measure against the floors and targets (ARGS='--write docs/benchmarks.md' to publish)
	@$(BIN)/python -m compileall -q src bench
	$(BIN)/python bench/run.py $(ARGS)

bench-durable: $(STAMP) $(TOOLS) ## measure durable steps beside DBOS, Restate, Temporal and Celery (ARGS='--write docs/benchmarks-durable.md')
	@$(BIN)/python -m compileall -q src bench
	PYTHONPATH=bench $(BIN)/python -m durable $(ARGS)

clean: ## remove what builds, tests and runs left behind; .venv stays
	rm -rf build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} +
