# The distribution's Python is built for speed (PGO, LTO); one that was compiled by hand often is not.
PYTHON ?= $(shell /usr/bin/python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo /usr/bin/python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
N ?= 70
SEED ?= 1
soak: MINUTES ?= 120
fuzz: MINUTES ?= 10
RATE ?= 2000
.PHONY: help demo page picture switch test lint spec bench soak chaos fuzz api mutants lock clean install

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

install: $(INSTALLED) ## set up the virtual environment

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "rater needs Python 3.11 or newer; name it with: make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Python cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED) ## rate a month of three tenants and show what happened
	$(BIN)/rater demo

picture: $(INSTALLED) ## Kafka, worker, agents, gateway, traffic and Prometheus on this machine, until Ctrl-C
	PATH="$(CURDIR)/$(BIN):$$PATH" deploy/picture.sh

page: $(INSTALLED) ## the page over the month of the demo, with a link that signs in once; until Ctrl-C
	$(BIN)/rater dev page

switch: $(INSTALLED) ## a real Kamailio asks a rater: three calls, and what is billed for each
	$(BIN)/python -m tests.switches

test: lint ## every check, the tests last
	$(BIN)/python -m pytest -n 4 --dist loadgroup --no-loadscope-reorder

lint: $(INSTALLED) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

spec: $(INSTALLED) ## the whole specification on real Kafka, too: about 20 minutes
	$(BIN)/python -m pytest tests/spec -m on_kafka

bench: $(INSTALLED) ## the figures, as JSON
	$(BIN)/python benchmarks/core.py --json
	$(BIN)/python benchmarks/decoders.py --json
	$(BIN)/python -m benchmarks.mappings
	$(BIN)/python benchmarks/embedded.py --json
	$(BIN)/python benchmarks/kafka.py --json
	$(BIN)/python benchmarks/serve.py --json

soak: $(INSTALLED) ## whether memory, disk and latency stay flat: make soak MINUTES=120 RATE=2000
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) --rate $(RATE)

chaos: $(INSTALLED) ## the long form of tests: kills, drills, faults in the rules; and 100,000 simulated hours
	RATER_CHAOS=long $(BIN)/python -m pytest tests/kafka/test_chaos.py tests/kafka/test_agents.py \
		tests/kafka/test_bridge.py tests/kafka/test_second_site.py tests/kafka/test_move.py \
		tests/kafka/test_take_over.py tests/kafka/test_drills.py \
		tests/serve/test_kills.py tests/kafka/test_serve.py tests/mutants
	$(BIN)/python -m tests.simulation 0 100000

fuzz: $(INSTALLED) ## look for inputs that a decoder cannot read: make fuzz MINUTES=10
	$(BIN)/python -m pip install --quiet 'atheris>=3,<4' # not locked: there are wheels for some machines only
	$(BIN)/python -m tests.fuzz.fuzz --minutes $(MINUTES)

api: $(INSTALLED) ## ask the HTTP server much that its OpenAPI document allows, and what it does not
	$(BIN)/python -m pip install --quiet 'schemathesis>=4,<5' # not locked: only this needs it
	$(BIN)/python -m tests.serve

mutants: $(INSTALLED) ## how many small faults in the rules the tests notice: make mutants N=70 SEED=1
	$(BIN)/python -m tests.mutants --number $(N) --seed $(SEED)

lock: ## lock the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --group dev \
		--all-extras --no-header --no-emit-index-url --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url -c requirements.lock --output-file deploy/requirements.lock pyproject.toml

clean: ## forget the virtual environment and what was written by demo and tests
	rm -rf $(VENV) .kafka demo-output page-demo picture rater-index test-screens tests/fuzz/found .pytest_cache .mypy_cache .ruff_cache
