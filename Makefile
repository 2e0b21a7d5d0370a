# make setup   the environment (.venv), renewed when requirements/*.txt changed
# make run     the whole of Weir on this machine, at http://127.0.0.1:3000; Ctrl-C ends it
# make test    all tests, with real engines       make check   lint, types, unit tests    make engines   the rest
# make failed  what failed last, one after the other
# make sam     SAM's command line, in an environment of its own: the line it prints puts it on the PATH
# make bench   the benchmarks                      make faults   breaks all of it in every way, and counts (ONLY=name SHORT=1)

# Tests wait for engines more than they compute, so more processes than cores share them (tests/support/scheduling.py).
TESTERS ?= 3
PYTHON3 ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
LOCKED := requirements/uv.txt requirements/dev.txt

.DEFAULT_GOAL := run
.PHONY: setup run sam test check unit engines failed bench faults clean

setup: .venv/weir.stamp

# The stamp is written last: a setup that was cut short is done again. uv comes by pip, all else by uv.
.venv/weir.stamp: $(LOCKED) pyproject.toml
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "Weir needs Python 3.11; this is $$($(PYTHON3) --version). Set PYTHON3=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON3) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

run: setup
	@exec $(BIN)/weir up

sam: setup
	@$(BIN)/python -m infra.local.tools sam

test: check engines

failed: setup
	$(BIN)/python -m pytest tests --last-failed --last-failed-no-failures none

engines: setup
	$(BIN)/python -m pytest tests --ignore tests/unit --ignore tests/architecture --numprocesses $(TESTERS) \
	  --durations 60 --durations-min 5

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory unit

unit: setup
	$(BIN)/python -m pytest tests/unit tests/architecture --numprocesses $(TESTERS)

bench: setup
	$(BIN)/python -m benchmarks

faults: setup
	$(BIN)/python -m tests.faults $(if $(SHORT),--short) $(foreach name,$(ONLY),--only $(name))

clean:
	rm -rf .venv .aws-sam .mypy_cache .pytest_cache .ruff_cache
