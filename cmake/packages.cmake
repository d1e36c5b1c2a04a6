# What CPack makes (`make package`): Debian packages in /usr, or a tarball to be unpacked anywhere.

set(CPACK_PACKAGE_NAME flashstrike-wal)
set(CPACK_PACKAGE_VENDOR "The flashstrike-wal authors")
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/packages")
set(CPACK_PACKAGE_FILE_NAME "flashstrike-wal-${PROJECT_VERSION}-linux-x86_64")
set(CPACK_STRIP_FILES ON)

if(CPACK_GENERATOR STREQUAL "DEB")
  include("${CMAKE_CURRENT_LIST_DIR}/debian.cmake")
else()
  set(CPACK_GENERATOR TGZ)
  set(CPACK_MONOLITHIC_INSTALL ON)
endif()
include(CPack)
