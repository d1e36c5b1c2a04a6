#!/bin/sh
# Built twice, in directories of different names and depths, with cargo's work in another place: the
# same bytes, in the libraries and in every package of them.
. "$SOURCE/tests/package/helpers.sh"
export SOURCE_DATE_EPOCH=1700000000

# build_copy DIRECTORY
build_copy() {
    mkdir -p "$1"
    (cd "$SOURCE" && git ls-files -z --cached --others --exclude-standard |
        tar --create --null --files-from - --ignore-failed-read) 2>/dev/null | tar -x -C "$1"
    "$CMAKE" -S "$1" -B "$1/out" -DCMAKE_INSTALL_PREFIX=/usr -DCPACK_GENERATOR=DEB \
        -DFLASHSTRIKE_WAL_BUILD_TESTS=OFF -DFLASHSTRIKE_WAL_BUILD_EXAMPLES=OFF &&
        "$CMAKE" --build "$1/out" && (cd "$1/out" && cpack)
}
for copy in one another/name/and/deeper; do
    build_copy $copy >out.txt 2>&1 || { cat out.txt; exit 1; }
done
cd another/name/and/deeper/out
same=0
for file in lib/*.so.*.*.* lib/*.a packages/*.deb; do
    cmp "$file" "$OLDPWD/one/out/$file" || fail "$file differs between the two builds"
    same=$((same + 1))
done
[ "$same" -ge 5 ] || fail "only $same files were compared"
echo "$same files are the same in both builds"
