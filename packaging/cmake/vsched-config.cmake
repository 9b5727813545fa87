# find_package(vsched): vsched::vsched is the shared library, vsched::static the archive.
include("${CMAKE_CURRENT_LIST_DIR}/vsched-place.cmake")
if(NOT vsched_libdir OR NOT vsched_includedir)
  set(vsched_FOUND FALSE)
  set(vsched_NOT_FOUND_MESSAGE
      "vsched.h or pkgconfig/vsched.pc is not in the usual places under ${vsched_prefix}")
  return()
endif()

if(EXISTS "${vsched_libdir}/libvsched.so" AND NOT TARGET vsched::vsched)
  add_library(vsched::vsched SHARED IMPORTED)
  set_target_properties(vsched::vsched PROPERTIES
    IMPORTED_LOCATION "${vsched_libdir}/libvsched.so"
    INTERFACE_INCLUDE_DIRECTORIES "${vsched_includedir}")
endif()

if(EXISTS "${vsched_libdir}/libvsched.a" AND NOT TARGET vsched::static)
  separate_arguments(vsched_pc_libs UNIX_COMMAND "${vsched_pc_libs}")
  add_library(vsched::static STATIC IMPORTED)
  # Without --exclude-libs a shared object that embeds the archive exports it, and two of them in one
  # process would call into each other's copy.
  set_target_properties(vsched::static PROPERTIES
    IMPORTED_LOCATION "${vsched_libdir}/libvsched.a"
    INTERFACE_INCLUDE_DIRECTORIES "${vsched_includedir}"
    INTERFACE_LINK_LIBRARIES "${vsched_pc_libs}"
    INTERFACE_LINK_OPTIONS "LINKER:--exclude-libs,libvsched.a")
endif()
