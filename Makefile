# Needs Python >= 3.11 and make. Where PyPI's torch would bring CUDA along, set TORCH_INDEX to an index of CPU wheels:
#   make bench TORCH_INDEX=https://...
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
STAMP := .venv/installed
TESTS := .venv/installed-test
PYTEST := $(BIN)/python -m pytest tests --ignore=tests/benchmarks -n 2 --dist loadfile

.PHONY: bench test test-long test-all coverage lint install pytest-benchmark clean

bench: install  ## the default comparison, to a finished report
	$(BIN)/dargmin run --preset default

test: install lint  ## every method, problem and command
	$(PYTEST) -m "not long"

test-long: install $(TESTS)  ## the rest: the whole grid of pairs, long property tests; ends at the first failure
	$(PYTEST) -m long --exitfirst

test-all: install lint  ## all tests
	$(PYTEST)

coverage: install $(TESTS)  ## the branches that `make test` takes, subprocesses included
	$(PYTEST) -m "not long" --cov --cov-report=term:skip-covered

lint: install $(TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pytest-benchmark: install $(TESTS)  ## METHODS x a few sizes; JSON under results/
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-json=results/pytest-benchmark.json

install: $(STAMP)  ## the set-up alone, with the exact solvers compiled
	@for name in $$CC cc gcc clang; do command -v $$name >/dev/null && exit; done; $(PIP) --constraint constraints.txt ziglang
	@$(BIN)/python -m problems.kernels

# torch goes first and by itself, so that no other package's looser range picks another build.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dargmin needs Python 3.11 or newer, got " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) --constraint constraints.txt torch
	$(PIP) --constraint constraints.txt --editable ".[peers]"
	touch $(STAMP)

$(TESTS): $(STAMP)
	$(PIP) --constraint constraints.txt --editable ".[test,peers]"
	touch $(TESTS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info
