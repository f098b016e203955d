// The schedules that ship with the compiler: text in a folder, looked up as a database.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tuning_db/database.h"

namespace oc {

// The rows of the folder's *.jsonl files, in memory; none if the folder is missing. Files and rows that cannot be read
// become a warning. Importing them takes tens of milliseconds, so the database is kept in `cache`, a folder made if
// missing, under their program_key; "", or a cache that cannot be used, costs that time again.
[[nodiscard]] Database open_shipped(const std::filesystem::path& folder, const std::filesystem::path& cache,
                                    std::vector<std::string>& warnings);

}  // namespace oc
