# Every external package, found once. Versions are pinned in cmake/versions.env, which `./dev setup` installs from.
set(OC_VENV ${CMAKE_SOURCE_DIR}/.venv CACHE PATH "Python environment made by ./dev setup")

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(LLVM 19.1 REQUIRED CONFIG PATHS /usr/lib/llvm-19)

# Halide comes as a Python wheel. Its own package files ask for CMake 3.28, Debian 12 has 3.25, so the library is named here.
file(GLOB OC_HALIDE ${OC_VENV}/lib/python3*/site-packages/halide)  # one match: the version is the interpreter's
find_library(OC_HALIDE_LIBRARY Halide PATHS ${OC_HALIDE}/lib64 ${OC_HALIDE}/lib NO_DEFAULT_PATH)
if(NOT OC_HALIDE_LIBRARY)
  message(FATAL_ERROR "Halide is not installed in ${OC_VENV}: run ./dev setup")
endif()
add_library(Halide::Halide SHARED IMPORTED)
set_target_properties(Halide::Halide PROPERTIES IMPORTED_LOCATION ${OC_HALIDE_LIBRARY}
                                                INTERFACE_INCLUDE_DIRECTORIES ${OC_HALIDE}/include
                                                INTERFACE_COMPILE_DEFINITIONS "HALIDE_ENABLE_RTTI;HALIDE_WITH_EXCEPTIONS")

# Halide.h takes seconds to parse: one precompiled header that every target using Halide shares.
add_library(oc_halide STATIC ${CMAKE_SOURCE_DIR}/cmake/halide_pch.cpp)
target_link_libraries(oc_halide PUBLIC Halide::Halide)
target_precompile_headers(oc_halide PRIVATE <Halide.h>)
