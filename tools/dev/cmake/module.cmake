# SPDX-License-Identifier: MIT
# synod_module(NAME [DEPENDS module...] [LIBRARIES target...] [WITHOUT file...] [SOURCES file...])
#
# A module is an OBJECT library over src/NAME/*.c (less WITHOUT), or over SOURCES, paths below src.
# Its include root holds one link, NAME -> src/NAME, so headers read "NAME/file.h" and a module sees
# its own headers and those of the modules it names, nothing else: including an undeclared module's
# header does not compile.
#
# LIBRARIES are external packages, seen by this module's own sources only.
function(synod_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;LIBRARIES;WITHOUT;SOURCES")
  set(root ${CMAKE_BINARY_DIR}/roots/${name})
  file(MAKE_DIRECTORY ${root})
  if(IS_DIRECTORY ${CMAKE_SOURCE_DIR}/src/${name} AND NOT EXISTS ${root}/${name})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${root}/${name} SYMBOLIC)
  endif()

  add_library(${name}_headers INTERFACE)
  target_include_directories(${name}_headers INTERFACE ${root})

  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.c)
  if(arg_SOURCES)
    list(TRANSFORM arg_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/src/ OUTPUT_VARIABLE sources)
  endif()
  foreach(file IN LISTS arg_WITHOUT)
    list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/src/${name}/${file})
  endforeach()
  add_library(${name} OBJECT ${sources})
  target_link_libraries(${name} PRIVATE synod_flags ${name}_headers ${arg_LIBRARIES})
  foreach(dependency IN LISTS arg_DEPENDS)
    target_link_libraries(${name} PRIVATE ${dependency}_headers)
  endforeach()
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  set_property(GLOBAL APPEND PROPERTY SYNOD_MODULES ${name})
  set_property(GLOBAL PROPERTY SYNOD_DEPENDS_${name} ${arg_DEPENDS})
  set_property(GLOBAL PROPERTY SYNOD_LIBRARIES_${name} ${arg_LIBRARIES})
endfunction()

# synod_module_closure(OUT module...): the modules named and all they depend on.
function(synod_module_closure out)
  set(todo ${ARGN})
  set(seen "")
  while(todo)
    list(POP_FRONT todo module)
    if(NOT module IN_LIST seen)
      list(APPEND seen ${module})
      get_property(below GLOBAL PROPERTY SYNOD_DEPENDS_${module})
      list(APPEND todo ${below})
    endif()
  endwhile()
  list(REMOVE_ITEM seen api)
  set(${out} ${seen} PARENT_SCOPE)
endfunction()

# synod_link_modules(TARGET module...): link a program with modules and all below them.
function(synod_link_modules target)
  synod_module_closure(modules ${ARGN})
  foreach(module IN LISTS modules)
    get_property(libraries GLOBAL PROPERTY SYNOD_LIBRARIES_${module})
    target_link_libraries(${target} PRIVATE ${module} ${module}_headers ${libraries})
  endforeach()
  target_link_libraries(${target} PRIVATE synod_flags)
endfunction()
