#include "cli/live_table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "cli/cells.h"

namespace oc::cli {
namespace {

bool says_something(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

std::string styled(const TableLine& line) {
  if (line.style == TableLine::Style::plain || says_something("NO_COLOR")) return line.text;  // https://no-color.org
  return fmt::format("\033[{}m{}\033[0m", line.style == TableLine::Style::bold ? 1 : 2, line.text);
}

}  // namespace

LiveTable::~LiveTable() {
  if (!drawn_.empty()) write("\r\n");
}

bool LiveTable::drawable() const {
  return ::isatty(fd_) == 1 && says_something("TERM") && std::string_view(std::getenv("TERM")) != "dumb";
}

Screen LiveTable::screen() const {
  winsize size{};
  if (::ioctl(fd_, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {.width = size.ws_col, .height = size.ws_row};
}

std::string LiveTable::to_first_line() const {
  const Screen now = screen();
  size_t rows = 0;
  // A terminal that has become narrower has wrapped the lines that were there.
  for (const TableLine& line : drawn_)
    rows += std::max<size_t>(1, (count_cells(line.text) + now.width - 1) / now.width);
  const size_t up = std::min(std::max<size_t>(rows, 1), now.height) - 1;
  return up > 0 ? fmt::format("\r\033[{}A", up) : "\r";
}

void LiveTable::draw(const std::vector<TableLine>& lines) {
  std::string frame = to_first_line();
  for (size_t i = 0; i < lines.size(); ++i) frame += fmt::format("{}{}\033[K", i == 0 ? "" : "\r\n", styled(lines[i]));
  write(frame + "\033[J\r");  // and nothing of a taller table below
  drawn_ = lines;
}

void LiveTable::clear() {
  if (drawn_.empty()) return;
  write(to_first_line() + "\033[J");
  drawn_.clear();
}

void LiveTable::write(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;  // a terminal that has gone is no reason to stop tuning
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace oc::cli
