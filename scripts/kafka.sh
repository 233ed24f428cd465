#!/usr/bin/env bash
# Apache Kafka for the tests, from Maven Central by the versions of scripts/kafka/pom.xml, into a cache outside the
# tree; prints the folder of its jars. Does nothing when it is there. From cold: 15 s, 45 MB.
set -euo pipefail
cd "$(dirname "$0")"
version=$(sed -n '/kafka_2.13/,/<\/version>/s/.*<version>\(.*\)<\/version>.*/\1/p' kafka/pom.xml)
jars=${XDG_CACHE_HOME:-$HOME/.cache}/polygraph/kafka-$version
if [ -d "$jars" ]; then echo "$jars"; exit 0; fi

./install-system.sh maven openjdk-17-jre-headless >&2
echo "downloading Kafka $version" >&2
new=$jars.$$
trap 'rm -rf "$new"' EXIT
mvn -q -B -f kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$new" >&2
mv "$new" "$jars" # atomic: what is cut off leaves no half of it
echo "$jars"
