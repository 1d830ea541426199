# Two commands: `make up` runs Mizugiwa, `make test` tests it. Both set up what they need first and say so.
.DEFAULT_GOAL := help
VENV := .venv
RUN := $(VENV)/bin

.PHONY: help up test test-faults test-soak lint setup setup-test bench clean

help:
	@echo "make up            set up what is missing, start everything, show the console's address"
	@echo "make test          set up what tests need and run lint, types, import contracts and the tests"
	@echo "make test-faults   work a day at the whole program; kill, stop and fill what it rests on, and count its alerts"
	@echo "make test-soak     the long runs, and each benchmark with tiny inputs"

setup:
	@sh deploy/setup.sh run

setup-test:
	@sh deploy/setup.sh test

up: setup
	@exec $(RUN)/mizugiwa up $(ARGS)

lint: setup-test
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

test: lint
	$(RUN)/pytest -m "not (soak or faults or program)" -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-faults: setup-test
	$(RUN)/pytest -m "program or faults" -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-soak: setup-test
	$(RUN)/pytest -m soak --timeout=3600 $(ARGS)

clean:
	rm -rf $(VENV) .setup dashboards/map/node_modules dashboards/assets/map
