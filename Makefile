# Each target alone takes a fresh machine with Python >= 3.11 to its end.
PYTHON ?= python3
BIN := .venv/bin
# Modules are compiled when they are first imported: of what is installed, a fraction ever is.
export PYTHONDONTWRITEBYTECODE =

.PHONY: plan setup report test test-long lint docs site pictures results gpu-pack clean

# What the command does, how long it takes and where its result will be, before anything else.
plan:
	@echo "$(PLAN)"

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@echo "setup: every framework and tool goes into .venv: a few minutes the first time, no word until it is done"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt -e '.[peers,dev]'
	touch $@

report: PLAN = report: every implementation is held to its specs and timed for a few minutes; then open reports/out/index.html
report: plan setup
	$(BIN)/lossmark run

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lossmark certify --check
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions action.yml
	$(BIN)/zizmor --quiet --offline --no-progress .github action.yml

test: PLAN = test: linters, lossmark's own tests and conformance, for many minutes; you see what failed, cells are in conformance.jsonl
test: plan lint
	$(BIN)/pytest tests/test_sharpness.py tests -q -n 3 --dist worksteal --timeout 900 --timeout-method thread
	$(BIN)/pytest conformance -q --results conformance.jsonl
	@echo "results: conformance.jsonl; make report builds the page reports/out/index.html"

test-long: PLAN = test-long: what asks every framework, loss or size where make test asks some, for an hour or more
test-long: plan setup
	$(BIN)/pytest tests -m long -q -n 3 --dist worksteal --timeout 1800 --timeout-method thread

# Measures what the results pages show and keeps it in reports/results: all of it for hours, on a quiet machine, or
# only SUBJECT=conformance|sharpness|museum|right|soak|speed|memory|peers|sizes|hunt|compare|gate. Interrupted, it goes on.
results: setup
	$(BIN)/python -m lossmark.reports.measured $(SUBJECT)

# Collects what a machine with a GPU and without a network lacks; benchmarks/gpu/run measures there.
gpu-pack:
	PYTHON=$(PYTHON) benchmarks/gpu/prepare

docs: setup
	$(BIN)/python docs/build.py

site: setup
	$(BIN)/python docs/build.py --report

pictures: setup
	$(BIN)/python docs/pictures.py

clean:
	rm -rf .venv build dist reports/out docs/_build
