#!/bin/sh
# Usage: scratch.sh DIRECTORY PROGRAM [ARGUMENT...]
# Runs a test in DIRECTORY, emptied first.
set -eu
directory=$1
shift
rm -rf "$directory"
mkdir -p "$directory"
cd "$directory"
exec "$@"
