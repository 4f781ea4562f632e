# One face for everything; each target makes the environment it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

help:           ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/ --/'

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "shrinkage needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.all: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.all

$(VENV)/.site: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,site]'
	@touch $@ $(VENV)/.all

# timm and torchvision by themselves: torchvision would bring another torch.
$(VENV)/.frameworks: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,frameworks]'
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt timm torchvision
	@touch $@ $(VENV)/.dev $(VENV)/.all

compare: $(VENV)/.all  ## compare regularizations on the built-in data; ARGS="digits --seeds 5" for your own
	$(BIN)/shrinkage compare $(ARGS)

test: $(VENV)/.dev  ## each promise once, in a few minutes; ARGS="-k name" for a part
	$(BIN)/python -m pytest -m "not slow and not frameworks" $(ARGS)

test-all: $(VENV)/.frameworks  ## every test, also inside transformers, Lightning, accelerate and timm
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev  ## format, lint, types, arrows, and the rules of tests/house_rules.py
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tests/house_rules.py

format: $(VENV)/.dev  ## rewrite the files in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

scratch: $(VENV)/.all  ## train the tutorial's network on a spiral; ARGS="--penalty l1:1e-4@proximal"
	$(BIN)/shrinkage scratch $(ARGS)

bench: $(VENV)/.dev  ## what a regularized step costs, and how fast scratch networks are, as ratios
	$(BIN)/python benchmarks/attach.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/scratch.py

seeds: $(VENV)/.dev  ## the tutorial's network over ten seeds, beside the figures it printed itself
	$(BIN)/python benchmarks/spiral_seeds.py $(ARGS)

docs: $(VENV)/.dev  ## write the pages that are made from the code: weight decay, the command, the rooms
	$(BIN)/python docs/command.py
	$(BIN)/python docs/architecture.py
	$(BIN)/python docs/weight_decay.py

notebooks: $(VENV)/.dev  ## run the notebooks and write their pages; ARGS="six-ways" for one
	$(BIN)/python docs/run_notebooks.py $(ARGS)

pictures: $(VENV)/.dev  ## draw the pictures of the pages; ARGS="penalty" for some
	$(BIN)/python docs/pictures.py $(ARGS)

site: $(VENV)/.site  ## the documentation as a site in site/, which opens from disk
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

law: $(VENV)/.dev  ## every penalty, way and optimizer: how near it comes to the known minimum
	$(BIN)/python tests/law.py $(ARGS)

soak: $(VENV)/.dev  ## the optimizers with the penalty inside: 100 000 steps while parameters change
	$(BIN)/python tests/fused_soak.py $(ARGS)

clean:          ## remove the environment and what was made
	rm -rf $(VENV) site shrinkage-study shrinkage-scratch.html build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help compare test test-all check format scratch bench seeds docs notebooks pictures site law soak clean
