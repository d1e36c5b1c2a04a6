#!/bin/sh
# Usage: scratch.sh DIRECTORY PROGRAM [ARGUMENT...]
# Runs a test in a directory that is empty whatever the last run left there.
set -eu
directory=$1
shift
rm -rf "$directory"
mkdir -p "$directory"
cd "$directory"
exec "$@"
