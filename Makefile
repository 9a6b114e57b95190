# Each target sets up what it needs. Git, make and a Python with pip are enough (see tools/setup).
PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/sam/bin:$(PATH)
export PATH
export SAM_CLI_TELEMETRY := 0
# A deployment goes to the region of the person, and nothing else needs one.
demo local simulate test check fuzz bench: export AWS_DEFAULT_REGION := eu-west-1
# A run has hundreds of processes. All of them, and the next run, read what the first one compiled.
unexport PYTHONDONTWRITEBYTECODE
# One worker a core: time is simulated, so tests do not wait.
PYTEST_WORKERS ?= $(shell python3 -c 'import os; print(os.cpu_count() or 1)')

.PHONY: help setup deploy demo acceptance acceptance-clean test pages check local simulate fuzz images image-verdicts bench docs lock format clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

setup:  ## what a deployment needs: the environments, and parameters.toml for your answers
	@tools/setup dev sam
	@python -m tools.deploy setup

deploy:  ## build and deploy: NotificationEmail=you@example.com, or any other parameter, is kept in parameters.toml
	@tools/setup dev sam
	@python -m tools.deploy

demo:  ## the main job, end to end, on the local AWS
	@tools/setup dev sam local
	@python -m local.demo

# Not this file's AWS_DEFAULT_REGION: the region is REGION, or that of the person's profile.
ACCEPTANCE = env -u AWS_DEFAULT_REGION python -m acceptance $(if $(PROFILE),--profile $(PROFILE)) \
	$(if $(REGION),--region $(REGION)) $(if $(YES),--yes) $(if $(ANYWAY),--anyway) $(if $(SUBNETS),--subnets $(SUBNETS))

acceptance:  ## the main job in your AWS account, for less than a dollar: PROFILE=, REGION=, YES=1
	@tools/setup dev sam
	@$(ACCEPTANCE)

acceptance-clean:  ## delete what an interrupted acceptance run has made: PROFILE=, REGION=
	@tools/setup dev
	@$(ACCEPTANCE) --clean

local:  ## a local AWS with the stack deployed, until interrupted; CLOCK=simulated: its time moves on request
	@tools/setup dev sam local
	@python -m local $(if $(filter simulated,$(CLOCK)),--simulated)

simulate:  ## random worlds with faults: SECONDS=600, or SEED=n to replay one; else until interrupted
	@tools/setup local
	@.tools/local/bin/python -m local.simulator $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(DAYS),--days $(DAYS)) $(if $(ONLY),--only $(ONLY)) $(if $(TRACE),--trace $(TRACE))

test:  ## all tests; .coverage.txt says what of layers/ and functions/ none of them ran
	@tools/setup dev sam local
	@PYTHONWARNINGS="ignore:Unable to activate pytest branch coverage:RuntimeWarning" \
		python -m slipcover --json --out .coverage.json -m pytest -n $(PYTEST_WORKERS)
	@python -m slipcover --merge .coverage.json --out .coverage.json --fail-under 95 > .coverage.txt || \
		{ cat .coverage.txt; exit 1; }

pages:  ## pictures of the page for the docs, and a thousand instances on it; needs a Chromium
	@tools/setup dev sam local browser
	@PAGES=1 python -m pytest -q -n 0 tests/page

check:  ## what CI checks beyond tests: lint, types, imports, words, sizes, spelling, template, permissions, docs
	@tools/setup dev sam checkov
	ruff check .
	ruff format --check .
	mypy layers/lifeboat/python/lifeboat functions/*/app.py cli/lifeboat_cli
	PYTHONPATH=layers/lifeboat/python lint-imports --no-logo
	python -m tools.vocabulary
	codespell .
	sam validate --lint
	cfn-lint template.yaml
	.tools/checkov/bin/checkov --config-file .checkov.yaml
	python -m tools.policy_reference
	python tools/generate_docs.py --check

docs:  ## regenerate the generated parts of the docs
	@tools/setup dev
	@python tools/generate_docs.py

fuzz:  ## broken requests and images by the hundred thousand, and ten thousand examples of each property
	@tools/setup dev fuzz
	@.tools/fuzz/bin/python tools/fuzz_requests.py -runs=1000000 -verbosity=0
	@tools/setup dev sam local
	@python -m pytest -q -n $(PYTEST_WORKERS) --dist=load tests/simulator/planted_bugs.py
	@python -m pytest -q -n 1 tests/acceptance/interrupted_anywhere.py
	@PYTHONPATH=layers/lifeboat/python python -m tools.images.fuzz 100000
	@CORRUPTIONS=all python -m pytest -q -n $(PYTEST_WORKERS) --dist=load tests/verify/contents
	@FUZZ_EXAMPLES=3400 python -m pytest -q -n $(PYTEST_WORKERS) --dist=load tests/security/test_fuzz.py
	@PROPERTY_EXAMPLES=10000 python -m pytest -q -n $(PYTEST_WORKERS) --dist=load tests/domain/test_devices.py \
		tests/domain/test_packed_tags.py tests/retention/test_policy.py tests/retention/test_properties.py \
		tests/functions/test_retention_properties.py

images:  ## make the test images of file systems again, as root, with the tools that tools/images/make.py names
	@tools/setup dev
	@python -m tools.images.make

image-verdicts:  ## record what xfs_repair, e2fsck, ntfsfix and sgdisk say of 2,000 corruptions of the images
	@tools/setup dev
	@PYTHONPATH=layers/lifeboat/python python -m tools.images.verdicts

bench:  ## measure costs and scale
	@tools/setup dev sam local rie peer-custodian peer-shelvery
	@python -m bench

lock:  ## pin and hash the requirements again
	@tools/setup dev
	@for name in requirements/dev requirements/sam requirements/local requirements/checkov requirements/fuzz requirements/rie requirements/peer-custodian requirements/peer-shelvery layers/lifeboat/python/requirements; do \
		.tools/uv/bin/uv pip compile --quiet --python-version 3.13 --universal --generate-hashes --no-header \
			--no-emit-index-url --no-annotate $$name.in -o $$name.txt || exit 1; done

format:  ## format the code
	@tools/setup dev
	@ruff check --fix . ; ruff format .

clean:  ## remove build results, not the environments
	rm -rf .aws-sam .local .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage.*
