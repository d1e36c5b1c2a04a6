#!/bin/sh
# Usage: clean_root.sh SOURCE PACKAGES DIRECTORY
# The Debian packages in a Debian that has a C++ compiler, CMake and pkg-config, but no Rust: an
# engine is built with them in every way, and runs; when they are purged nothing is left. As root.
#
# DIRECTORY keeps the Debian that debootstrap makes, for the next run: nothing is written into it,
# but into a layer above it that is thrown away.
set -eu
source=$1 packages=$2 directory=$3
if [ "$(id -u)" -ne 0 ]; then
    echo "skipped: only root can make a clean root"
    exit 77
fi
if [ "${IN_NAMESPACE:-}" != yes ]; then
    if ! unshare --mount true; then
        echo "skipped: this root may not mount, and cannot make a clean one"
        exit 77
    fi
    # Mounts disappear with the namespace.
    IN_NAMESPACE=yes exec unshare --mount --propagation private "$0" "$@"
fi

base=$directory/debian
if [ ! -e "$base.ready" ]; then
    rm -rf "$base"
    mkdir -p "$base"
    . /etc/os-release
    debootstrap --variant=minbase --include=g++,cmake,make,pkg-config "$VERSION_CODENAME" "$base" \
        >"$base.log" || { tail "$base.log"; exit 1; }
    rm -rf "$base"/var/cache/apt/archives/*.deb
    touch "$base.ready"
fi

layer=$directory/layer
rm -rf "$layer"
mkdir -p "$layer"
mount -t tmpfs none "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
root=$layer/root
mount -t overlay -o "lowerdir=$base,upperdir=$layer/upper,workdir=$layer/work" none "$root"
mount -t proc none "$root/proc"
mkdir -p "$root/dev/shm" "$root/engine"
mount -t tmpfs none "$root/dev/shm"
cp "$packages"/*.deb "$source/tests/package/clean_root_inside.sh" "$root/engine"
cp -r "$source/examples_c/consumer" "$root/engine/source"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/nonexistent \
    chroot "$root" sh /engine/clean_root_inside.sh
