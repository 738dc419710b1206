# The commands of this project. Everything runs in .venv, which the first one builds.
#
#   make demo    install what the demonstration needs and run it
#   make test    install everything and run the whole test suite
#   make check   format, lint, types, and the shipped policies
#   make bench   the benchmarks; each prints one JSON object last
#   make soak    the long random runs; a million simulated schedules on all cores are one of them
#   make setup   only install

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

.PHONY: demo test check bench soak setup

demo:
	@$(PYTHON) .ci/install.py demo
	@$(BIN)/hybridrt demo

setup:
	@$(PYTHON) .ci/install.py dev

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(foreach pack,$(wildcard policies/*.yaml),$(BIN)/hybridrt policy check --strict $(pack) &&) true

bench: setup
	$(BIN)/python -m benchmarks.imports
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.policy
	$(BIN)/python -m benchmarks.local
	$(BIN)/python -m benchmarks.certificate
	$(BIN)/python -m benchmarks.factory
	$(BIN)/python -m benchmarks.window

soak: setup
	$(BIN)/python -m pytest -m soak
