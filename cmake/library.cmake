# cargo builds a static library with everything in it. From that comes one object in which only the
# functions of the header are global, and from the object come both libraries. So a program can
# have an LZ4, an xxHash or Rust of its own beside ours. rustc cannot make such a shared library:
# it passes a version script of its own to the linker, and the linker takes no second one.

include(GNUInstallDirs)
include("${CMAKE_CURRENT_LIST_DIR}/symbols.cmake")

# Until 1.0 a minor version may break the ABI, so it is part of the name that programs load.
set(wal_soversion "${PROJECT_VERSION_MAJOR}")
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(wal_soversion "0.${PROJECT_VERSION_MINOR}")
endif()

set(wal_config_dir "${CMAKE_CURRENT_BINARY_DIR}/object")
if(wal_multi_config)
  string(APPEND wal_config_dir "/$<CONFIG>")
endif()
set(wal_archive "${wal_config_dir}/from_cargo.a")
set(wal_object "${wal_config_dir}/flashstrike_wal.o")
set(debug "$<CONFIG:Debug>")

# Always runs cargo, because cargo knows what has changed, and CMake does not. What has not changed
# is not copied, so nothing is linked again.
add_custom_target(flashstrike_wal_cargo
  COMMAND "${CMAKE_COMMAND}" -E env "CARGO_TARGET_DIR=${FLASHSTRIKE_WAL_CARGO_TARGET_DIR}"
          $<$<NOT:${debug}>:${PROJECT_SOURCE_DIR}/tools/without_paths.sh>
          "${CARGO_EXECUTABLE}" rustc --profile $<IF:${debug},dev,release> --locked --lib
          --crate-type staticlib --manifest-path "${PROJECT_SOURCE_DIR}/Cargo.toml"
  COMMAND "${CMAKE_COMMAND}" -E make_directory "${wal_config_dir}"
  COMMAND "${CMAKE_COMMAND}" -E copy_if_different
          "${FLASHSTRIKE_WAL_CARGO_TARGET_DIR}/$<IF:${debug},debug,release>/libflashstrike_wal.a"
          "${wal_archive}"
  BYPRODUCTS "${wal_archive}"
  COMMENT "Running cargo"
  COMMAND_EXPAND_LISTS VERBATIM)

# -u takes in what the header declares, and with that what it needs. Without groups, because the
# linker would throw away a group of ours when a program has another Rust library with one of the
# same name, and our references to it are local. The bitcode that some objects of Rust's have beside
# their code would make other tools take ours for something to be optimised at link time.
list(TRANSFORM symbols PREPEND "-Wl,-u," OUTPUT_VARIABLE wanted)
add_custom_command(OUTPUT "${wal_object}"
  COMMAND "${CMAKE_C_COMPILER}" -r -nostdlib -Wl,--force-group-allocation ${wanted}
          "${wal_archive}" -o "${wal_object}"
  COMMAND "${CMAKE_OBJCOPY}" "--keep-global-symbols=${wal_symbol_list}"
          --remove-section=.llvmbc --remove-section=.llvmcmd "${wal_object}"
  DEPENDS "${wal_archive}" "${wal_symbol_list}"
  COMMENT "Making all symbols local but those of the header"
  VERBATIM)
add_custom_target(flashstrike_wal_object DEPENDS "${wal_object}")
add_dependencies(flashstrike_wal_object flashstrike_wal_cargo)

add_library(flashstrike_wal_headers INTERFACE)
target_include_directories(flashstrike_wal_headers INTERFACE
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
  "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")

add_library(flashstrike_wal_shared SHARED "${wal_object}")
add_library(flashstrike_wal_static STATIC "${wal_object}")
foreach(kind shared static)
  add_dependencies(flashstrike_wal_${kind} flashstrike_wal_object)
  target_link_libraries(flashstrike_wal_${kind} PUBLIC flashstrike_wal_headers)
  set_target_properties(flashstrike_wal_${kind} PROPERTIES
    OUTPUT_NAME flashstrike_wal
    LINKER_LANGUAGE C
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/lib"
    ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/lib")
endforeach()
set_target_properties(flashstrike_wal_shared PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${wal_soversion} LINK_DEPENDS "${wal_version_map}")

# nodelete: threads of the library run until the process ends.
target_link_options(flashstrike_wal_shared PRIVATE
  "LINKER:--version-script=${wal_version_map}" LINKER:--no-undefined-version LINKER:--gc-sections
  LINKER:-z,defs LINKER:-z,relro LINKER:-z,now LINKER:-z,nodelete LINKER:--build-id=sha1
  LINKER:--as-needed)
# What the Rust standard library needs of the system. From glibc 2.34 on all but m is in libc. The
# compiler itself adds its unwinder.
set(wal_system_libraries util rt pthread m dl)
target_link_libraries(flashstrike_wal_shared PRIVATE ${wal_system_libraries})
target_link_libraries(flashstrike_wal_static INTERFACE ${wal_system_libraries})

foreach(kind headers shared static)
  set_target_properties(flashstrike_wal_${kind} PROPERTIES EXPORT_NAME ${kind})
  add_library(flashstrike_wal::${kind} ALIAS flashstrike_wal_${kind})
endforeach()
# Not option(), which would set it for the whole of a project that this is a part of.
if(DEFINED BUILD_SHARED_LIBS AND NOT BUILD_SHARED_LIBS)
  add_library(flashstrike_wal::flashstrike_wal ALIAS flashstrike_wal_static)
else()
  add_library(flashstrike_wal::flashstrike_wal ALIAS flashstrike_wal_shared)
endif()
