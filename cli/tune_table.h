// What tuning looks like: progress as lines of text, a pure function of it and the size of the screen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "autotune/tune.h"
#include "autotune/whole_model.h"

namespace oc::cli {

struct Screen {
  size_t width = 80, height = 24;  // in cells
};

struct TableLine {
  std::string text;
  enum class Style : uint8_t { plain, bold, dim } style = Style::plain;
  bool operator==(const TableLine&) const = default;
};

// A title, a row a workload and the line of totals: `height` lines at most, each short of the last cell, so that no
// terminal wraps it. On top are those with most left to gain, weight × (best − limit); those that get no more trials
// come last, dim. On a narrow screen the columns that matter least go, then names are cut.
[[nodiscard]] std::vector<TableLine> tune_table(const TuneProgress& progress, const Screen& screen);

// Trials, time, ETA and the model's kernel time in one line.
[[nodiscard]] std::string tune_totals(const TuneProgress& progress);

// "model 27.4 ms -> 26.4 ms (1.037, 1.031 to 1.042)"
[[nodiscard]] std::string whole_model_line(const WholeModel& model);

// A kernel that makes the model slower, and the trial of its own in the database that its schedule comes from; "" if
// none.
struct LosingTrial {
  std::string kernel, trial;
};
// What to do about a model that has become slower.
[[nodiscard]] std::vector<std::string> slower_warnings(const std::vector<LosingTrial>& losers,
                                                       const std::string& database);

}  // namespace oc::cli
