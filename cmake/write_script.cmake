# write_script(FILE TEXT): a script that can be executed. `colcon build --symlink-install` links to the file in the build
# folder, and only what install() copies gets a mode from it. file(CHMOD) needs CMake 3.19.
function(write_script file text)
  get_filename_component(folder "${file}" DIRECTORY)
  get_filename_component(name "${file}" NAME)
  file(WRITE "${folder}/generated/${name}" "${text}")
  file(COPY "${folder}/generated/${name}" DESTINATION "${folder}"
    FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endfunction()
