# The laptop's commands. Each one installs what it needs first (scripts/bootstrap.py), then runs one script.
# Variables on the command line (INPUT, EVENTS, SQL, UUID and so on) reach the scripts as environment, never through a shell line.

export LAKE_INPUT := $(value INPUT)
export LAKE_EVENTS := $(value EVENTS)
export LAKE_SQL := $(value SQL)
export LAKE_UUID := $(value UUID)
export LAKE_INCIDENT := $(value INCIDENT)
export LAKE_UNTIL := $(value UNTIL)
export LAKE_REASON := $(value REASON)
export LAKE_OUTPUT := $(value OUTPUT)
export LAKE_PATCH := $(value PATCH)
export LAKE_LIVE := $(value LIVE)
export LAKE_KILLS := $(value KILLS)
export LAKE_SEED := $(value SEED)
export LAKE_ONLY := $(value ONLY)
export ALL

# any Python from 3.9 on starts the installer; the installer finds or fetches 3.11 or 3.12
PYTHON = $(shell for candidate in python3.11 python3.12 python3; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1 && { echo $$candidate; exit; }; \
	done; echo missing-python)
RUN = @python='$(PYTHON)'; [ "$$python" != missing-python ] || { \
	echo 'eventlake: no python3 (3.9 or later) runs here; install Python 3.11 or 3.12 and its venv module, for example: apt-get install python3 python3-venv' >&2; exit 2; }; \
	exec "$$python" scripts/bootstrap.py
LAKE = --with laptop,workers,jobs,emulator,jars

.PHONY: help demo demo-compose test test-long up down status send query why alerts mute docs contract bench check crash package pages install clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## a fresh lake, events through it, the books; [INPUT=file.ndjson[.gz]] [EVENTS=n]
	$(RUN) $(LAKE) -- scripts/demo.py

demo-compose: ## the same walk over docker-compose.yaml's lake, which it builds, starts and leaves up; needs docker
	$(RUN) --with laptop -- scripts/demo_compose.py

up: ## a lake that stays: UI on 127.0.0.1:8080 (another: LAKE_UI_PORT=n make up)
	$(RUN) $(LAKE) -- scripts/up.py

down: ## stop the lake; its state stays
	$(RUN) --as-is laptop -- scripts/down.py

status: ## what runs, where, and how long
	$(RUN) --as-is laptop -- scripts/status.py

send: ## put events on the stream: INPUT=file.ndjson[.gz]
	$(RUN) --with laptop -- scripts/send.py

query: ## ask the published tables: SQL="select event_name, count(*) from events.lesson_events group by 1"
	$(RUN) --with laptop -- scripts/query.py

why: ## one record's story: UUID=...
	$(RUN) --with laptop -- scripts/why.py

alerts: ## what the lake told people, the newest last, and what of it is open
	$(RUN) --with laptop -- scripts/alerts.py

mute: ## hear no more of an open incident for a while: INCIDENT=... UNTIL=2026-12-01 REASON="..."
	$(RUN) --with laptop -- scripts/mute.py

docs: ## where Data Docs open: what the gate said of each table and load
	$(RUN) --with laptop -- scripts/show_docs.py

contract: ## draft contracts for the event names of INPUT=file.ndjson[.gz]; or put in what a crawl found: PATCH=s3://...
	$(RUN) --with laptop -- scripts/draft_contracts.py

bench: ## measure, and write bench/RESULTS.md [ONLY=load,stream] [BENCH_EVENTS=n] [BENCH_SECONDS=n]
	$(RUN) $(LAKE),bench -- bench/run.py

check: ## contracts, suites and rollups: can the lake obey each, and can its tables follow? [LIVE=1: there has to be a lake]
	$(RUN) --with laptop -- scripts/check_definitions.py
	$(RUN) --with laptop -- scripts/check_tables.py
	$(RUN) --with jobs --run-in jobs -- scripts/check_suites.py

package: ## build dist/: the zips that Lambda, Glue and MWAA take
	$(RUN) --with laptop,jobs,jars -- scripts/package.py

pages: ## write the pages of docs/ that are made from the code; a test holds them to it
	$(RUN) --with dev --run-in dev -- docs/write_pages.py

crash: ## break a running lake again and again, then compare with what must be there [KILLS=20] [SEED=n]
	$(RUN) $(LAKE),dev --run-in dev -- tests/crashes/drill.py

test: ## everything that twenty minutes can hold; the same as .ci/run [ONLY=rules,dags]
	$(RUN) $(LAKE),dev -- scripts/run_tests.py

test-long: ## everything
	$(RUN) $(LAKE),dev -- scripts/run_tests.py --long

install: ## only install what the commands above need
	$(RUN) $(LAKE),dev

clean: ## remove the lake's state and what was built; environments stay (make clean ALL=1 removes them too)
	$(RUN) --as-is laptop -- scripts/clean.py
