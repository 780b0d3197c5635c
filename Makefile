# The commands of this repository. Each works on a fresh Debian with Rust, as root and as an ordinary user.

CARGO ?= cargo
SEEDS ?= 10000
CASES ?= 20000
SCENARIO ?=
NAMES ?=

# Where cargo puts what it builds; honours CARGO_TARGET_DIR and the cargo configuration.
TARGET = $(shell $(CARGO) metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
LAB = $(TARGET)/release/lab
# What users get.
PROGRAMS = -p tcpcopy -p intercept -p tcpcopy-mod-http -p tcpcopy-mod-generic -p tcpcopy-mod-mysql
# The lab; a module and a client that its scenarios start besides.
LAB_PROGRAMS = -p tcpcopy-lab -p tcpcopy-mod-tagged -p tcpcopy-lab-mysql-async
# What has property tests.
WITH_PROPERTIES = -p tcpcopy-wire -p tcpcopy-feed -p tcpcopy-net -p tcpcopy-engine -p tcpcopy-mod-http -p tcpcopy-mod-mysql

# What is installed: for the build, for the lab besides, and databases and their clients only where they are wanted.
DEPS = $(if $(findstring mysql,$(SCENARIO)),mysql,lab)
test unit fidelity: DEPS = mysql
man api deb: DEPS = build
check-deb check-services: DEPS = package

.PHONY: help demo scenarios fidelity bench check-lab test lint unit doc sim properties release programs api deps man deb check-deb check-services

help:
	@echo 'make demo [SCENARIO=name]  watch real traffic being replayed, in hosts of its own (make scenarios lists them)'
	@echo 'make test                  format, lints, every test, documentation'
	@echo 'make fidelity [NAMES=...]  which part of the requests reaches the target, scenario by scenario'
	@echo 'make bench [NAMES=modules] processor time and memory per 1000 requests, at rising rates and with modules'
	@echo 'make sim [SEEDS=10000]     the simulated world, many seeds'
	@echo 'make properties [CASES=N]  the property tests with so many cases each, others every time'
	@echo 'make scenarios             the scenarios that demo and fidelity know'
	@echo 'make man                   manual pages and shell completions, in TARGET/documents'
	@echo 'make deb | check-deb       a Debian package, in TARGET/debian; and whether a clean Debian can use it'
	@echo 'make check-services        as root: the services of that package, under a systemd of their own'
	@echo 'make lint | doc | deps     parts of the above'

demo: release
	@$(LAB) demo $(SCENARIO)

scenarios: release
	@$(LAB) list

fidelity: release
	@$(LAB) fidelity $(NAMES)

bench: release
	@$(LAB) bench $(NAMES)

check-lab: release
	@$(LAB) check

release: deps
	@$(CARGO) build --release --quiet $(PROGRAMS) $(LAB_PROGRAMS)

programs: deps
	@$(CARGO) build --release --quiet $(PROGRAMS)

test: lint unit doc

# The workspace as a whole has every feature of its crates; a simulation by itself has a plugin API without its mirror.
lint: deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p tcpcopy-plugin-api --no-default-features --all-targets -- -D warnings

# The end-to-end tests run the programs and load the modules, which `cargo test` alone would not all build. Property tests
# have the same cases every time, so that what fails is the change; `make properties` looks for others.
unit: deps
	$(CARGO) build --workspace
	PROPTEST_RNG_SEED=1 $(CARGO) test --workspace --no-fail-fast

doc: deps
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

man: programs
	@$(TARGET)/release/tcpcopy generate-documents $(TARGET)/documents
	@$(TARGET)/release/intercept generate-documents $(TARGET)/documents
	@echo $(TARGET)/documents

# What the authors of modules build against goes into the package as it would be published.
api: deps
	@$(CARGO) package --quiet -p tcpcopy-plugin-api --no-verify --allow-dirty

deb: programs api
	@packaging/deb build $(TARGET) $(TARGET)/debian

check-deb: programs api
	@packaging/deb check $$(packaging/deb build $(TARGET) $(TARGET)/debian)

check-services: programs api
	@packaging/deb boot $$(packaging/deb build $(TARGET) $(TARGET)/debian)

properties: deps
	PROPTEST_CASES=$(CASES) $(CARGO) test --release --no-fail-fast $(WITH_PROPERTIES)

sim: deps
	SIM_SEEDS=$(SEEDS) $(CARGO) test --release -p tcpcopy-sim

deps:
	@tests/lab/install-deps $(DEPS)
