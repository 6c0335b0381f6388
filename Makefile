# Two commands do all the set-up: `make run` (the main job) and `make test`.
PYTHON ?= python3
VENV ?= .venv
# Which build of torch: cpu, cu128, rocm6.4, … A wheel in a folder of UV_FIND_LINKS or PIP_FIND_LINKS wins.
TORCH_BACKEND ?= cpu
UV_VERSION := 0.13.9
JOB ?= examples/flights/pipeline.yaml
# How many processes run the tests, a file at a time. Each has engines of its own: two want 16 GB.
JOBS ?= 1
SIDE_BY_SIDE = $(if $(filter-out 1,$(JOBS)),--numprocesses $(JOBS) --dist loadfile)

BIN := $(VENV)/bin
LINKS := $(or $(UV_FIND_LINKS),$(PIP_FIND_LINKS))
TAG := $(shell $(PYTHON) -c 'import sys; print("cp%d%d" % sys.version_info[:2])' 2>/dev/null)
TORCH := $(if $(wildcard $(addsuffix /torch-*-$(TAG)-*.whl,$(LINKS))),$(addprefix --find-links ,$(LINKS)),--torch-backend $(TORCH_BACKEND))
# Bytecode is compiled on install: without it the first import of each engine costs seconds.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt $(TORCH)

.PHONY: help run ui drill drill-soak chart-docs test test-full test-cluster check format bench bench-full constraints images image-ray image-spark push sbom clean
.DEFAULT_GOAL := help

help:  ## Show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.ready-run  ## Raw flights to a live prediction (JOB=FILE for another job file, ARGS=--keep)
	@$(BIN)/seatrial run $(JOB) $(ARGS)

ui: $(VENV)/.ready-run  ## MLflow's pages on the store, and the address of Ray's dashboard (PORT=5000)
	@$(BIN)/seatrial ui --port $(or $(PORT),5000)

test: $(VENV)/.ready-test check  ## Every check: lint, types, imports, tests (JOBS=2: in two processes)
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-full: $(VENV)/.ready-test check  ## The same, with the long suites
	@$(BIN)/python -m pytest --full $(SIDE_BY_SIDE) $(ARGS)

# The first failure ends it: each test builds on what the ones before have left in the cluster.
test-cluster: $(VENV)/.ready-test  ## On a real cluster: SEATRIAL_TEST_KUBECONFIG, SEATRIAL_TEST_IMAGE_RAY, SEATRIAL_TEST_IMAGE_SPARK
	@$(BIN)/python -m pytest tests/cluster_real --exitfirst --verbose $(ARGS)

check: $(VENV)/.ready-test  ## Lint, types and import rules only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports

format: $(VENV)/.ready-test  ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/.ready-test  ## Seatrial beside what one would pick instead (CASES="etl serving"; needs an idle machine, 10 minutes)
	@$(BIN)/python -m benchmarks $(CASES) $(ARGS)

bench-full: $(VENV)/.ready-test  ## The same with more rows, both engines and more rounds: about an hour
	@$(BIN)/python -m benchmarks $(CASES) --full $(ARGS)

drill: $(VENV)/.ready-test  ## Break things on purpose and check what happens (NAME=kill_worker for one, ARGS="--times 10")
	@$(BIN)/python -m drills $(NAME) $(ARGS)

drill-soak: $(VENV)/.ready-test  ## The drills in random order for an hour (MINUTES=60); the record is dist/drills.jsonl
	@mkdir -p dist && $(BIN)/python -m drills --soak $(or $(MINUTES),60) --output dist/drills.jsonl $(ARGS)

constraints: $(VENV)/.ready-test  ## Resolve constraints.txt anew
	@echo 'torch==2.13.0' | UV_FIND_LINKS= $(BIN)/uv pip compile pyproject.toml --quiet --all-extras --universal --python-version 3.11 \
	  --constraint - --no-header --no-annotate --output-file $(VENV)/resolved.txt
	@# The CUDA build's own packages stay free: the CPU build has none of them.
	@grep -vE '^(nvidia-|cuda-|triton)' $(VENV)/resolved.txt > constraints.txt

chart-docs: $(VENV)/.ready-test  ## Make the chart's schema, its README's table and its dashboards anew
	@$(BIN)/python helm/dashboards.py && $(BIN)/python helm/chart_docs.py

# ---- Container images --------------------------------------------------------------------------------------------------
DOCKER ?= docker
# Goes before the images' names: host/path.
REGISTRY ?=
# Object stores that Spark itself reads and writes: aws, azure or both.
HADOOP_CLOUD ?=
# Not empty: with the entry points that SageMaker and Azure ML call.
CLOUD ?=
# More for `docker build`, such as --platform or --build-arg MAVEN_MIRROR=…
BUILD_ARGS ?=
SBOM ?= dist
SYFT ?= $(DOCKER) run --rm --volume /var/run/docker.sock:/var/run/docker.sock anchore/syft:v1.45.1
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
image = $(if $(REGISTRY),$(REGISTRY:%/=%)/)seatrial-$(1):$(VERSION)

images: image-ray image-spark  ## Build both images (TORCH_BACKEND=cu128, CLOUD=1, HADOOP_CLOUD="aws azure", REGISTRY=host/path)

image-ray image-spark: image-%:
	$(DOCKER) build --target $*$(if $(CLOUD),-cloud) --tag $(call image,$*) \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) \
	  --build-arg VERSIONS='$(shell $(PYTHON) docker/versions.py $*)' \
	  --build-arg TORCH_BACKEND=$(TORCH_BACKEND) --build-arg HADOOP_CLOUD="$(HADOOP_CLOUD)" \
	  $(if $(RAY_EXTRAS),--build-arg RAY_EXTRAS="$(RAY_EXTRAS)") $(if $(SPARK_EXTRAS),--build-arg SPARK_EXTRAS="$(SPARK_EXTRAS)") $(BUILD_ARGS) .

push: .needs-registry images  ## Push both images (REGISTRY=host/path)
	$(DOCKER) push $(call image,ray)
	$(DOCKER) push $(call image,spark)

.PHONY: .needs-registry
.needs-registry:
	@test -n "$(REGISTRY)" || { echo "name the registry: make images push REGISTRY=host/path" >&2; exit 2; }

sbom:  ## List what both images hold, as CycloneDX, in dist/ (SYFT=syft for one of your own)
	@mkdir -p $(SBOM)
	$(SYFT) docker:$(call image,ray) --output cyclonedx-json > $(SBOM)/seatrial-ray-$(VERSION).cdx.json
	$(SYFT) docker:$(call image,spark) --output cyclonedx-json > $(SBOM)/seatrial-spark-$(VERSION).cdx.json

clean:  ## Remove the environment and everything that runs made
	rm -rf $(VENV) .seatrial build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; choose one with make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.ready-run: $(BIN)/uv pyproject.toml constraints.txt
	@echo "installing into $(VENV) (about two minutes, once) ..."
	@$(INSTALL) --editable '.[local,examples]'
	@touch $@

$(VENV)/.ready-test: $(BIN)/uv pyproject.toml constraints.txt
	@echo "installing into $(VENV) (about two minutes, once) ..."
	@$(INSTALL) --editable '.[dev]'
	@touch $(VENV)/.ready-run $@
