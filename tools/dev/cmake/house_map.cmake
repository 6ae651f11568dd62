# SPDX-License-Identifier: MIT
# synod_write_house_map(FILE): what the build knows of every module, for tests/layering.sh. Lines of
# words, one module after the other:
#
#   compiler PATH           once, at the top
#   module NAME
#   depends MODULE...
#   objects FILE...
#   flags FLAG...           as its sources are compiled with
function(synod_write_house_map file)
  get_property(modules GLOBAL PROPERTY SYNOD_MODULES)
  set(text "compiler ${CMAKE_C_COMPILER}\n")
  foreach(module IN LISTS modules)
    get_property(depends GLOBAL PROPERTY SYNOD_DEPENDS_${module})
    list(JOIN depends " " depends)
    set(include_directories "$<TARGET_PROPERTY:${module},INCLUDE_DIRECTORIES>")
    set(definitions "$<TARGET_PROPERTY:${module},COMPILE_DEFINITIONS>")
    string(APPEND text
      "module ${module}\n"
      "depends ${depends}\n"
      "objects $<JOIN:$<TARGET_OBJECTS:${module}>, >\n"
      "flags $<JOIN:$<TARGET_PROPERTY:${module},COMPILE_OPTIONS>, >"
      "$<$<BOOL:${definitions}>: -D$<JOIN:${definitions}, -D>>"
      "$<$<BOOL:${include_directories}>: -I$<JOIN:${include_directories}, -I>>\n")
  endforeach()
  file(GENERATE OUTPUT ${file} CONTENT "${text}")
endfunction()
