# Runs at install time: puts the debug information of `binary` where debuggers look for it, by the
# build id that the stripped file keeps.
execute_process(COMMAND "${readelf}" --notes "${binary}"
  OUTPUT_VARIABLE notes COMMAND_ERROR_IS_FATAL ANY)
if(NOT notes MATCHES "Build ID: ([0-9a-f][0-9a-f])([0-9a-f]+)")
  message(FATAL_ERROR "${binary} has no build id")
endif()
set(directory "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/debug/.build-id/${CMAKE_MATCH_1}")
set(file "${directory}/${CMAKE_MATCH_2}.debug")
file(MAKE_DIRECTORY "${directory}")
execute_process(
  COMMAND "${objcopy}" --only-keep-debug --compress-debug-sections "${binary}" "${file}"
  COMMAND_ERROR_IS_FATAL ANY)
file(CHMOD "${file}" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
