#include "cli/tune_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "autotune/scheduler.h"
#include "cli/cells.h"

namespace oc::cli {
namespace {

constexpr size_t kMinName = 20, kMaxName = 60;  // cells; a name goes below the first only when columns have gone

std::string milliseconds(const std::optional<double>& ns) {
  return ns ? fmt::format("{:.3f} ms", *ns / 1e6) : "-";
}

struct Column {
  const char* title;
  size_t cells;
  bool left;
  std::string (*text)(const TaskProgress&);
};

constexpr Column kColumns[] = {
    {"×", 4, false, [](const TaskProgress& t) { return fmt::format("{}", t.weight); }},
    {"first", 12, false, [](const TaskProgress& t) { return milliseconds(t.first_ns); }},
    {"best", 12, false, [](const TaskProgress& t) { return milliseconds(t.best_ns); }},
    {"limit", 5, false, [](const TaskProgress& t) { return fmt::format("{:.0f}%", 100 * t.share_of_limit()); }},
    {"trials", 6, false, [](const TaskProgress& t) { return fmt::format("{}", t.trials + t.known); }},
    {"state", 12, true, [](const TaskProgress& t) { return std::string(task_state_name(t.state)); }}};
constexpr size_t kFirstToGo[] = {1, 4, 0, 5, 3, 2};

size_t cells_of(const std::vector<Column>& columns) {
  size_t cells = 0;
  for (const Column& column : columns) cells += 1 + column.cells;
  return cells;
}

std::vector<Column> columns_within(size_t width) {
  std::vector<Column> columns(std::begin(kColumns), std::end(kColumns));
  for (const size_t next : kFirstToGo)
    if (kMinName + cells_of(columns) > width)
      std::erase_if(columns, [&](const Column& column) { return column.title == kColumns[next].title; });
  return columns;
}

std::string in_column(const Column& column, const std::string& text) {
  return fit_cells(column.left ? text : fmt::format("{:>{}}", text, column.cells), column.cells);
}

bool closed(const TaskProgress& task) {
  return task.state != TaskState::waiting && task.state != TaskState::searching;
}

std::vector<const TaskProgress*> by_gain(const std::vector<TaskProgress>& tasks) {
  std::vector<const TaskProgress*> order;
  for (const TaskProgress& task : tasks) order.push_back(&task);
  const auto gain = [](const TaskProgress* task) { return left_to_gain(task->weight, task->best_ns, task->limit_ns); };
  std::ranges::stable_sort(order, [&](const TaskProgress* a, const TaskProgress* b) {
    if (closed(*a) != closed(*b)) return closed(*b);
    return gain(a) > gain(b);
  });
  return order;
}

}  // namespace

std::vector<TableLine> tune_table(const TuneProgress& progress, const Screen& screen) {
  using Style = TableLine::Style;
  const size_t width = std::max<size_t>(screen.width, 2) - 1;
  const std::vector<Column> columns = columns_within(width);
  const size_t name_cells = std::min(kMaxName, width - std::min(width, cells_of(columns)));
  const auto line = [&](const std::string& name, const auto& text_of) {
    std::string text = fit_cells(name, name_cells);
    for (const Column& column : columns) text += " " + in_column(column, text_of(column));
    return text;
  };

  std::vector<TableLine> lines;
  const size_t room = screen.height < 3 ? 0 : screen.height - 2;  // between title and totals
  const std::vector<const TaskProgress*> order = by_gain(progress.tasks);
  const size_t rows = order.size() <= room ? order.size() : std::max<size_t>(room, 1) - 1;
  if (room > 0) lines.push_back({line("kernel", [](const Column& c) { return std::string(c.title); }), Style::bold});
  for (size_t i = 0; i < rows; ++i)
    lines.push_back({line(order[i]->name, [&](const Column& c) { return c.text(*order[i]); }),
                     closed(*order[i]) ? Style::dim : Style::plain});
  if (rows < order.size() && room > 0)
    lines.push_back({fit_cells(fmt::format("… and {} more", order.size() - rows), width)});
  lines.push_back({fit_cells(tune_totals(progress), width)});
  return lines;
}

std::string tune_totals(const TuneProgress& p) {
  return fmt::format("{} trials  {:.0f} s{}  model {} -> {}", p.trials, p.elapsed.count(),
                     p.eta ? fmt::format(" (ETA {:.0f} s)", p.eta->count()) : "", milliseconds(p.total_first_ns()),
                     milliseconds(p.total_best_ns()));
}

std::string whole_model_line(const WholeModel& model) {
  return fmt::format("model {:.4g} ms -> {:.4g} ms ({:.3f}, {:.3f} to {:.3f})", model.before_ns / 1e6,
                     model.now_ns / 1e6, model.speedup.median, model.speedup.low, model.speedup.high);
}

std::vector<std::string> slower_warnings(const std::vector<LosingTrial>& losers, const std::string& database) {
  std::vector<std::string> warnings{
      "the whole model is slower with the new schedules, though their kernels won alone; `opencompiler compile "
      "--untuned` does without any"};
  for (const LosingTrial& loser : losers)
    warnings.push_back(
        loser.trial.empty()
            ? fmt::format("{} is slower in the model", loser.kernel)
            : fmt::format("{} is slower in the model; `opencompiler db mark quarantine {} --db {}` puts what "
                          "was next best in its place",
                          loser.kernel, loser.trial, database));
  return warnings;
}

}  // namespace oc::cli
