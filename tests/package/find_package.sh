#!/bin/sh
# find_package finds an installed package that was moved; an engine builds with it and runs. Which
# versions are accepted, which components there are, and what is said of one that is not there.
. "$SOURCE/tests/package/helpers.sh"
install_and_move
lib=$(basename "$PWD"/moved/lib*)
for name in LICENSE THIRD_PARTY_LICENSES.md; do
    find moved -name "$name" -size +0 | grep -q . || fail "$name is missing"
done

engine() {
    build=$1
    shift
    configure "$build" "$SOURCE/examples_c/consumer" -DCMAKE_PREFIX_PATH="$PWD/moved" "$@"
    "$CMAKE" --build "$build" >"$build.txt" || { cat "$build.txt"; exit 1; }
    run_engine "$build/engine"
}
engine any
loads_shared any/engine "$PWD/moved/"
engine static -DBUILD_SHARED_LIBS=OFF
loads_none static/engine
engine static_by_name -DLINK=flashstrike_wal::static
loads_none static_by_name/engine
engine shared_by_name -DBUILD_SHARED_LIBS=OFF -DLINK=flashstrike_wal::shared
loads_shared shared_by_name/engine "$PWD/moved/"

# look NAME ARGUMENT...: configures a project without a language, which prints what it found.
look() {
    look_in=$1
    shift
    "$CMAKE" -S "$SOURCE/tests/package/find" -B "$look_in" -DCMAKE_PREFIX_PATH="$PWD/moved" "$@"
}
minor=${version%.*}
for wanted in "$minor" "$version"; do
    look "version_$wanted" -DVERSION="$wanted" | grep -q "found version $version"
done
for wanted in 0.0 "0.$((${minor#*.} + 1))" "$version.1" 1.0 99.0; do
    refused "version: $version" look "version_$wanted" -DVERSION="$wanted"
done

# Both libraries are there: by default the shared one.
look all -DCOMPONENTS="shared;static;headers" | grep -q "library flashstrike_wal::shared, of"
look one -DCOMPONENTS=static | grep -q "library flashstrike_wal::static, of headers shared static"
look both -DCOMPONENTS="shared;static" -DBUILD_SHARED_LIBS=OFF |
    grep -q "library flashstrike_wal::static, of"
look headers -DCOMPONENTS=headers >/dev/null
refused "no component threads" look unknown -DCOMPONENTS="shared;threads"

# Each component by itself is missed, and its file is named.
missing() {
    file=$PWD/moved/$2
    mv "$file" kept
    refused "$1 is not installed: $file" look "no_$1" -DCOMPONENTS="$1"
    mv kept "$file"
}
missing static "$lib/libflashstrike_wal.a"
mv moved/"$lib"/libflashstrike_wal.a kept
look optional -DCOMPONENTS=shared -DOPTIONAL_COMPONENTS=static |
    grep -q "library flashstrike_wal::shared, of headers shared$"
mv kept moved/"$lib"/libflashstrike_wal.a
missing headers include/flashstrike_wal.h
missing shared "$lib/libflashstrike_wal.so"
mkdir -p moved/bin
printf '#!/bin/sh\necho fswal\n' >moved/bin/fswal
chmod +x moved/bin/fswal
missing tools bin/fswal
look tools -DCOMPONENTS=tools | grep -q "tool $PWD/moved/bin/fswal"

# Without the shared library the static one is what a program gets that does not choose.
rm moved/"$lib"/libflashstrike_wal.so
look only_static | grep -q "library flashstrike_wal::static, of headers static"
rm moved/"$lib"/libflashstrike_wal.a
refused "Component static is not installed" look neither
