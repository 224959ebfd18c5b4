# The commands of Wasmill. `make run` and `make test` set up what they need; all of them can be run again.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Downloads and test builds live outside the clone, so that a fresh clone does not begin from nothing.
export WASMILL_BUILD_CACHE ?= $(HOME)/.cache/wasmill-build
VENV := $(WASMILL_BUILD_CACHE)/venv
export WASMILL_PYTHON ?= $(VENV)/bin/python
PLUGINS := clean-pin clean-geo clean-user weighted-mean mode top-k distinct-count quantile
PLUGIN_BUILD := --profile plugin --target wasm32-wasip2
PLUGIN_FLAGS := $(PLUGIN_BUILD) $(addprefix -p ,$(PLUGINS))
# Real rows are used where they lie beside the clone; a clone without them has fixtures of its own.
REAL_DATA := $(wildcard ../shared/data/pinterest)
ifneq ($(REAL_DATA),)
export WASMILL_REAL_DATA ?= $(abspath $(REAL_DATA))
endif

.PHONY: help setup build plugins run analyses test scenarios test-spark test-browser test-airflow test-deploy services lint crash bench soak dist test-dist fuzz clean

help: ## Shows this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | column -t -s '|'

setup: ## Installs what building needs: a C compiler, the WebAssembly target of Rust
	@tools/setup

$(VENV)/ready: tests/foreign/requirements.txt
	@echo "==> Python packages for tests and benchmarks, in $(VENV)"
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement $<
	touch $@

build: setup ## Builds target/release/wasmill and every plugin
	@# Side by side: each alone leaves cores idle at its end.
	@$(MAKE) --no-print-directory -j2 binary plugins

.PHONY: binary
binary: setup
	@echo "==> wasmill"
	cargo build --release --locked -p wasmill

plugins: setup ## Builds every plugin
	@echo "==> plugins"
	cargo build --locked $(PLUGIN_FLAGS)

DEMO_ROWS ?= 50000

.PHONY: demo-binary
demo-binary: setup
	@echo "==> wasmill with what the demo needs: files, emulator, Delta, console; \`make build\` builds all connectors"
	cargo build --release --locked -p wasmill --no-default-features --features demo

.PHONY: demo-plugin
demo-plugin: setup
	@echo "==> the plugin of the demo"
	cargo build --locked $(PLUGIN_BUILD) -p clean-pin

run: setup ## Sets up, builds what the demo pipeline needs, runs it and shows what came out
	@$(MAKE) --no-print-directory -j2 demo-binary demo-plugin
	@$${CARGO_TARGET_DIR:-target}/release/wasmill demo --rows $(DEMO_ROWS)

ANALYSES := out/analyses-demo
ANALYSES_ROWS ?= 50000

analyses: setup ## Generates posts, places and people, runs the eight analyses over them and prints the results
	@echo "==> wasmill with what the analyses need: files, emulator, Delta, console, SQL"
	cargo build --release --locked -p wasmill --no-default-features --features demo,sql
	cargo build --locked $(PLUGIN_FLAGS)
	@mkdir -p $(ANALYSES)
	@cd $(ANALYSES) && wasmill=$$(realpath $${CARGO_TARGET_DIR:-$(CURDIR)/target}/release/wasmill) && \
	rm -rf data && $$wasmill emulate --out data --rows $(ANALYSES_ROWS) --seed 1 && \
	$$wasmill run $(CURDIR)/pipelines/analyses/analyses.yaml --plugins $$(realpath $${CARGO_TARGET_DIR:-$(CURDIR)/target}/wasm32-wasip2/plugin)

TEST_ENVIRONMENT := CARGO_TARGET_DIR=$(WASMILL_BUILD_CACHE)/target
# Always the whole workspace: with a part of it, dependencies would have other features and be compiled once more.
TESTS := cargo test --locked --workspace --features wasmill/failpoints
SERVERS := $(VENV)/bin/python tests/servers/servers.py

test: setup $(VENV)/ready ## Runs every test
	@echo "==> tests, built in $(WASMILL_BUILD_CACHE)/target"
	$(TEST_ENVIRONMENT) tools/own-artefacts
	$(TEST_ENVIRONMENT) cargo build --locked $(PLUGIN_FLAGS)
	$(TEST_ENVIRONMENT) $(TESTS) --no-run
	$(TEST_ENVIRONMENT) cargo build --locked --workspace --features wasmill/failpoints --bin wasmill
	$(SERVERS) install
	$(TEST_ENVIRONMENT) $(SERVERS) run -- $(TESTS)
ifneq ($(WASMILL_REAL_DATA),)
	$(TEST_ENVIRONMENT) $(SERVERS) run -- $(TESTS) --test real_data --test e2e -- --ignored
else
	@echo "==> no real rows beside this clone: the tests that need them were ignored"
endif
	$(MAKE) test-deploy
	$(MAKE) lint

scenarios: setup $(VENV)/ready ## Runs the five scenarios of pipelines/scenarios whole, against real servers
	$(TEST_ENVIRONMENT) tools/own-artefacts
	$(TEST_ENVIRONMENT) cargo build --locked $(PLUGIN_FLAGS)
	$(TEST_ENVIRONMENT) $(TESTS) --test e2e --no-run
	$(TEST_ENVIRONMENT) cargo build --locked --workspace --features wasmill/failpoints --bin wasmill
	$(SERVERS) install
	$(TEST_ENVIRONMENT) $(SERVERS) run -- $(TESTS) --test e2e -- scenarios:: --nocapture $(if $(WASMILL_REAL_DATA),--include-ignored)

# Spark with Delta Lake: 400 MB that only this suite needs.
SPARK := $(WASMILL_BUILD_CACHE)/spark
$(SPARK)/ready: tests/spark/requirements.txt tests/spark/pom.xml
	@echo "==> Spark and Delta Lake, in $(SPARK)"
	rm -rf $(SPARK)
	python3 -m venv $(SPARK)/venv
	$(SPARK)/venv/bin/pip install --quiet --disable-pip-version-check --requirement tests/spark/requirements.txt
	mvn -q -B -f tests/spark/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DincludeGroupIds=io.delta -DoutputDirectory=$(SPARK)/jars
	touch $@

test-spark: setup $(SPARK)/ready ## Tables of ours read and changed by real Spark with Delta Lake; the first time downloads 400 MB
	$(TEST_ENVIRONMENT) tools/own-artefacts
	$(TEST_ENVIRONMENT) cargo build --locked $(PLUGIN_FLAGS)
	$(TEST_ENVIRONMENT) cargo build --locked --workspace --features wasmill/failpoints --bin wasmill
	WASMILL_BINARY=$(WASMILL_BUILD_CACHE)/target/debug/wasmill WASMILL_SPARK_JARS=$(SPARK)/jars \
	WASMILL_PLUGIN_FOLDER=$(WASMILL_BUILD_CACHE)/target/wasm32-wasip2/plugin \
	$(SPARK)/venv/bin/python -m pytest -c tests/spark/pytest.ini -p no:cacheprovider tests/spark $(PYTEST)

# Airflow: 300 MB that only this suite needs.
AIRFLOW := $(WASMILL_BUILD_CACHE)/airflow
$(AIRFLOW)/ready: tests/airflow/requirements.txt
	@echo "==> Airflow, in $(AIRFLOW)"
	rm -rf $(AIRFLOW)
	python3 -m venv $(AIRFLOW)/venv
	$(AIRFLOW)/venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

test-airflow: setup $(AIRFLOW)/ready ## The Python package for Airflow and its DAG under real Airflow; the first time downloads 300 MB
	$(TEST_ENVIRONMENT) tools/own-artefacts
	$(TEST_ENVIRONMENT) cargo build --locked $(PLUGIN_FLAGS)
	$(TEST_ENVIRONMENT) cargo build --locked --workspace --features wasmill/failpoints --bin wasmill
	WASMILL_BINARY=$(WASMILL_BUILD_CACHE)/target/debug/wasmill WASMILL_PLUGIN_FOLDER=$(WASMILL_BUILD_CACHE)/target/wasm32-wasip2/plugin \
	PYTHONPATH=$(CURDIR)/tools/airflow/src MYPY_CACHE_DIR=$(AIRFLOW)/mypy \
	$(AIRFLOW)/venv/bin/python -m pytest -c tests/airflow/pytest.ini -p no:cacheprovider tests/airflow $(PYTEST)

# The schemas of what lies in deploy/.
DEPLOY := $(WASMILL_BUILD_CACHE)/deploy
$(DEPLOY)/ready: tests/deploy/requirements.txt tests/deploy/package.json
	@echo "==> the schemas of Kubernetes and of the Compose specification, in $(DEPLOY)"
	rm -rf $(DEPLOY)
	python3 -m venv $(DEPLOY)/venv
	$(DEPLOY)/venv/bin/pip install --quiet --disable-pip-version-check --requirement tests/deploy/requirements.txt
	cp tests/deploy/package.json $(DEPLOY)/
	npm install --prefix $(DEPLOY) --no-audit --no-fund --silent --ignore-scripts
	touch $@

test-deploy: $(DEPLOY)/ready ## What lies in deploy/ against the schemas of Kubernetes, Compose and systemd
	COMPOSE_SCHEMA=$(DEPLOY)/node_modules/dclint/schemas/compose.schema.json \
	$(DEPLOY)/venv/bin/python -m pytest -c tests/deploy/pytest.ini -p no:cacheprovider tests/deploy $(PYTEST)

services: $(VENV)/ready ## Starts Kafka, Kinesis, S3, Postgres and MariaDB where pipelines/ look for them; compose.yaml does it with containers
	@$(SERVERS) install
	@$(SERVERS) up

lint: ## Formatting, lints, licences
	cargo fmt --all --check
	tools/licences
	$(TEST_ENVIRONMENT) tools/own-artefacts
	$(TEST_ENVIRONMENT) cargo clippy --locked --workspace --all-targets --features wasmill/failpoints -- -D warnings
	@# What only a build with some of the connectors compiles.
	$(TEST_ENVIRONMENT) cargo clippy --locked -p wasmill --no-default-features --features demo -- -D warnings

crash: setup $(VENV)/ready ## 50 kills for every source into every sink, outages of 2 minutes; WASMILL_CRASH_SEED repeats a run
	$(SERVERS) install
	$(TEST_ENVIRONMENT) tools/own-artefacts
	$(TEST_ENVIRONMENT) cargo build --locked $(PLUGIN_FLAGS)
	$(TEST_ENVIRONMENT) cargo build --locked --workspace --features wasmill/failpoints --bin wasmill
	WASMILL_CRASH_KILLS=$${WASMILL_CRASH_KILLS:-50} WASMILL_OUTAGE_SECONDS=$${WASMILL_OUTAGE_SECONDS:-120} \
	$(TEST_ENVIRONMENT) $(SERVERS) run -- $(TESTS) --test e2e -- matrix network::outage --nocapture

bench: plugins $(VENV)/ready $(SPARK)/ready ## Measures, prints ratios and writes docs/benchmarks/; BENCH="--only streams" a page, BENCH="--only kafka" a part
	cargo build --profile dist --locked -p wasmill -p wasmill-bench --features wasmill/vendored-openssl
	$(SERVERS) install
	$(SERVERS) run -- $(VENV)/bin/python tests/bench/run.py $(BENCH)

soak: plugins $(VENV)/ready ## Half an hour of streaming: memory, file handles and threads have to stay flat
	cargo build --profile dist --locked -p wasmill -p wasmill-bench --features wasmill/vendored-openssl
	$(SERVERS) install
	$(SERVERS) run -- $(VENV)/bin/python tests/bench/soak.py

# Apart from the other environment: it has to build wheels, and to test them.
DIST := $(WASMILL_BUILD_CACHE)/dist
$(DIST)/ready: tests/dist/requirements.txt
	@echo "==> maturin and pytest, in $(DIST)"
	python3 -m venv $(DIST)
	$(DIST)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

dist: plugins $(DIST)/ready ## Builds what is shipped, into dist/: a tarball and a Python wheel, and their checksums
	tools/dist $(DIST)/bin/maturin $(PLUGINS)

test-dist: dist ## Installs what is shipped into empty folders and runs the demo there
	$(DIST)/bin/python -m pytest -c tests/dist/pytest.ini -p no:cacheprovider tests/dist $(PYTEST)

# Apart from the other environment: only this suite looks at pages.
BROWSER := $(WASMILL_BUILD_CACHE)/browser
$(BROWSER)/ready: tests/browser/requirements.txt
	@echo "==> pytest and readers of pictures, in $(BROWSER)"
	python3 -m venv $(BROWSER)
	$(BROWSER)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

test-browser: setup $(BROWSER)/ready ## Reports as a browser shows and prints them; the first time installs Chromium (400 MB)
	tools/browser
	$(TEST_ENVIRONMENT) tools/own-artefacts
	$(TEST_ENVIRONMENT) cargo build --locked $(PLUGIN_FLAGS)
	$(TEST_ENVIRONMENT) cargo build --locked --workspace --features wasmill/failpoints --bin wasmill
	WASMILL_BINARY=$(WASMILL_BUILD_CACHE)/target/debug/wasmill WASMILL_PLUGIN_FOLDER=$(WASMILL_BUILD_CACHE)/target/wasm32-wasip2/plugin \
	$(BROWSER)/bin/python -m pytest -c tests/browser/pytest.ini -p no:cacheprovider tests/browser $(PYTEST)

fuzz: setup ## Attacks every decoder of foreign bytes until it is stopped
	$(TEST_ENVIRONMENT) tools/own-artefacts
	$(TEST_ENVIRONMENT) $(TESTS) --test hostile --test fuzz --no-run
	@# Each test needs a thread of its own: none of them ends.
	trap 'kill 0' INT TERM; export WASMILL_FUZZ=endless $(TEST_ENVIRONMENT); \
	$(TESTS) --test hostile -- decoders --nocapture --test-threads 16 & \
	$(TESTS) --test fuzz -- --nocapture --test-threads 16 & \
	wait

clean: ## Removes what was built in this clone and what the demo wrote
	rm -rf target dist out data .wasmill
