# The one door to everything a person does with a checkout. `make` alone prints the menu.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev

# Tests write many small databases; memory is the place for them where there is one. They start many processes of our own
# code, which is compiled once, whatever the environment wants.
TESTENV := env -u PYTHONDONTWRITEBYTECODE $(if $(wildcard /dev/shm/.),TMPDIR=/dev/shm,)
# What SQLite was told is noted here, so that PostgreSQL hears all of it: tests/statements.py.
SAID := .pytest_cache/statements
ON_POSTGRES := tests/core tests/stories tests/appeals tests/invoicing tests/opening tests/settlement tests/desk tests/ops/test_invoicing_commands.py
MACHINES := $(shell grep -rl --include='test_*.py' 'from tests.machines import' tests)
REAL_ONES := tests/stack tests/worker tests/browser tests/desk
HERE := not engine and not browser and not nightly
REAL := (engine or browser)
AT_ONCE := 2
PYTEST = $(TESTENV) $(BIN)/python -m pytest -n $(AT_ONCE)
POSTGRES = $(TESTENV) $(BIN)/python -m tests.postgres $(BIN)/python -m pytest -n $(AT_ONCE) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo up test computing waiting postgres scale nightly browser lint bench soak constraints clean

help:            ## print this menu
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What running needs, and what testing needs beside it; each pinned and hashed in a file of its own.
$(STAMP): constraints.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(call install,constraints.txt,what Dianwu runs on)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

$(DEV): $(STAMP) constraints-dev.txt
	@$(call install,constraints-dev.txt,what the tests and linters need beside it)
	@touch $(DEV)

# Says what is happening before the long silence, and how long it took.
install = printf 'Installing %s: %s packages from %s, usually one to three minutes …\n' '$(2)' \
	  "$$(grep -c '==' $(1))" $(1) && began=$$(date +%s) && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(1) && \
	printf 'Done in %s s.\n' "$$(( $$(date +%s) - began ))"

setup: $(DEV)    ## install everything, pinned and hashed, into .venv

demo: $(STAMP)   ## run the demonstration and stay up; AUTO=1 plays it to the end and checks everything
	$(BIN)/dianwu demo $(if $(AUTO),--auto)

up: $(STAMP)     ## run the stack for real use, from settings, until Ctrl-C
	$(BIN)/dianwu up

test: $(DEV)   ## run the tests: SQLite, what differs on PostgreSQL, real Prefect, real Chromium
	@echo 'One half computes (SQLite, PostgreSQL), the other waits for processes; each prints what it has to say when it ends.'
	@+$(MAKE) --no-print-directory --jobs=2 --output-sync computing waiting

# Whoever waits for processes goes first when they come; who computes has the rest of the cores.
computing: $(DEV)
	rm -rf $(SAID)
	DIANWU_TEST_STATEMENTS=$(SAID) nice $(PYTEST) --dist worksteal -m "$(HERE)"
	DIANWU_TEST_STATEMENTS=$(SAID) nice $(POSTGRES) -m "both and $(HERE)" $(ON_POSTGRES)

# Real processes on a machine that others use, too: what failed beside everything else is tried once more, alone and in stacks
# of its own. The first failure is printed all the same, and what fails twice has failed.
waiting: CHOSEN = -m "$(REAL) and not nightly and not scale" -p no:randomly -o cache_dir=.pytest_cache/waiting $(REAL_ONES)
waiting: $(DEV)
	rm -rf .pytest_cache/waiting
	$(PYTEST) -n 3 --dist loadscope --no-loadscope-reorder $(CHOSEN) || { [ $$? -eq 1 ] && \
	  echo 'FAILED ONCE, tried once more by itself. If it passes now, it is still to be looked at:' && \
	  $(TESTENV) $(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(CHOSEN); }

postgres: $(DEV) ## run everything on PostgreSQL, where `make test` runs as much as says everything to it
	$(POSTGRES) -m "$(HERE)" $(ON_POSTGRES)

scale: $(DEV)  ## run two of everything, as deploy/ says, and kill one of each
	$(TESTENV) $(BIN)/python -m pytest -m scale -p no:randomly $(REAL_ONES)

nightly: $(DEV) postgres ## run what takes too long for every change: every verb killed, every old form, all on PostgreSQL
	DIANWU_TEST_EXAMPLES=40 $(PYTEST) $(MACHINES)
	$(PYTEST) --dist loadscope -m nightly -p no:randomly $(REAL_ONES)

browser: $(DEV) ## only the operator's day in Chromium; DIANWU_SCREENSHOTS=1 keeps the pictures of the guide
	$(TESTENV) $(BIN)/python -m pytest -m browser -p no:randomly $(REAL_ONES)

bench: $(DEV)  ## measure everything, into docs/benchmarks.md; PEERS=1 measures DBOS and Airflow too
	$(TESTENV) $(BIN)/python -m benchmarks $(if $(PEERS),--peers)

soak: $(DEV)   ## half an hour of mixed load with workers killed at random (MINUTES=30)
	$(TESTENV) $(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),30)

lint: $(DEV)   ## check style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

constraints: $(DEV) ## pin the dependencies of pyproject.toml anew, with hashes and without addresses
	$(pin) --extra build --extra scale pyproject.toml -o constraints.txt
	$(pin) --extra build --extra scale --extra dev -c constraints.txt pyproject.toml -o constraints-dev.txt

pin = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

clean:           ## remove what running left behind (not the data in .dianwu)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
