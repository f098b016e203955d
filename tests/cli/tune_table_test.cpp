#include "cli/tune_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/cells.h"

namespace oc::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;
using Style = TableLine::Style;

TEST(Cells, ArePaddedOrCut) {
  EXPECT_EQ(fit_cells("conv", 6), "conv  ");
  EXPECT_EQ(fit_cells("conv", 4), "conv");
  EXPECT_EQ(fit_cells("conv", 3), "co…");
  EXPECT_EQ(fit_cells("conv", 1), "…");
  EXPECT_EQ(fit_cells("conv", 0), "");
  EXPECT_EQ(fit_cells("", 2), "  ");
}

TEST(Cells, AreNotBytes) {
  EXPECT_EQ(fit_cells("größe", 6), "größe ");
  EXPECT_EQ(fit_cells("größe", 4), "grö…");
  EXPECT_EQ(count_cells("größe"), 5U);
  EXPECT_EQ(count_cells("畳み込み"), 8U);
  EXPECT_EQ(fit_cells("畳み込み", 9), "畳み込み ");
  EXPECT_EQ(fit_cells("畳み込み", 7), "畳み込…");
  EXPECT_EQ(fit_cells("畳み込み", 6), "畳み… ") << "half a character is none";
  EXPECT_EQ(count_cells("e\u0301"), 1U) << "a combining accent";
}

TEST(Cells, WhatIsNoTextDoesNotReachTheTerminal) {
  EXPECT_EQ(fit_cells("a\x1b[2Jb", 8), "a?[2Jb  ");
  EXPECT_EQ(fit_cells(std::string_view("a\0b\n\r", 5), 5), "a?b??");
  EXPECT_EQ(fit_cells("\xff\xc3", 3), "?? ");
  EXPECT_EQ(fit_cells("\xc2\x9b", 2), "? ") << "the one-character CSI";
}

TaskProgress task(std::string name, double weight, double first_ns, double best_ns, double limit_ns,
                  TaskState state = TaskState::searching) {
  TaskProgress shown;
  shown.name = std::move(name);
  shown.weight = weight;
  shown.state = state;
  shown.trials = 5;
  shown.known = 7;
  shown.first_ns = first_ns;
  shown.best_ns = best_ns;
  shown.limit_ns = limit_ns;
  return shown;
}

TuneProgress progress() {
  TuneProgress p;
  p.tasks = {task("small", 1, 2e6, 1e6, 9e5), task("done", 50, 9e6, 8e6, 7.9e6, TaskState::near_limit),
             task("often", 9, 2e6, 1e6, 5e5)};
  p.trials = 15;
  p.elapsed = Seconds(61.4);
  p.eta = Seconds(240);
  return p;
}

std::vector<std::string> texts(const std::vector<TableLine>& lines) {
  std::vector<std::string> out;
  for (const TableLine& line : lines) out.push_back(line.text);
  return out;
}

TEST(TuneTable, ShowsWhereTheModelGainsMostOnTopAndWhatIsDoneLast) {
  const std::vector<TableLine> lines = tune_table(progress(), {.width = 82, .height = 24});
  EXPECT_THAT(texts(lines),
              ElementsAre("kernel                      ×        first         best limit trials state       ",
                          "often                       9     2.000 ms     1.000 ms   50%     12 searching   ",
                          "small                       1     2.000 ms     1.000 ms   90%     12 searching   ",
                          "done                       50     9.000 ms     8.000 ms   99%     12 near limit  ",
                          "15 trials  61 s (ETA 240 s)  model 470.000 ms -> 410.000 ms                      "));
  EXPECT_EQ(lines[0].style, Style::bold);
  EXPECT_EQ(lines[1].style, Style::plain);
  EXPECT_EQ(lines[3].style, Style::dim);
}

TEST(TuneTable, WhatWasNotTimedYetCountsAsFarFromItsLimit) {
  TuneProgress p = progress();
  p.tasks.push_back(task("new", 1, 0, 0, 1e6, TaskState::waiting));
  p.tasks.back().first_ns.reset();
  p.tasks.back().best_ns.reset();
  const auto lines = texts(tune_table(p, {.width = 82, .height = 24}));
  EXPECT_EQ(lines[1], "new                         1            -            -    0%     12 waiting     ");
}

TEST(TuneTable, TakesTheRowsThatThereAre) {
  const TuneProgress p = progress();
  const auto first_words = [&](size_t height) {
    std::vector<std::string> out;
    for (const std::string& line : texts(tune_table(p, {.width = 60, .height = height})))
      out.push_back(line.substr(0, line.find(' ', 4)));
    return out;
  };
  EXPECT_THAT(first_words(5), ElementsAre("kernel", "often", "small", "done", "15 trials"));
  EXPECT_THAT(first_words(4), ElementsAre("kernel", "often", "… and", "15 trials"));
  EXPECT_THAT(texts(tune_table(p, {.width = 60, .height = 4}))[2], StartsWith("… and 2 more "));
  EXPECT_THAT(first_words(3), ElementsAre("kernel", "… and", "15 trials"));
  EXPECT_THAT(first_words(2), ElementsAre("15 trials"));
  EXPECT_THAT(first_words(1), ElementsAre("15 trials"));
  EXPECT_THAT(first_words(0), ElementsAre("15 trials"));
}

TEST(TuneTable, NoLineReachesTheLastCellHoweverNarrow) {
  TuneProgress p = progress();
  p.tasks[0].name = "conv+add+relu (/backbone/層/畳み込み/Conv\x1b[31m_" + std::string(300, 'x') + ")";
  p.tasks[1].weight = 123456;
  p.tasks[2].best_ns = 1e18;
  for (size_t width = 0; width < 200; ++width)
    for (const size_t height : {1, 3, 4, 10}) {
      const auto lines = texts(tune_table(p, {.width = width, .height = height}));
      EXPECT_LE(lines.size(), height);
      for (const std::string& line : lines) {
        EXPECT_LT(count_cells(line), std::max<size_t>(width, 2)) << width << ": " << line;
        EXPECT_EQ(line.find('\x1b'), std::string::npos);
      }
    }
}

TEST(TuneTable, ColumnsGoBeforeNames) {
  const auto title = [](size_t width) { return texts(tune_table(progress(), {.width = width, .height = 9}))[0]; };
  EXPECT_THAT(title(78), HasSubstr("first"));
  EXPECT_EQ(title(77), "kernel                              ×         best limit trials state       ");
  EXPECT_EQ(title(40), "kernel                       best limit");
  EXPECT_EQ(title(16), "kernel         ");
}

TEST(TuneTable, OfNoTasksIsItsTotals) {
  TuneProgress p;
  p.elapsed = Seconds(1);
  EXPECT_THAT(tune_table(p, {}), SizeIs(2));
  EXPECT_EQ(tune_totals(p), "0 trials  1 s  model 0.000 ms -> 0.000 ms");
}

TEST(WholeModelLine, ShowsTimesRatioAndSpread) {
  EXPECT_EQ(whole_model_line({.before_ns = 27'400'000, .now_ns = 26'412'000, .speedup = {1.0374, 1.0312, 1.0418}}),
            "model 27.4 ms -> 26.41 ms (1.037, 1.031 to 1.042)");
}

TEST(WholeModelLine, ASlowerModelNamesTheWaysOut) {
  EXPECT_THAT(slower_warnings({}, "t.db"), ElementsAre(HasSubstr("compile --untuned`")));
  EXPECT_THAT(slower_warnings({{"conv (a)", "abc"}}, "t.db"),
              ElementsAre(HasSubstr("slower"),
                          "conv (a) is slower in the model; `opencompiler db mark quarantine abc --db "
                          "t.db` puts what was next best in its place"));
  EXPECT_THAT(slower_warnings({{"conv (a)", ""}}, "t.db"),
              ElementsAre(HasSubstr("slower"), "conv (a) is slower in the model"));
}

}  // namespace
}  // namespace oc::cli
