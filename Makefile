# Every target works from a bare clone: .venv is made and filled when it is missing or stale.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONHASHSEED := 0
# importing torch takes 2 s with compiled bytecode, 6 s without: pip compiles, uv only if asked
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup book shots sections notebooks course test mutate lint format bench serve results clean grade-demo soak

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install everything

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(PY) --constraints constraints.txt --editable '.[course,test]'
	touch $@

notebooks: setup ## rebuild notebooks/ (and course/source, course/release) from solutions/
	$(PY) scripts/build_notebooks.py

course: notebooks ## a standard nbgrader course in course/

grade-demo: course ## grade a made-up class of thirty, and compare every mark
	$(PY) -m autograder.rehearsal.command
	@echo "Open _build/rehearsal/report.html"

sections: notebooks ## run every notebook (quick profile) and write book/sections/
	$(PY) scripts/build_book.py

book: sections ## the executed, rendered site in _build/html
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "Open _build/html/index.html"

shots: setup ## a picture of every page, on a phone and a wide screen, in _build/shots
	$(PY) scripts/shots.py

serve: ## show the built site on http://localhost:8000
	$(PY) -m http.server --directory _build/html 8000

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(PY)
	$(PY) scripts/build_notebooks.py --check

format: setup ## let ruff tidy the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint ## lint and the whole test suite
	$(PY) -m pytest -n 2 --dist loadfile

soak: setup ## the same at length: fifty kills of each process, answers over 1,000 seeds (hours)
	MNISTDIFF_SOAK=1 $(PY) -m pytest -n 2 --dist worksteal tests/autograder/test_crash.py tests/autograder/test_fixtures.py tests/autograder/test_strangers.py

mutate: setup ## change 300 things in the code, one at a time: do the tests notice? (an hour)
	$(PY) scripts/mutate.py --measure
	$(PY) scripts/mutate.py --n 300 --seed 0

bench: setup ## side-by-side measurements against peers
	$(PY) benchmarks/vae_training.py
	$(PY) benchmarks/sampling.py

results: setup ## the committed results at report scale (full MNIST; resumes)
	$(BIN)/mnistdiff reproduce
	$(BIN)/mnistdiff eval judge --save-json book/results/judge.json
	$(BIN)/mnistdiff eval pixel --save-json book/results/pixel.json
	$(BIN)/mnistdiff eval pixel --autoguidance 1 --save-json book/results/pixel_unguided.json
	$(BIN)/mnistdiff eval latent --save-json book/results/latent_best.json
	$(BIN)/mnistdiff eval latent --autoguidance 1 --save-json book/results/latent_unguided.json
	$(BIN)/mnistdiff eval latent --beta 1 --latent-dim 50 --save-json book/results/latent_beta1_dim50.json
	$(BIN)/mnistdiff eval clip --save-json book/results/clip.json
	$(BIN)/mnistdiff eval tiny-sd --save-json book/results/tiny_sd.json
	$(BIN)/mnistdiff eval tiny-sd --sampler dpmpp_2m --steps 20 --no-frontier --save-json book/results/tiny_sd_20_steps.json
	$(BIN)/mnistdiff eval lora --save-json book/results/loras.json

clean: ## remove what builds made (never course/submitted or the gradebook)
	rm -rf _build book/sections .pytest_cache .ruff_cache
