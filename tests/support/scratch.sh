#!/bin/sh
# Usage: scratch.sh DIRECTORY PROGRAM [ARGUMENT...]
# Runs a test in DIRECTORY, emptied first; with the command before it that RUN_UNDER names.
set -eu
directory=$1
shift
rm -rf "$directory"
mkdir -p "$directory"
cd "$directory"
# Words, not one name.
# shellcheck disable=SC2086
exec ${RUN_UNDER:-} "$@"
