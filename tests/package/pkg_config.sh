#!/bin/sh
# The installed package without CMake: a compiler with the flags from pkg-config.
. "$SOURCE/tests/package/helpers.sh"
need pkg-config
install_and_move

# compile PROGRAM PREFIX COMPILER_ARGUMENT...: the rest are options of pkg-config.
flags_of() {
    pc=$(find "$1" -name flashstrike_wal.pc)
    shift
    PKG_CONFIG_PATH=$(dirname "$pc") pkg-config "$@" flashstrike_wal
}
compile() {
    program=$1
    shift
    c++ -std=c++17 "$SOURCE/examples_c/consumer/main.cpp" -o "$program" "$@"
}
run_shared() { LD_LIBRARY_PATH=$(flags_of "$2" --variable=libdir) run_engine "$1"; }

# The flags must be split into words.
# shellcheck disable=SC2046
{
    compile ./shared $(flags_of moved --cflags --libs)
    run_shared ./shared moved

    # Where both libraries are the linker takes the shared one, unless it is told, or it is not
    # there.
    compile ./told -Wl,-Bstatic $(flags_of moved --cflags --libs --static) -Wl,-Bdynamic
    run_engine ./told
    loads_none ./told
    rm moved/lib*/libflashstrike_wal.so*
    compile ./static $(flags_of moved --cflags --libs --static)
    run_engine ./static
    loads_none ./static
    # All that it needs is named: the compiler adds nothing but its own unwinder and the C library.
    compile ./bare -nodefaultlibs $(flags_of moved --cflags --libs --static) \
        -lstdc++ -lgcc_s -lgcc -lc
    run_engine ./bare
    # A program without any shared library.
    compile ./alone -static $(flags_of moved --cflags --libs --static)
    run_engine ./alone

    # Directories that were configured as absolute ones. CMake wants them outside of the sources.
    outside=$(mktemp -d)
    trap 'rm -rf "$outside"' EXIT
    elsewhere=$outside/elsewhere
    configure_library absolute -DCMAKE_INSTALL_PREFIX="$outside/prefix" \
        -DCMAKE_INSTALL_LIBDIR="$elsewhere/lib" -DCMAKE_INSTALL_INCLUDEDIR="$outside/headers"
    "$CMAKE" --build absolute >build.txt || { cat build.txt; exit 1; }
    "$CMAKE" --install absolute >/dev/null
    compile ./absolute_shared $(flags_of "$elsewhere" --cflags --libs)
    run_shared ./absolute_shared "$elsewhere"
    configure absolute_found "$SOURCE/examples_c/consumer" \
        -Dflashstrike_wal_DIR="$elsewhere/lib/cmake/flashstrike_wal"
    "$CMAKE" --build absolute_found >build.txt || { cat build.txt; exit 1; }
    run_engine absolute_found/engine
    loads_shared absolute_found/engine "$elsewhere/lib/"
}
