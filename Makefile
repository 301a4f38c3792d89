# Everything a person or CI does here. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.requirements
SANDBOX ?= 1
DAY ?=
TRANSFERS ?= $(if $(filter 1,$(DAY)),600,200)
PAYMENTS ?= 5
REQUESTS ?= 20000
SEED ?=
SEEDS ?= 1000
LEDGERS ?= 1
SCENARIOS ?= default
DURATION ?=
OUT ?=
HUB ?= own
BENCH_OPTIONS ?=
MINUTES ?= 5
TIMES ?= 10
DFSPS ?= 1000
BROKERS ?= 1
RATE ?= 150
# Enough for a laptop; changed by a copy and a restore (docs/recovery.md), or `make clean-data`.
PARTITIONS := $(or $(CLEARINGHUB_PARTITIONS),4)

.DEFAULT_GOAL := help
.PHONY: help setup run demo test conformance fuzz chaos blackout pairs simulate mutants proofs drills backup-proof check lint format clean-data bench bench-engine bench-jws bench-tls slow-receiver lock docs messages golden upgrade

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## make the virtual environment with everything pinned

$(STAMP): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON) 3.11 or newer (or set PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "too old: `$(PYTHON) --version`; 3.11 or newer is needed (or set PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "missing: Python's venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "setup: virtual environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

run: $(STAMP) ## run the hub and two simulated DFSPs on this machine until Ctrl-C; SANDBOX=0: the hub alone; BROKERS=3
	@case "$(SANDBOX)" in 0) sandbox= ;; 1) sandbox=--sandbox ;; *) echo "SANDBOX is 0 or 1" >&2; exit 2 ;; esac; \
	CLEARINGHUB_PARTITIONS=$(PARTITIONS) CLEARINGHUB_LOCAL_BROKERS=$(BROKERS) CLEARINGHUB_LOG_FORMAT=$${CLEARINGHUB_LOG_FORMAT:-console} exec $(BIN)/python -m clearinghub all $$sandbox

demo: $(STAMP) ## PAYMENTS=5 whole payments of each kind and TRANSFERS=200 mixed ones, all checked; DAY=1: a day with settlement
	@case "$(DAY)" in ''|0) what="--payments $(PAYMENTS)" ;; 1) what=--day ;; *) echo "DAY is 0 or 1" >&2; exit 2 ;; esac; \
	exec $(BIN)/python -m clearinghub demo $$what --transfers $(TRANSFERS)

test: lint ## lint, then every test (real Kafka)
	$(BIN)/python -m pytest

conformance: $(STAMP) ## Mojaloop's own hub tests on clean data; LEDGERS=2: the ledger in two processes
	@exec $(BIN)/python -m tests.conformance.run --ledgers $(LEDGERS)

fuzz: $(STAMP) ## requests of every route, good and bad, at a hub of its own; REQUESTS=20000 SEED=1
	FUZZ_REQUESTS=$(REQUESTS) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -s tests/fuzz

chaos: $(STAMP) ## processes, broker and DFSPs die under load, nothing may be lost; MINUTES=5 RATE=150 SEED=1 BROKERS=3
	@exec $(BIN)/python -m tests.chaos.run --seconds $$(($(MINUTES) * 60)) --rate $(RATE) --brokers $(BROKERS) $(if $(SEED),--seed $(SEED))

blackout: BROKERS = 3
blackout: $(STAMP) ## everything killed at once with -9, TIMES=10 times under load, brokers too; nothing may be lost; RATE=150 SEED=1
	@exec $(BIN)/python -m tests.chaos.run --blackouts $(TIMES) --rate $(RATE) --brokers $(BROKERS) $(if $(SEED),--seed $(SEED))

upgrade: $(STAMP) ## roll every process to another release and back under load; FROM=v1.0.0 TO=HEAD UPGRADE_RATE=100
	@exec $(BIN)/python -m tests.upgrade.run $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO)) --rate $(or $(UPGRADE_RATE),100)

pairs: $(STAMP) ## close and settle a window of DFSPS=1000 that all have paid each other, by pairs, in memory; some minutes
	@DFSPS=$(DFSPS) exec $(BIN)/python -m pytest -q -s -m slow tests/unit/agents/settlement/test_many_pairs.py

simulate: $(STAMP) ## the hub under faults of all kinds, simulated; SEEDS=1000, or SEED=123 again
	@exec $(BIN)/python -m tests.simulation --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

proofs: $(STAMP) ## the tests that `make test` runs with small counts, with large ones: kills, windows, records; half an hour
	SIMULATED_SEEDS=200 SETTLEMENT_WINDOWS=50 BULK_KILLS=5 ARCHIVE_KILLS=10 ENGINE_KILLS=30 CLOSING_TRANSFERS=100000 BROKER_LOSSES=3 \
		ACLS_BY_COMMAND=ingress,admin-api,ledger,callbacks,setup $(BIN)/python -m pytest -s \
		tests/simulation/test_simulation.py tests/engine/test_kills.py tests/integration/test_settlement_windows.py tests/integration/test_bulks.py \
		tests/integration/test_archive.py tests/integration/test_broker_loss.py tests/integration/test_hub_on_three_brokers.py \
		tests/unit/agents/settlement/test_closing_cost.py tests/integration/test_acls.py

drills: $(STAMP) ## the drills of docs/recovery.md on a real broker: a broker lost, topics lost, a copy restored, growth
	$(BIN)/python -m pytest -s tests/integration/test_copies.py tests/engine/test_broker_losses.py \
		tests/integration/test_hub_on_three_brokers.py tests/simulation/test_stale_copy.py

backup-proof: $(STAMP) ## a hub with TRANSFERS=1000000 is copied at 200/s, then grows from 4 to 12 partitions
	$(BIN)/python -m bench.copies --transfers $(if $(filter command line,$(origin TRANSFERS)),$(TRANSFERS),1000000)

mutants: $(STAMP) ## break the code in deliberate ways; each must fail a seed of the simulation
	@exec $(BIN)/python -m tests.simulation.mutants

check: lint ## lint, then tidy, packaging, unit and property tests: a minute or two, no broker
	$(BIN)/python -m pytest -m "not kafka and not slow" tests/test_tidy.py tests/test_packaging.py tests/test_manifests.py tests/test_documents.py tests/test_words.py tests/unit tests/property

lint: $(STAMP) ## format, lint, types, who imports whom
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

format: $(STAMP) ## let ruff format and fix what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## load on a hub of its own, a report in bench/out/; SCENARIOS="rest hot" DURATION=60 OUT=... HUB=running
	@exec $(BIN)/python -m bench.load $(SCENARIOS) $(if $(DURATION),--duration $(DURATION)) $(if $(OUT),--out $(OUT)) \
		$(if $(HUB),--hub $(HUB)) $(BENCH_OPTIONS)

bench-jws: $(STAMP) ## measure what a signature costs
	$(BIN)/python -m bench.jws

bench-tls: $(STAMP) ## measure what TLS costs the ingress, and the sender of callbacks
	$(BIN)/python -m bench.tls
	$(BIN)/python -m bench.callback_tls

slow-receiver: $(STAMP) ## measure what a receiver that answers after 15 s costs the callbacks of others, on a real broker
	$(BIN)/python -m bench.slow_receiver

bench-engine: $(STAMP) ## measure the engine alone
	$(BIN)/python -m bench.engine

golden: $(STAMP) ## record rows and records of this release in tests/golden/; refused once it is tagged
	$(BIN)/python -m tests.golden.make

messages: $(STAMP) ## render docs/messages.md from the structs of the messages
	$(BIN)/python -m clearinghub.tools.messages_page docs

docs: $(STAMP) ## render what is drawn from the code, and build the documents as a site in site/, strictly
	$(BIN)/python -m clearinghub.tools.state_diagram docs
	$(BIN)/python -m clearinghub.tools.messages_page docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean-data: ## delete the data of the local broker and the tables; refuses while the hub runs
	@for file in run/*.pid; do \
		if test -f "$$file" && kill -0 "`cat $$file`" 2>/dev/null; then \
			echo "still running: $$file; stop the hub first" >&2; exit 1; fi; done
	rm -rf data run

lock: ## resolve pyproject.toml's pins anew into requirements.lock
	@folder=`mktemp -d` && trap 'rm -rf "$$folder"' EXIT && \
	$(PYTHON) -m venv "$$folder/venv" && \
	$(PYTHON) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print("\n".join(p["dependencies"] + p["optional-dependencies"]["dev"]))' > "$$folder/direct" && \
	"$$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r "$$folder/direct" && \
	{ echo "# All versions, made by \`make lock\` from pyproject.toml."; "$$folder/venv/bin/pip" freeze --disable-pip-version-check; } > requirements.lock
