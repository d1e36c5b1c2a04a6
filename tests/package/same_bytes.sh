#!/bin/sh
# Built once more, from nothing and in a directory of another name and depth: the same bytes as in
# $BUILD, where `make package` built, in the libraries and in every package of them. The time that
# is in the packages is SOURCE_DATE_EPOCH of the environment.
. "$SOURCE/tests/package/helpers.sh"

copy=another/name/and/deeper
mkdir -p $copy
(cd "$SOURCE" && git ls-files -z --cached --others --exclude-standard |
    tar --create --null --files-from - --ignore-failed-read) 2>/dev/null | tar -x -C $copy
{
    "$CMAKE" -S $copy -B $copy/out -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr \
        -DCPACK_GENERATOR=DEB -DFLASHSTRIKE_WAL_BUILD_TESTS=OFF \
        -DFLASHSTRIKE_WAL_BUILD_EXAMPLES=OFF &&
        "$CMAKE" --build $copy/out && (cd $copy/out && cpack)
} >out.txt 2>&1 || { cat out.txt; exit 1; }

cd $copy/out
same=0
for file in lib/*.so.*.*.* lib/*.a packages/*.deb; do
    cmp "$file" "$BUILD/$file" || fail "$file differs between the two builds"
    same=$((same + 1))
done
[ "$same" -ge 5 ] || fail "only $same files were compared"
echo "$same files are the same in both builds"
