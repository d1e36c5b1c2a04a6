# The Debian packages: names, dependencies and documents as Debian's policy wants them.
#   libflashstrike-wal0.1     what programs load; named after the SONAME, so that two can be installed
#   libflashstrike-wal-dev    headers, static library, CMake and pkg-config files
#   flashstrike-wal-tools     fswal
# and -dbgsym of the first and the last, with the debug information that was taken out of them.

set(FLASHSTRIKE_WAL_MAINTAINER "The flashstrike-wal authors <flashstrike-wal@packages.debian.org>"
    CACHE STRING "Who made the Debian packages")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(deb_version "${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${FLASHSTRIKE_WAL_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_SOURCE flashstrike-wal)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

# --- documents that each package must have

set(deb_docs "${PROJECT_BINARY_DIR}/debian")
file(READ "${PROJECT_SOURCE_DIR}/LICENSE" deb_licence)
set(deb_third_party "")
if(EXISTS "${PROJECT_SOURCE_DIR}/THIRD_PARTY_LICENSES.md")
  file(READ "${PROJECT_SOURCE_DIR}/THIRD_PARTY_LICENSES.md" deb_third_party)
endif()
file(WRITE "${deb_docs}/copyright" "${deb_licence}\n${deb_third_party}")
file(COPY_FILE "${PROJECT_SOURCE_DIR}/CHANGELOG.md" "${deb_docs}/changelog")
# The time is SOURCE_DATE_EPOCH, if that is set.
string(TIMESTAMP deb_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE "${deb_docs}/changelog.Debian" "flashstrike-wal (${deb_version}) unstable; urgency=medium

  * Release ${PROJECT_VERSION}; changelog.gz says what is in it.

 -- ${FLASHSTRIKE_WAL_MAINTAINER}  ${deb_date}
")
find_program(GZIP_EXECUTABLE gzip REQUIRED)
execute_process(COMMAND "${GZIP_EXECUTABLE}" -9nf changelog changelog.Debian
  WORKING_DIRECTORY "${deb_docs}" COMMAND_ERROR_IS_FATAL ANY)

# --- the packages

# deb_package(COMPONENT NAME SECTION SUMMARY DESCRIPTION DEPENDS)
function(deb_package component name section summary description depends)
  string(TOUPPER "${component}" component_upper)
  set(deb "CPACK_DEBIAN_${component_upper}")
  set(${deb}_PACKAGE_NAME "${name}" PARENT_SCOPE)
  set(${deb}_FILE_NAME DEB-DEFAULT PARENT_SCOPE)
  set(${deb}_PACKAGE_SECTION "${section}" PARENT_SCOPE)
  set(${deb}_DESCRIPTION "${summary}\n${description}" PARENT_SCOPE)
  set(${deb}_PACKAGE_DEPENDS "${depends}" PARENT_SCOPE)
  install(FILES "${deb_docs}/copyright" "${deb_docs}/changelog.gz" "${deb_docs}/changelog.Debian.gz"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${name}" COMPONENT ${component})
endfunction()

set(deb_what "A write-ahead log for matching engines: an engine appends every request before it acts
on it, and finds it again after a crash of the process or the machine.")
set(deb_runtime "libflashstrike-wal${wal_soversion}")
deb_package(${runtime} ${deb_runtime} libs "write-ahead log for matching engines"
  "${deb_what}
.
This package has the shared library." "")
deb_package(${development} libflashstrike-wal-dev libdevel
  "write-ahead log for matching engines (development files)"
  "${deb_what}
.
This package has the C and C++ headers, the static library, and the files by which CMake and
pkg-config find them." "${deb_runtime} (= ${deb_version})")
deb_package(${tools} flashstrike-wal-tools utils
  "write-ahead log for matching engines (operator's tool)"
  "${deb_what}
.
This package has fswal, which shows the state of logs, checks, repairs, exports and backs them up." "")
foreach(component ${runtime} ${tools})
  string(TOUPPER "${component}" component)
  set(CPACK_DEBIAN_${component}_DEBUGINFO_PACKAGE ON)
endforeach()

# What Debian has compressed or stripped in every package.
install(CODE "
  file(GLOB_RECURSE pages \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/*.1\")
  if(pages)
    execute_process(COMMAND \"${GZIP_EXECUTABLE}\" -9n \${pages} COMMAND_ERROR_IS_FATAL ANY)
  endif()"
  COMPONENT ${tools})
install(CODE "
  execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-debug --enable-deterministic-archives
    \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libflashstrike_wal.a\"
    COMMAND_ERROR_IS_FATAL ANY)"
  COMPONENT ${development})
