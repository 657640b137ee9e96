#!/usr/bin/env bash
# Brings the real parts that tests run against; quick when done. What cannot be had is named, and
# its tests skip: a missing part never stops the others.
set -euo pipefail
cd "$(dirname "$0")/../.."

UBL=build/peers/ubl
COPY=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies

skip() { echo "peers: $1; $2 will skip" >&2; }

has_postgres() { compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || command -v initdb >/dev/null; }

# ---- Debian packages, only where something is missing and only as root
packages() {
  local wanted=()
  has_postgres || wanted+=(postgresql)
  command -v npm >/dev/null || wanted+=(nodejs npm)
  command -v mvn >/dev/null || wanted+=(maven)
  command -v go >/dev/null || wanted+=(golang-go)
  [ ${#wanted[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    skip "not here, and apt-get as root is needed to install: ${wanted[*]}" "tests that need them"
    return 0
  fi
  echo "peers: installing ${wanted[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -q -y --no-install-recommends "${wanted[@]}"; } >/dev/null \
    || skip "apt-get could not install ${wanted[*]}" "tests that need them"
}

# ---- the document store's peer
node_modules() {
  local here=tests/peers
  cmp -s $here/package-lock.json $here/node_modules/.installed && return 0
  command -v npm >/dev/null || { skip "npm is not here" "the Cosmos tests"; return 0; }
  if npm ci --prefix $here --silent --no-progress; then
    cp $here/package-lock.json $here/node_modules/.installed
  else
    skip "npm could not install the Cosmos peer" "its tests"
  fi
}

# ---- the OASIS schemas of UBL 2.1, out of Maven artifacts; none of them is committed
ubl_schemas() {
  local new
  cmp -s tests/peers/ubl.sha256 $UBL/.installed && return 0
  command -v mvn >/dev/null || { skip "mvn is not here" "the checks against the UBL schemas"; return 0; }
  mkdir -p build/peers
  new=$(mktemp -d build/peers/ubl.XXXXXX)
  if mvn -q -B -Dstyle.color=never -f tests/peers/pom.xml "$COPY" \
      -DincludeGroupIds=com.helger.ubl,com.helger.xsd -DoutputDirectory="$PWD/$new" >&2 \
    && (cd "$new" && sha256sum -c --quiet) <tests/peers/ubl.sha256 >&2 \
    && .venv/bin/python tests/peers/ubl.py "$new"; then
    cp tests/peers/ubl.sha256 "$new/.installed"
    rm -rf $UBL && mv -T "$new" $UBL
  else
    skip "the UBL schemas could not be fetched" "the checks against them"
    rm -rf "$new"
  fi
}

# ---- the schema of the Compose Specification, out of a Go module; never committed
compose_schema() {
  local module=github.com/compose-spec/compose-go/v2@v2.16.2 schema=build/peers/compose-spec.json folder
  local sum="f266dcbb043229405d7cedd5aec918f9102c2b3d5e3850808fdd8edd564a43ff  $schema"
  sha256sum -c --status <<<"$sum" 2>/dev/null && return 0
  command -v go >/dev/null || { skip "go is not here" "the check of docker-compose.yml against its schema"; return 0; }
  mkdir -p build/peers
  if folder=$(go mod download -json $module | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p') \
    && install -m 644 "$folder/schema/compose-spec.json" $schema && sha256sum -c --status <<<"$sum"; then
    return 0
  fi
  rm -f $schema
  skip "the Compose Specification's schema could not be fetched" "the check of docker-compose.yml against it"
}

# ---- geth 1.13, the last that can seal; built once per machine
geth() {
  if ! .venv/bin/python -m validators.network.geth_build >/dev/null; then
    skip "no geth" "the tests on real Clique nodes"
  fi
}

packages
node_modules
ubl_schemas
compose_schema
geth
