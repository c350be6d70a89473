# Purport: `make run` and `make test` are all a new machine needs (Python >= 3.11, make).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run test lint bench fuzz lock peers clean

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements.lock pyproject.toml
	@echo "Installing the locked dependencies into $(VENV) (once, and after they change)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(INSTALLED)  ## start the demonstration on 127.0.0.1:2525 and print lines to paste
	@$(BIN)/python examples/demo/run.py

test: $(INSTALLED) peers  ## run all tests
	@PURPORT_SPAMASSASSIN=$${PURPORT_SPAMASSASSIN-$(CURDIR)/.peers/spamassassin/package/data} $(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED)  ## style, types and the import direction of the house
	@$(BIN)/ruff check src tests bench examples
	@$(BIN)/ruff format --check src tests bench examples
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(INSTALLED) peers  ## measure against Postfix and its filters, pyspf, libspf2 and dkimpy; BENCH="--quick" or "--only accept"
	@$(BIN)/python bench/run.py $(BENCH)

fuzz: $(INSTALLED)  ## 24 million octets that nobody meant, and as many under atheris where there is one for this Python
	@$(BIN)/python tests/support/fuzz.py
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--only-binary :all: --require-hashes --requirement requirements-fuzz.lock || echo "note: no atheris for this Python"
	@if $(BIN)/python -c 'import atheris' 2>/dev/null; then \
		$(BIN)/python tests/support/fuzz_guided.py 2>.fuzz.log || { tail -30 .fuzz.log; exit 1; }; fi

peers:  # other mail programs that tests talk to, where this user may install them
	@sh scripts/peers.sh

lock:  ## renew requirements.lock from pyproject.toml
	@$(PYTHON) -m venv $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra test --extra build pyproject.toml --output-file requirements.lock

clean:  ## remove what make made
	rm -rf $(VENV) .peers .fuzz.log .mypy_cache .ruff_cache .pytest_cache .hypothesis
