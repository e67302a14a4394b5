# What people do with the repository. CI runs `.ci/run` and nothing else, and so does `just ci`.

# List the recipes
default:
    @{{ just_executable() }} --list

# Format everything
fmt:
    cargo fmt --all

# Formatting and lints, as CI has them
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Every test, or those whose name contains FILTER
test *FILTER:
    cargo test {{ FILTER }}

# The run under faults and the planted bugs it must find; SEED makes the trouble of an earlier run again
faults SEED="":
    {{ if SEED == "" { "" } else { "FAULTS_SEED=" + SEED } }} cargo test --package tests faults::

# From nothing to the checked result of a real task
demo *ARGUMENTS:
    cargo run --release -- demo {{ ARGUMENTS }}

# Measure a stack of its own
bench *ARGUMENTS:
    cargo run --profile dist -- bench {{ ARGUMENTS }}

# The OpenAPI documents before the public validator and the public fuzzer, with the demo key of a fresh stack
schemathesis *ARGUMENTS:
    cargo build --package cli
    python3 tests/openapi/check.py {{ ARGUMENTS }}

# Stream tasks on a real Apache Kafka (needs Java 17 and Maven)
kafka:
    KAFKA_JARS=$(bash tests/kafka/jars.sh) && export KAFKA_JARS && cargo test --package tests kafka::

# Print topology.json and permissions.conf anew from shared/wire
broker-config:
    cargo run --quiet --package wire --example print topology > broker-config/topology.json
    cargo run --quiet --package wire --example print permissions > broker-config/permissions.conf

# Licences, advisories and who may use which crate (needs cargo-deny)
deny:
    cargo deny check

# All that has to pass before a merge
ci:
    bash .ci/run
