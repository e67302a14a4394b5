#!/usr/bin/env bash
# Fetches the jars of a real Apache Kafka once, below target/, and prints their folder. Fails, and says why, where Java
# or Maven is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

for program in java mvn; do
    if ! command -v "$program" >/dev/null; then
        printf 'SKIPPED: the tests on Kafka need %s, which is not here\n' "$program" >&2
        exit 1
    fi
done
jars=$PWD/target/kafka-jars
if [ ! -e "$jars/complete" ]; then
    mvn --quiet --batch-mode --file tests/kafka/pom.xml dependency:copy-dependencies "-DoutputDirectory=$jars" >&2
    touch "$jars/complete"
fi
printf '%s\n' "$jars"
