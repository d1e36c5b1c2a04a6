# What CPack makes (`make package`): Debian packages in /usr, or a tarball to be unpacked anywhere.

set(CPACK_PACKAGE_NAME flashstrike-wal)
set(CPACK_PACKAGE_VENDOR "The flashstrike-wal authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "write-ahead log for matching engines")
set(CPACK_COMPONENTS_ALL ${runtime} ${development} ${tools})
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/packages")
set(CPACK_PACKAGE_FILE_NAME "flashstrike-wal-${PROJECT_VERSION}-linux-x86_64")

if(CPACK_GENERATOR STREQUAL "DEB")
  include("${CMAKE_CURRENT_LIST_DIR}/debian.cmake")
else()
  set(CPACK_GENERATOR TGZ)
  set(CPACK_STRIP_FILES ON)
  set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
  set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md"
    "${PROJECT_SOURCE_DIR}/CHANGELOG.md"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/flashstrike-wal" COMPONENT ${runtime})
endif()
include(CPack)
