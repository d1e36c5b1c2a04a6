# The Debian packages: names, dependencies and documents as Debian's policy wants them.
#   libflashstrike-wal0.1     what programs load; named after its SONAME: two fit side by side
#   libflashstrike-wal-dev    headers, static library, CMake and pkg-config files
#   flashstrike-wal-tools     fswal
# and -dbgsym of the first and the last, with the debug information that was taken out of them.

set(FLASHSTRIKE_WAL_MAINTAINER
    "The flashstrike-wal authors <flashstrike-wal@users.noreply.github.com>"
    CACHE STRING "Who made the Debian packages")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL ${runtime} ${development})
if(EXISTS "${wal_fswal}")
  list(APPEND CPACK_COMPONENTS_ALL ${tools})
endif()
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(deb_version "${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${FLASHSTRIKE_WAL_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_SOURCE flashstrike-wal)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

# --- documents that each package must have

set(deb_docs "${PROJECT_BINARY_DIR}/debian")
file(READ "${PROJECT_SOURCE_DIR}/LICENSE" deb_licence)
file(READ "${PROJECT_SOURCE_DIR}/THIRD_PARTY_LICENSES.md" deb_third_party)
# Debian has the terms of the Apache licence once for all packages, and wants them in no other.
set(deb_apache_ends "END OF TERMS AND CONDITIONS")
string(LENGTH "${deb_apache_ends}" deb_apache_ends_length)
while(TRUE)
  string(FIND "${deb_third_party}" "TERMS AND CONDITIONS FOR USE, REPRODUCTION" begin)
  if(begin EQUAL -1)
    break()
  endif()
  string(SUBSTRING "${deb_third_party}" 0 ${begin} before)
  string(SUBSTRING "${deb_third_party}" ${begin} -1 after)
  string(FIND "${after}" "${deb_apache_ends}" end)
  if(end EQUAL -1)
    message(FATAL_ERROR "THIRD_PARTY_LICENSES.md: the terms of an Apache licence have no end")
  endif()
  math(EXPR end "${end} + ${deb_apache_ends_length}")
  string(SUBSTRING "${after}" ${end} -1 after)
  string(CONCAT deb_third_party "${before}"
    "Its terms: /usr/share/common-licenses/Apache-2.0 on Debian systems." "${after}")
endwhile()
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

# The loader's cache is made anew when the library comes or goes; packages of programs that are
# linked with it depend on this one.
set(deb_library "libflashstrike-wal${wal_soversion}")
file(WRITE "${deb_docs}/triggers" "activate-noawait ldconfig\n")
file(WRITE "${deb_docs}/shlibs"
  "libflashstrike_wal ${wal_soversion} ${deb_library} (>= ${deb_version})\n")

# --- the packages

# deb_package(COMPONENT NAME SECTION DEPENDS DESCRIPTION): of the description the first line is the
# summary.
function(deb_package component name section depends description)
  string(TOUPPER "CPACK_DEBIAN_${component}" deb)
  set(${deb}_PACKAGE_NAME "${name}" PARENT_SCOPE)
  set(${deb}_FILE_NAME DEB-DEFAULT PARENT_SCOPE)
  set(${deb}_PACKAGE_SECTION "${section}" PARENT_SCOPE)
  set(${deb}_PACKAGE_DEPENDS "${depends}" PARENT_SCOPE)
  set(${deb}_DESCRIPTION "write-ahead log for matching engines ${description}" PARENT_SCOPE)
  install(FILES "${deb_docs}/copyright" "${deb_docs}/changelog.gz" "${deb_docs}/changelog.Debian.gz"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${name}" COMPONENT ${component})
endfunction()

# debug_package(COMPONENT NAME BINARY): the debug information of the package of a component.
find_program(READELF_EXECUTABLE readelf REQUIRED)
function(debug_package component name binary)
  install(CODE "
    set(readelf \"${READELF_EXECUTABLE}\")
    set(objcopy \"${CMAKE_OBJCOPY}\")
    set(binary \"${binary}\")
    include(\"${PROJECT_SOURCE_DIR}/cmake/debug_info.cmake\")"
    COMPONENT ${component}_debug)
  deb_package(${component}_debug ${name}-dbgsym debug "${name} (= ${deb_version})"
    "(debug symbols)
This package has the debug information of ${name}.")
  string(TOUPPER "CPACK_DEBIAN_${component}_DEBUG" deb)
  foreach(variable PACKAGE_NAME FILE_NAME PACKAGE_SECTION PACKAGE_DEPENDS DESCRIPTION)
    set(${deb}_${variable} "${${deb}_${variable}}" PARENT_SCOPE)
  endforeach()
  set(CPACK_COMPONENTS_ALL ${CPACK_COMPONENTS_ALL} ${component}_debug PARENT_SCOPE)
endfunction()

set(deb_what "An engine appends every request before it acts on it, and finds it again
after a crash of the process or of the machine.
.")
deb_package(${runtime} ${deb_library} libs "" "(library)
${deb_what}
This package has the shared library.")
string(TOUPPER "CPACK_DEBIAN_${runtime}_PACKAGE" deb)
set(${deb}_CONTROL_EXTRA "${deb_docs}/triggers" "${deb_docs}/shlibs")
set(${deb}_SHLIBDEPS ON)
debug_package(${runtime} ${deb_library} "$<TARGET_FILE:flashstrike_wal_shared>")

deb_package(${development} libflashstrike-wal-dev libdevel "${deb_library} (= ${deb_version})"
  "(development)
${deb_what}
This package has the C and C++ headers, the static library, and the files by
which CMake and pkg-config find them.")

if(${tools} IN_LIST CPACK_COMPONENTS_ALL)
  deb_package(${tools} flashstrike-wal-tools utils "" "(operator's tool)
${deb_what}
This package has fswal, which shows the state of logs, checks, repairs, exports
and backs them up.")
  string(TOUPPER "CPACK_DEBIAN_${tools}_PACKAGE_SHLIBDEPS" deb)
  set(${deb} ON)
  debug_package(${tools} flashstrike-wal-tools "${wal_fswal}")
  install(CODE "
    file(GLOB_RECURSE pages
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/*.[1-9]\")
    if(pages)
      execute_process(COMMAND \"${GZIP_EXECUTABLE}\" -9n \${pages} COMMAND_ERROR_IS_FATAL ANY)
    endif()"
    COMPONENT ${tools})
endif()
