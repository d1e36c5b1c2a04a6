#!/usr/bin/env bash
# Usage: tools/require.sh PROGRAM...
# Checks that programs are installed. As root on Debian or Ubuntu it installs what is missing.
# Otherwise it prints what to install, and fails.
set -euo pipefail

present() {
    case $1 in
        btrfs-progs) command -v mkfs.btrfs >/dev/null ;;  # a package, not a program
        e2fsprogs) command -v mkfs.ext4 >/dev/null ;;
        xfsprogs) command -v mkfs.xfs >/dev/null ;;
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;  # a package, not a program
        *) command -v "$1" >/dev/null ;;
    esac
}

missing=()
for program in "$@"; do
    present "$program" && continue
    if [ "$program" = cargo ]; then
        echo "cargo is missing: install Rust 1.85 or newer:" >&2
        echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
        exit 1
    fi
    missing+=("$program")
done
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
