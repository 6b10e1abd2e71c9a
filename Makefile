# The product's commands. `make help` lists them. Node 24 and all packages are brought by `make` itself.

SHELL := /bin/sh
ROOT := $(CURDIR)
export PATH := $(ROOT)/.toolchain/node_modules/.bin:$(ROOT)/node_modules/.bin:$(PATH)

.PHONY: help setup build demo test check bench sim clean packages

help: ## Lists these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .toolchain/ready node_modules/.package-lock.json ## Brings Node 24 where it is older, and the packages of the lock file

.toolchain/ready: scripts/bring-node.sh
	@sh scripts/bring-node.sh

node_modules/.package-lock.json: .toolchain/ready package-lock.json
	npm ci --no-fund --no-audit
	@touch $@

build: setup ## Compiles to dist/
	npm run --silent build

packages: setup ## Installs the Debian packages that tests use (as root on Debian; elsewhere says what is missing)
	@node scripts/system-packages.ts

demo: setup ## Starts a server and runs a real job through every dialect (DEMO_EXIT=1 ends after the table)
	@node scripts/system-packages.ts --for demo
	@node scripts/demo/main.ts

test: setup packages ## Runs types, lint and all tests
	npm run --silent types
	npm run --silent lint
	npm run --silent test

check: setup ## Types, lint, unit and contract tests: a few minutes
	npm run --silent check

sim: setup ## Plays simulated days: make sim SEED=42, or SEED=1 SEEDS=5000
	@node test/simulation/main.ts --seed $(or $(SEED),1) --seeds $(or $(SEEDS),1)

bench: build ## Measures beside real peers; bench/ installs them
	@node scripts/system-packages.ts --for bench
	cd bench && npm ci --no-fund --no-audit && node src/main.ts $(ONLY)

clean: ## Removes what was built or brought
	rm -rf dist node_modules .toolchain bench/node_modules
