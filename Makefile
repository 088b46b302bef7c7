# make run   sets everything up and runs the default pipeline
# make test  sets everything up and runs the checks and the tests
# make audit asks an advisory service about the locked packages; needs a network

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: run test audit lock clean

run: $(INSTALLED)
	$(BIN)/compress run pipeline.yaml

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

audit:
	PYTHON=$(PYTHON) .ci/audit

# Needs uv; writes the newest versions that constraints.txt and pyproject.toml allow.
lock:
	uv pip compile pyproject.toml --extra dev --constraint constraints.txt --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet \
	  --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info
