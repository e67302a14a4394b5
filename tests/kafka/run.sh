#!/usr/bin/env bash
# The tests of stream tasks on a real Apache Kafka: fetches its jars once, below target/, and runs the tests, which
# start a server of one process each on free ports of 127.0.0.1. Says so and ends well where Java or Maven is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

for program in java mvn; do
    if ! command -v "$program" >/dev/null; then
        printf 'SKIPPED: the tests on Kafka need %s, which is not here\n' "$program"
        exit 0
    fi
done
jars=$PWD/target/kafka-jars
if [ ! -e "$jars/complete" ]; then
    mvn --quiet --batch-mode --file tests/kafka/pom.xml dependency:copy-dependencies "-DoutputDirectory=$jars"
    touch "$jars/complete"
fi
KAFKA_JARS=$jars cargo test --locked --package tests kafka::
