// What tuning looks like: progress as lines of text, a pure function of it and the size of the screen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "autotune/tune.h"

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

}  // namespace oc::cli
