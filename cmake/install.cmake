# `cmake --install`: the library, the headers, the tool, and the files by which find_package and
# pkg-config find them. Three components: runtime (what programs load), development, tools.

include(CMakePackageConfigHelpers)

set(wal_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/flashstrike_wal")
set(runtime flashstrike_wal_runtime)
set(development flashstrike_wal_development)
set(tools flashstrike_wal_tools)

install(TARGETS flashstrike_wal_headers EXPORT flashstrike_wal_headers)
install(TARGETS flashstrike_wal_shared EXPORT flashstrike_wal_shared
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  COMPONENT ${runtime} NAMELINK_COMPONENT ${development})
install(TARGETS flashstrike_wal_static EXPORT flashstrike_wal_static
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT ${development})
foreach(kind headers shared static)
  install(EXPORT flashstrike_wal_${kind} FILE flashstrike_wal-${kind}.cmake
    NAMESPACE flashstrike_wal:: DESTINATION "${wal_package_dir}" COMPONENT ${development})
endforeach()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  COMPONENT ${development} FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
# Debian's packages have the licences where Debian wants them (debian.cmake).
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/THIRD_PARTY_LICENSES.md"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/flashstrike_wal" COMPONENT ${runtime})
endif()
# The operator's tool, with its man pages and completions, where `make tools` has built it.
set(wal_fswal "${FLASHSTRIKE_WAL_CARGO_TARGET_DIR}/tools/release/fswal")
install(PROGRAMS "${wal_fswal}" DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT ${tools} OPTIONAL)
install(DIRECTORY "${FLASHSTRIKE_WAL_CARGO_TARGET_DIR}/tools/share/"
  DESTINATION "${CMAKE_INSTALL_DATADIR}" COMPONENT ${tools} OPTIONAL)

# CMake itself strips shared libraries only.
function(wal_strip component file)
  if(NOT IS_ABSOLUTE "${file}")
    string(PREPEND file "\${CMAKE_INSTALL_PREFIX}/")
  endif()
  install(CODE "
    set(file \"\$ENV{DESTDIR}${file}\")
    if(CMAKE_INSTALL_DO_STRIP AND EXISTS \"\${file}\")
      execute_process(COMMAND \"${CMAKE_STRIP}\" ${ARGN} \"\${file}\" COMMAND_ERROR_IS_FATAL ANY)
    endif()"
    COMPONENT ${component})
endfunction()
wal_strip(${development} "${CMAKE_INSTALL_LIBDIR}/libflashstrike_wal.a"
  --strip-debug --enable-deterministic-archives)
wal_strip(${tools} "${CMAKE_INSTALL_BINDIR}/fswal")

# --- find_package

set(wal_compatibility SameMajorVersion)
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(wal_compatibility SameMinorVersion)
endif()
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/flashstrike_wal-config.cmake.in"
  "${PROJECT_BINARY_DIR}/flashstrike_wal-config.cmake"
  INSTALL_DESTINATION "${wal_package_dir}"
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/flashstrike_wal-config-version.cmake"
  COMPATIBILITY ${wal_compatibility})
install(FILES
  "${PROJECT_BINARY_DIR}/flashstrike_wal-config.cmake"
  "${PROJECT_BINARY_DIR}/flashstrike_wal-config-version.cmake"
  DESTINATION "${wal_package_dir}" COMPONENT ${development})

# --- pkg-config

# Relative to the .pc file, so that the prefix can be moved, except for directories that were
# configured as absolute ones.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(wal_pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH wal_pc_prefix "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p")
  set(wal_pc_prefix "\${pcfiledir}/${wal_pc_prefix}")
endif()
foreach(dir LIBDIR INCLUDEDIR)
  set(wal_pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(wal_pc_${dir} "${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
list(TRANSFORM wal_system_libraries PREPEND "-l" OUTPUT_VARIABLE wal_pc_private)
list(JOIN wal_pc_private " " wal_pc_private)
configure_file("${PROJECT_SOURCE_DIR}/cmake/flashstrike_wal.pc.in"
  "${PROJECT_BINARY_DIR}/flashstrike_wal.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/flashstrike_wal.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT ${development})
