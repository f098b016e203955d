# Halide::Halide from the wheel in OC_VENV. Its own package files ask for CMake 3.28, Debian 12 has 3.25, so the library
# is named here.
file(GLOB OC_HALIDE ${OC_VENV}/lib/python3*/site-packages/halide)  # one match: the version is the interpreter's
find_library(OC_HALIDE_LIBRARY Halide PATHS ${OC_HALIDE}/lib64 ${OC_HALIDE}/lib NO_DEFAULT_PATH)
if(NOT OC_HALIDE_LIBRARY)
  message(FATAL_ERROR "Halide is not installed in ${OC_VENV}: run ./dev setup")
endif()
add_library(Halide::Halide SHARED IMPORTED)
set_target_properties(Halide::Halide PROPERTIES IMPORTED_LOCATION ${OC_HALIDE_LIBRARY}
                                                INTERFACE_INCLUDE_DIRECTORIES ${OC_HALIDE}/include
                                                INTERFACE_COMPILE_DEFINITIONS "HALIDE_ENABLE_RTTI;HALIDE_WITH_EXCEPTIONS")
