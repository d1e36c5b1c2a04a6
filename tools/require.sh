#!/usr/bin/env bash
# Usage: tools/require.sh PROGRAM...
# Checks that programs are installed. As root on Debian or Ubuntu it installs what is missing.
# Otherwise it prints what to install, and fails.
set -euo pipefail

present() {
    case $1 in
        abigail-tools) command -v abidiff >/dev/null ;;
        btrfs-progs) command -v mkfs.btrfs >/dev/null ;;  # a package, not a program
        dpkg-dev) command -v dpkg-shlibdeps >/dev/null ;;  # a package, not a program
        e2fsprogs) command -v mkfs.ext4 >/dev/null ;;
        golang-go) command -v go >/dev/null ;;
        ninja-build) command -v ninja >/dev/null ;;
        xfsprogs) command -v mkfs.xfs >/dev/null ;;
        liblz4-dev) echo '#include <lz4frame.h>' | gcc -E - >/dev/null 2>&1 ;;  # a package
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;  # a package, not a program
        *) command -v "$1" >/dev/null ;;
    esac
}

# The version of Rust that Cargo.toml asks for. An older cargo fails too, but with a message about
# something else.
rust_wanted() {
    sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$(dirname "$0")/../Cargo.toml"
}

# Says what is wrong with cargo, if anything.
check_cargo() {
    local wanted found=
    wanted=$(rust_wanted)
    command -v cargo >/dev/null && found=$(cargo --version 2>/dev/null | cut -d' ' -f2)
    [ "$(printf '%s\n' "$wanted" "${found:-0}" | sort -V | head -n1)" = "$wanted" ] && return
    if [ -z "$found" ]; then
        echo "cargo is missing: install Rust $wanted or newer:"
    else
        echo "cargo is that of Rust $found: install Rust $wanted or newer" \
            "(a distribution's own is often older), and put ~/.cargo/bin first in PATH:"
    fi
    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
}

missing=()
wrong_cargo=
for program in "$@"; do
    if [ "$program" = cargo ]; then
        wrong_cargo=$(check_cargo)
    else
        present "$program" || missing+=("$program")
    fi
done
if [ -n "$wrong_cargo" ]; then
    # All that is missing is said at once.
    [ ${#missing[@]} -eq 0 ] || echo "missing: ${missing[*]}" >&2
    echo "$wrong_cargo" >&2
    exit 1
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "missing: ${missing[*]}. On Debian or Ubuntu: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
