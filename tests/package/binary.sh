#!/bin/sh
# The libraries as files: what they export, under which versions, what they need, and what they
# must not have in them.
. "$SOURCE/tests/package/helpers.sh"
need readelf nm
library=$BUILD/lib/libflashstrike_wal.so
minor=${version%.*}

# The compiler says what the header declares. That is what is exported, and nothing else, in the
# version of this minor version; and the static library has no other global symbol.
cc -std=c11 -aux-info declared.txt -fsyntax-only -x c "$SOURCE/include/flashstrike_wal.h"
sed -n 's|^/\* .*/flashstrike_wal\.h:.*[ *]\(fs_[a-z0-9_]*\) (.*|\1|p' declared.txt | sort >declared
[ "$(wc -l <declared)" -gt 30 ] || fail "the compiler declared too little: $(cat declared.txt)"
sed "s/$/@@FLASHSTRIKE_WAL_$minor/" declared >wanted
nm -D --defined-only "$library" | grep -v ' A ' | awk '{ print $3 }' | sort >exported
diff wanted exported || fail "< declared  > exported by the shared library"
nm -g --defined-only "$BUILD/lib/libflashstrike_wal.a" | awk 'NF == 3 { print $3 }' | sort >global
diff declared global || fail "< declared  > global in the static library"

for link in libflashstrike_wal.so "libflashstrike_wal.so.$minor"; do
    [ "$(readlink -f "$BUILD/lib/$link")" = "$BUILD/lib/libflashstrike_wal.so.$version" ] ||
        fail "$link leads to $(readlink -f "$BUILD/lib/$link")"
done

readelf --dynamic --wide "$library" >dynamic
readelf --segments --wide "$library" >segments
says() { grep -qE "$1" "$2" || { cat "$2"; fail "not said: $1"; }; }
says "SONAME.*\[libflashstrike_wal\.so\.$minor\]" dynamic
says 'FLAGS_1.*NOW.*NODELETE' dynamic
says 'GNU_RELRO' segments
says 'GNU_STACK.* RW ' segments
if grep -E 'TEXTREL|RPATH|RUNPATH' dynamic; then fail "not wanted in the shared library"; fi
if grep NEEDED dynamic | grep -vE '\[(libc|libm|libgcc_s|ld-linux-x86-64)\.so\.[0-9]+\]'; then
    fail "the shared library needs more than glibc and the compiler's unwinder"
fi

# docs/integrating.md states which glibc is needed.
stated=$(sed -n 's/.*glibc \(2\.[0-9]*\) or newer.*/\1/p' "$SOURCE/docs/integrating.md")
[ -n "$stated" ] || fail "docs/integrating.md states no glibc"
needed=$(readelf --version-info --wide "$library" | grep -o 'GLIBC_[0-9.]*' | sed 's/.*_//' |
    sort -V | tail -n 1)
[ "$(printf '%s\n' "$needed" "$stated" | sort -V | tail -n 1)" = "$stated" ] ||
    fail "needs glibc $needed, and docs/integrating.md states $stated"

# No path of the machine that built it.
for file in "$library" "$BUILD/lib/libflashstrike_wal.a"; do
    for path in "$SOURCE" "$BUILD" "$CARGO_DIR" "${CARGO_HOME:-$HOME/.cargo}" "$HOME"; do
        if grep -aoF "$path/" "$file" | head -n 1 | grep .; then fail "in $file"; fi
    done
done

cp "$library" stripped.so
strip --strip-unneeded stripped.so
echo "the shared library: $(stat -c %s stripped.so) bytes stripped, needs glibc $needed"
