# Runs in the clean root (clean_root.sh), which has the packages and the engine in /engine.
set -eu
cd /engine
fail() { echo "$*" >&2; exit 1; }
if command -v cargo rustc; then fail "this root is not without Rust"; fi

# What dpkg and ldconfig keep for themselves.
everything() {
    find / -xdev \( -path /engine -o -path /proc -o -path /dev -o -path /var/lib/dpkg \
        -o -path /var/log -o -path /var/cache/ldconfig -o -path /tmp \) -prune -o -print | sort
}
everything >before
dpkg --install ./*.deb >log.txt 2>&1 || { cat log.txt; fail "the packages do not install"; }

run() {
    rm -rf log
    said=$("$1")
    case $said in "flashstrike_wal "*": 1") ;; *) fail "$1 said: $said" ;; esac
}
for link in flashstrike_wal static; do
    cmake -S source -B "cmake_$link" -DLINK="flashstrike_wal::$link" >log.txt ||
        fail "$(cat log.txt)"
    cmake --build "cmake_$link" >log.txt || fail "$(cat log.txt)"
    run "cmake_$link/engine"
done
# The flags must be split into words.
# shellcheck disable=SC2046
{
    c++ -std=c++17 source/main.cpp -o plain $(pkg-config --cflags --libs flashstrike_wal)
    run ./plain
    c++ -std=c++17 source/main.cpp -o static -static \
        $(pkg-config --cflags --libs --static flashstrike_wal)
    run ./static
}
ldd plain | grep -q '=> /lib/x86_64-linux-gnu/libflashstrike_wal.so.0' || fail "$(ldd plain)"
fswal verify log >log.txt 2>&1 || fail "$(cat log.txt)"

# shellcheck disable=SC2046
dpkg --purge $(dpkg-query --show --showformat '${Package}\n' '*flashstrike-wal*') >log.txt 2>&1 ||
    fail "$(cat log.txt)"
everything >after
diff before after || fail "left behind (>), or taken away (<)"
if ldconfig -p | grep flashstrike; then fail "the loader still knows the library"; fi
echo "installed, used and purged in a clean Debian"
