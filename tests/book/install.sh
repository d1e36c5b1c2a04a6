cmake -B build -DCMAKE_INSTALL_PREFIX=/opt/wal \
    -DFLASHSTRIKE_WAL_BUILD_EXAMPLES=OFF -DFLASHSTRIKE_WAL_BUILD_TESTS=OFF
cmake --build build
cmake --install build
