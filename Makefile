# make setup     the Python environment, its packages, the front-end files
# make run       start Photolala; PHOTOS=/path adds that folder as a library, PORT=8000 chooses the port
# make test      everything the project promises: style, types, tests on SQLite and on PostgreSQL, Redis and S3, in a browser
# make lint      style, types and the direction of imports only
# make drills    kill, freeze and unplug everything at random moments while people go on; POINTS=60 SEED=1, takes hours
# make bench     measure
# make clean     remove what setup and tests made; data/ stays

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := run
.PHONY: setup dev run test lint drills bench clean

# Handed over as they are, so that spaces, quotes and dollars in a folder's name survive.
override export PHOTOS := $(value PHOTOS)
override export PORT := $(value PORT)
POINTS ?= 60
SEED ?= 1

setup:
	@scripts/setup.sh

dev:
	@scripts/setup.sh dev

run: setup
	@exec .venv/bin/python manage.py up --photos "$$PHOTOS" --port "$$PORT"

test: dev
	@exec scripts/test.sh

lint: dev
	@exec scripts/lint.sh

drills: dev
	@exec .venv/bin/python -m tests.drills.everything --deterministic --clients 300 --points "$(POINTS)" --seed "$(SEED)"

bench: dev
	@exec .venv/bin/python benchmarks/run.py

clean:
	rm -rf .venv node_modules tests/contract/clients/typescript/node_modules static/vendor staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .promises.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
