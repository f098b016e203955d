// Lines that are drawn again and again in one place of a terminal. The terminal's state (cursor, wrapping, other
// screen) is left as it is, so that nothing has to be put back however the process ends.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/tune_table.h"

namespace oc::cli {

class LiveTable {
 public:
  explicit LiveTable(int fd) : fd_(fd) {}
  // What is printed next, an error perhaps, stands below the lines.
  ~LiveTable();
  LiveTable(const LiveTable&) = delete;
  LiveTable& operator=(const LiveTable&) = delete;
  // Whether lines can be drawn over: on a terminal, and no dumb one ($TERM).
  [[nodiscard]] bool drawable() const;
  // As large as the terminal is now.
  [[nodiscard]] Screen screen() const;
  // In the place of those drawn before; without style when $NO_COLOR says so. The cursor stays at the start of the last
  // line: what the terminal shows of a key, "^C", wraps none.
  void draw(const std::vector<TableLine>& lines);
  // Takes the lines away: what is printed next stands where they were.
  void clear();

 private:
  [[nodiscard]] std::string to_first_line() const;
  void write(std::string_view bytes) const;
  int fd_;
  std::vector<TableLine> drawn_;
};

}  // namespace oc::cli
