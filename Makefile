# Everything that is done with this project. `make` alone lists the targets.
#
# Needed: Rust (the version in Cargo.toml or later, with rustfmt and clippy), Python 3.10 or later, make, a C compiler.
# What else is needed is installed into the checkout (.venv, .tools) and nowhere else.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
# One thing after the other, in the order written: cargo uses all cores by itself, and cheap checks fail first.
.NOTPARALLEL:

PYTHON ?= python3
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_LLVM_COV_VERSION := 0.9.1
CARGO_MUTANTS_VERSION := 27.1.0
# Where the command line goes.
BIN ?= bin

VENV := .venv/.installed-requirements
CARGO_DENY := .tools/.cargo-deny-$(CARGO_DENY_VERSION)
CARGO_FUZZ := .tools/.cargo-fuzz-$(CARGO_FUZZ_VERSION)
CARGO_LLVM_COV := .tools/.cargo-llvm-cov-$(CARGO_LLVM_COV_VERSION)
CARGO_MUTANTS := .tools/.cargo-mutants-$(CARGO_MUTANTS_VERSION)
SAM := .tools/sam/.installed-requirements
CARGO_LAMBDA := .tools/lambda/.installed-requirements
BENCH := .tools/bench/.installed-requirements
AXE := .tools/axe/.installed-package-lock
LINT := .tools/lint/.installed-requirements
PROVE := .tools/prove/.installed-requirements
DEPLOY := .tools/sam/bin/python -m deploy

# What is packed and deployed.
STACK ?= eks-sg-guard
ARCH ?= arm64

.PHONY: help cli programs build test test-heavy test-core bench bench-judge calls slow soak apply demo check fmt fmt-check lint lint-core \
	template-lint deny advisories release venv clean fuzz mutants coverage package prove module deploy stop start status logs redrive remove \
	demo-deployed live-check deploy-lint

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# In a directory of its own: with other features it would take turns with the programs of `make programs`.
cli: ## The command line alone, without the AWS SDK, as bin/eks-sg-guard: about a minute (BIN=DIR: elsewhere)
	cargo build --locked --profile cli --no-default-features --features cli --bin eks-sg-guard
	@mkdir -p $(BIN)
	@cp $${CARGO_TARGET_DIR:-target}/cli/eks-sg-guard $(BIN)/
	@echo "$(BIN)/eks-sg-guard is ready: $(BIN)/eks-sg-guard --help"

# `test-aws` is not for the programs' sake: the tests need the SDK's test-util, and without it here cargo would compile the
# largest crate of the tree, aws-sdk-ec2, a second time with other features.
build: ## Debug build of library, programs and tests
	cargo build --locked --bins --tests --features test-aws

# Of the tests only the smallest one, which links nothing of ours. It is there because cargo gives dependencies the features
# that dev-dependencies ask of them (tokio's test-util) only where a test is among the targets: this way everything but our
# own crate is compiled exactly as `make build` and `make test` need it, and never twice.
programs: ## Debug build of the programs alone
	@test -e target/debug/bootstrap || echo "Building two programs and the 280 crates they are made of. The first time this" \
		"takes about six minutes on two cores, most of them for one crate, the EC2 client (aws-sdk-ec2); later some seconds."
	cargo build --locked --bins --test layers --features test-aws

test: venv build $(AXE) ## All tests: unit, table, golden, adapter, then the real binary on an emulated AWS
	cargo test --locked --features test-aws
	.venv/bin/python -m pytest tests/e2e -n 3 --dist worksteal

test-heavy: venv build $(AXE) ## Tests that take minutes: the process killed at each of its calls in turn
	.venv/bin/python -m pytest tests/e2e -m heavy

# The library without features: no AWS, no CLI.
test-core: ## Tests of the pure core only: the inner loop, in seconds
	cargo test --locked --no-default-features

# No nightly compiler is needed, as it is for the sanitizers of cargo-fuzz: what they look for cannot be where `unsafe` is
# forbidden. The seeds are those of the test that holds the same properties. The engine itself is C++.
FUZZ ?= $(basename $(notdir $(wildcard fuzz/targets/*.rs)))
FUZZ_SECONDS ?= 60
fuzz: $(CARGO_FUZZ) ## The core's readers and writers on garbled input, a minute each (FUZZ_SECONDS=600; FUZZ=policy: one of them)
	@command -v c++ >/dev/null || { echo "error: libFuzzer needs a C++ compiler; install one (Debian: \`g++\`)" >&2; exit 1; }
	FUZZ_SEEDS=$(CURDIR)/fuzz/seeds cargo test --locked --quiet --no-default-features --test always
	.tools/bin/cargo-fuzz fuzz build --sanitizer none
	@for target in $(FUZZ); do \
		mkdir -p fuzz/corpus/$$target && .tools/bin/cargo-fuzz fuzz run --sanitizer none $$target \
			fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=60 -print_final_stats=1 || exit 1; \
	done

# cargo-mutants names the faults; `mutants/` tries all in one build, since one build for each takes a day.
mutants: $(CARGO_MUTANTS) ## Faults put into what the core decides, and which of them no test notices; up to an hour
	@mkdir -p target/mutants
	.tools/bin/cargo-mutants mutants --package eks-sg-guard-core --list --json > target/mutants/list.json
	CARGO_TARGET_DIR=target/mutants/program cargo run --locked --manifest-path mutants/Cargo.toml -- target/mutants/list.json

# Files of tests do not count; tests that stand in a file of the core do, and are reached.
coverage: $(CARGO_LLVM_COV) ## Which lines of the core its tests reach (docs/benchmarks.md); some minutes
	@test -e "$$(rustc --print target-libdir)/../bin/llvm-profdata" || \
		{ echo "error: LLVM's tools are needed: rustup component add llvm-tools" >&2; exit 1; }
	.tools/bin/cargo-llvm-cov llvm-cov --locked --no-default-features --json --summary-only --output-path target/coverage.json
	@$(PYTHON) tests/coverage.py target/coverage.json

# The features and the environment of the package: it is measured as it is deployed.
bench: $(BENCH) ## The function beside boto3 and Cloud Custodian, written into docs/benchmarks.md; many minutes
	AWS_LC_SYS_NO_JITTER_ENTROPY=1 cargo build --locked --profile function --no-default-features --features aws --bin bootstrap
	.tools/bench/bin/python tests/bench/bench.py "$${CARGO_TARGET_DIR:-target}/function/bootstrap"

bench-judge: ## What a verdict costs, and how it grows (docs/benchmarks.md); some minutes
	cargo bench --locked --no-default-features --bench judge
	cargo bench --locked --no-default-features --features cli,allocator --bench audit

calls: programs venv ## What an event asks of EC2 and EKS in small and large accounts (docs/benchmarks.md); some minutes
	.venv/bin/python tests/e2e/event_cost.py

slow: programs venv ## One event with each of its calls made slow in turn (docs/benchmarks.md); some minutes
	.venv/bin/python tests/e2e/slow_calls.py 5 managed-node-group
	.venv/bin/python tests/e2e/slow_calls.py 0.5 karpenter-node control-plane-group pod-group

soak: programs venv ## 10,000 events of 200 groups, shuffled and repeated, with calls that fail (docs/benchmarks.md); an hour or more
	.venv/bin/python tests/e2e/soak.py 10000 200 4

apply: programs venv ## Terraform writes 1,000 rules in two minutes, against EC2's limits (docs/benchmarks.md); some minutes
	.venv/bin/python tests/e2e/terraform.py 1000 100 120

demo: programs venv ## Watch the real Lambda binary close real rules on an emulated AWS
	@echo "Starting an emulated AWS and the function; this takes some seconds."
	.venv/bin/python tests/e2e/demo.py

check: fmt-check lint-core test-core template-lint deny lint test ## All that CI checks, cheap things first

fmt: ## Format the Rust code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	cargo fmt --manifest-path mutants/Cargo.toml

# Formatting, and what rustfmt leaves as it is: long comments and texts.
fmt-check:
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo fmt --check --manifest-path mutants/Cargo.toml
	@! LC_ALL=C.UTF-8 grep -rnE --include='*.rs' --include='*.py' '^.{126,}' core src tests benches deploy fuzz/targets mutants/src || \
		{ echo "error: these lines have over 125 characters; rustfmt leaves comments and texts alone" >&2; exit 1; }

lint: lint-core ## Clippy on everything, warnings denied
	cargo clippy --locked --all-targets --features test-aws -- -D warnings

# Also the proof that the core and the command line build without the guard and the SDK, and that what is built apart can be.
lint-core:
	@for apart in fuzz mutants; do cargo metadata --locked --format-version 1 --manifest-path $$apart/Cargo.toml > /dev/null || \
		{ echo "error: $$apart/Cargo.lock is stale: cargo update --workspace --manifest-path $$apart/Cargo.toml" >&2; exit 1; }; done
	cargo clippy --locked --lib --no-default-features --features cli -- -D warnings

template-lint: venv ## cfn-lint on the templates
	.venv/bin/cfn-lint template.yaml member.yaml

# Of the templates each check that is skipped says why, where it is skipped.
deploy-lint: $(LINT) ## checkov on the templates, zizmor on the workflows
	.tools/lint/bin/checkov --framework cloudformation --compact --quiet --skip-download -f template.yaml member.yaml
	.tools/lint/bin/zizmor --offline .github

deny: $(CARGO_DENY) ## Bans, licences and sources of the dependencies (deny.toml); needs no advisory database
	.tools/bin/cargo-deny --locked check bans licenses sources

advisories: $(CARGO_DENY) ## Known vulnerabilities of the dependencies; downloads the advisory database
	.tools/bin/cargo-deny --locked check advisories

release: ## Optimised programs for this machine, in target/release (to deploy: make package)
	cargo build --locked --release --bins

package: $(SAM) $(CARGO_LAMBDA) ## The program for Lambda with its templates, in dist/ARCH (ARCH=arm64 or x86_64); many minutes
	PATH="$(CURDIR)/.tools/lambda/bin:$$PATH" $(DEPLOY) package $(ARCH)

module: $(SAM) ## The parameters and outputs of the Terraform module anew, out of template.yaml
	.tools/sam/bin/python -m deploy.module template.yaml deploy/terraform/interface.tf.json

# The package of this machine's processor, whose programs run here as Lambda would run them.
prove: venv $(SAM) $(PROVE) ## The package deployed, operated and removed on an emulated AWS that wires; after make package
	.venv/bin/python -m pytest tests/e2e/test_proof.py -m proof

deploy: $(SAM) ## Deploy the package of ARCH as STACK; SET="NAME=VALUE …" sets parameters
	$(DEPLOY) deploy --stack $(STACK) --arch $(ARCH) --set $(SET)

stop: $(SAM) ## STACK changes nothing any more, in seconds; it goes on looking and notifying
	$(DEPLOY) stop --stack $(STACK)

start: $(SAM) ## Undo `make stop`
	$(DEPLOY) start --stack $(STACK)

status: $(SAM) ## How STACK is: mode, version, last event and sweep, what waits, what rings
	@$(DEPLOY) status --stack $(STACK)

logs: $(SAM) ## Records, warnings and errors of the last hour (HOURS=24: of a day; ALL=1: every line as it is)
	@$(DEPLOY) logs --stack $(STACK) $(if $(HOURS),--hours $(HOURS)) $(if $(ALL),--all)

redrive: $(SAM) ## Hand to the function once more what it failed on or never got (FROM=URL: of another queue)
	$(DEPLOY) redrive --stack $(STACK) $(if $(FROM),--url $(FROM))

remove: $(SAM) ## Delete STACK; its table and its log stay
	$(DEPLOY) remove --stack $(STACK)

demo-deployed: $(SAM) ## The deployed guard at work: first VPC=vpc-… CLUSTER=NAME, then GROUP=sg-…
	$(DEPLOY) demo --stack $(STACK) $(if $(GROUP),--group $(GROUP)) $(if $(VPC),--vpc $(VPC)) $(if $(CLUSTER),--cluster $(CLUSTER))

live-check: $(SAM) ## STACK in your own sandbox account: what no emulator can show, looked at and written down
	$(DEPLOY) live --stack $(STACK)

venv: $(VENV) ## Python tools for tests and demo, in .venv

clean: ## Remove what was built and installed into the checkout
	cargo clean
	rm -rf .venv .tools dist fuzz/{target,corpus,seeds}

# Made anew when the requirements change; every file is checked against its hash.
$(VENV): tests/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo "error: Python 3.10 or later is needed, and '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo not found)." \
			"Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing Python packages into .venv; this takes about half a minute."
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r tests/requirements.txt
	@touch $@

# What looks at the audit's page in a browser; checked against the hash of the lock. Without npm that test is skipped, and
# says so; what of the page is tested elsewhere does not need it, so that a registry that does not answer fails nothing.
$(AXE): tests/e2e/package-lock.json tests/e2e/package.json
	@mkdir -p $(@D) && cp $^ $(@D)
	@if ! command -v npm >/dev/null; then echo "There is no npm: the audit's page is not looked at by axe."; \
	elif ! timeout 120 npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --silent; then \
		echo "axe-core could not be installed: the audit's page is not looked at by axe."; else touch $@; fi

# Tools of their own versions, each in an environment of its own; every file is checked against its hash. All that is needed
# stands in the list (--no-deps): pip cannot match extras with hashes by itself.
define install
	@echo "Installing $(1) into .tools/$(1); this takes about a minute."
	$(PYTHON) -m venv --clear .tools/$(1)
	.tools/$(1)/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@
endef

.tools/%/.installed-requirements: deploy/%.txt
	$(call install,$*)

$(BENCH): tests/bench/requirements.txt
	$(call install,bench)

# A debug build without debug information: on two cores it is made in one minute rather than the two and a half of a release
# build, and a check takes two seconds rather than one.
$(CARGO_DENY) $(CARGO_FUZZ) $(CARGO_LLVM_COV) $(CARGO_MUTANTS): .tools/.%:
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --force --root .tools \
		--version $(lastword $(subst -, ,$*)) $(patsubst %-$(lastword $(subst -, ,$*)),%,$*)
	@touch $@
