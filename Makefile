# Two commands for a fresh clone: `make demo` and `make test`. Both do all set-up themselves.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

demo: ## Set up, build, and show rows going from SQL into Parquet
	scripts/setup build
	. scripts/env; cargo build --locked --workspace --bins; "$$CARGO_TARGET_DIR/debug/ebbtide" demo

# The same profile and features as the demo, so that nothing big is built twice.
test: ## Set up, build, and run every test
	scripts/setup
	. scripts/env; \
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --workspace --no-fail-fast; \
	else cargo test --locked --workspace --lib --bins --tests --examples --no-fail-fast; fi; \
	cargo test --locked --workspace --doc

check: ## Everything that a change has to pass
	.ci/run
