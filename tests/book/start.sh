#!/bin/sh
# Usage: start.sh SOURCE CARGO_DIR
# The commands of README.md, docs/start_cpp.md and docs/start_c.md do what the pages say.
set -eu
source=$1 cargo_dir=$2
for tool in pkg-config python3; do
    if ! command -v $tool >/dev/null; then
        echo "skipped: $tool is not installed"
        exit 77
    fi
done
# The commands of the README. cargo has built the library already, in its own directory.
sed -e "s|/opt|$PWD/opt|" \
    -e "s|^cmake -B build|& -S '$source' -DFLASHSTRIKE_WAL_CARGO_TARGET_DIR='$cargo_dir'|" \
    "$source/tests/book/install.sh" >install.sh
sh -ex install.sh
cp -r "$source/tests/book/first" first
python3 "$source/tests/book/console.py" "$source/tests/book/start_cpp.console" /opt="$PWD/opt"
rm -r wal
python3 "$source/tests/book/console.py" "$source/tests/book/start_c.console" /opt="$PWD/opt"
