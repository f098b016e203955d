# Every external package, found once. Versions are pinned in cmake/versions.env, which `./dev setup` installs from.
set(OC_VENV ${CMAKE_SOURCE_DIR}/.venv CACHE PATH "Python environment made by ./dev setup")

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(pqxx REQUIRED IMPORTED_TARGET libpqxx)
pkg_check_modules(xgboost REQUIRED IMPORTED_TARGET xgboost)
find_package(Protobuf REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(LLVM 19.1 REQUIRED CONFIG PATHS /usr/lib/llvm-19)

include(Halide)

# Halide.h takes seconds to parse: one precompiled header that every target using Halide shares.
add_library(oc_halide STATIC ${CMAKE_SOURCE_DIR}/cmake/halide_pch.cpp)
target_link_libraries(oc_halide PUBLIC Halide::Halide)
target_precompile_headers(oc_halide PRIVATE <Halide.h>)
