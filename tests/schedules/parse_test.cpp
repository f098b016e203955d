#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "schedules/schedule.h"

namespace oc::test {
namespace {

std::string error_of(std::string_view text) {
  try {
    (void)parse_schedule(text);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

// Any schedule within the grammar, legal for some kernel or not.
Schedule random_schedule(Family family, std::mt19937& random) {
  Schedule schedule{family, family_info(family).version, {}};
  for (const Argument& argument : family_info(family).grammar) {
    const int64_t low = argument.words.empty() ? argument.min : 0;
    const int64_t high = argument.words.empty() ? argument.max : static_cast<int64_t>(argument.words.size()) - 1;
    schedule.values[argument.name] = std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  return schedule;
}

TEST(ScheduleText, EveryFamilyRoundTrips) {
  std::mt19937 random(3);
  for (const Family family : kFamilies)
    for (int i = 0; i < 50; ++i) {
      const Schedule schedule = random_schedule(family, random);
      const std::string text = print_schedule(schedule);
      EXPECT_EQ(parse_schedule(text), schedule) << text;
      EXPECT_EQ(print_schedule(parse_schedule(text)), text);
    }
}

TEST(ScheduleText, ReadsAsAPersonWouldWriteIt) {
  const Schedule schedule =
      parse_schedule("# by hand\n\n  contraction   v1\r\ntile n=2\n  tile m=12 # rows\n\norder inner=m\nunroll  k=4");
  EXPECT_EQ(print_schedule(schedule),
            "contraction v1\ntile m=12 n=2\nunroll k=4\norder inner=m\nvector along=n\nblock m=0 n=0 k=0 "
            "slices=1\ncopy b=no\n"
            "parallel tasks=1\n");
}

TEST(ScheduleText, WhatIsNotStatedTakesItsFallback) {
  for (const Family family : kFamilies) {
    const Schedule schedule = parse_schedule(fmt::format("{} v1", family_name(family)));
    for (const Argument& argument : family_info(family).grammar)
      EXPECT_EQ(schedule[argument.name], argument.fallback) << argument.name;
  }
}

// Databases and locks hold them.
TEST(ScheduleText, ARetiredArgumentIsReadWhereItDidNothing) {
  EXPECT_EQ(parse_schedule("contraction v1\ntile m=2\ncopy a=no b=yes"),
            parse_schedule("contraction v1\ntile m=2\ncopy b=yes"));
  EXPECT_EQ(
      error_of("contraction v1\ncopy a=yes"),
      "schedule line 2: 'copy a=yes' is of an older version, for which this one has no code; tune or compile anew");
  EXPECT_EQ(error_of("window v1\ncopy a=no"), "schedule line 2: unknown directive 'copy' for family window");
}

TEST(ScheduleText, HostileTextsAreRefusedWithTheirLine) {
  struct Case {
    std::string text, message;
  };
  const std::string head = "contraction v1\n";
  const std::string families =
      "schedule line 1: '<family> v<version>' expected, the family one of elementwise, "
      "reduction, contraction, window, movement, attention";
  const std::string long_word(1000, 'x'), shown = std::string(80, 'x') + "…";
  const Case cases[] = {
      {"", "schedule line 1: '<family> v<version>' expected, but the text is empty"},
      {"\n# only a comment\n", "schedule line 1: '<family> v<version>' expected, but the text is empty"},
      {"convolution v1", families + "; got 'convolution v1'"},
      {long_word, families + "; got '" + shown + "'"},
      {"contraction v2", "schedule line 1: this build speaks 'contraction v1'; got 'contraction v2'"},
      {"contraction", "schedule line 1: this build speaks 'contraction v1'; got 'contraction'"},
      {"contraction v1 tile m=12 n=2",
       "schedule line 1: 'contraction v1' stands alone, each directive on a line of its own, such as 'tile m=1'; got "
       "'contraction v1 tile m=12 n=2'"},
      {"attention v1 fast",
       "schedule line 1: 'attention v1' stands alone, each directive on a line of its own, such as 'vector "
       "along=queries'; got 'attention v1 fast'"},
      {head + "tile m=0", "schedule line 2: 'tile.m' must be 1 to 32; got 0"},
      {head + "tile m=-3", "schedule line 2: 'tile.m' must be 1 to 32; got -3"},
      {head + "tile m=1000000000", "schedule line 2: 'tile.m' must be 1 to 32; got 1000000000"},
      {head + "unroll k=1000000", "schedule line 2: 'unroll.k' must be 1 to 16; got 1000000"},
      {head + "tile m=99999999999999999999999",
       "schedule line 2: 'tile.m' takes a whole number; got '99999999999999999999999'"},
      {head + "tile m=1.5", "schedule line 2: 'tile.m' takes a whole number; got '1.5'"},
      {head + "tile m=", "schedule line 2: 'tile.m' takes a whole number; got ''"},
      {head + "tile m=" + long_word, "schedule line 2: 'tile.m' takes a whole number; got '" + shown + "'"},
      {head + "tile m=12 unroll k=2",
       "schedule line 2: 'tile': arguments are written key=value, each directive on a line of its own, such as 'tile "
       "m=1'; got 'unroll'"},
      {head + "tile", "schedule line 2: directive 'tile' without arguments"},
      {head + "tile q=1", "schedule line 2: directive 'tile' has no argument 'q'"},
      {head + "tile =1", "schedule line 2: directive 'tile' has no argument ''"},
      {head + "\nsystem rm=1", "schedule line 3: unknown directive 'system' for family contraction"},
      {head + "order inner=k", "schedule line 2: 'order.inner' takes one of: m, n; got 'k'"},
      {head + "order inner=0", "schedule line 2: 'order.inner' takes one of: m, n; got '0'"},
      {head + "tile m=1 m=2", "schedule line 2: 'tile.m' is stated twice"},
      {head + "tile m=1\ntile n=2\ntile m=1", "schedule line 4: 'tile.m' is stated twice"},
      {head + std::string("ti\0le m=1", 9), "schedule line 2: unknown directive 'ti?le' for family contraction"},
      {head + std::string("tile m=1\0", 9), "schedule line 2: 'tile.m' takes a whole number; got '1?'"},
      {std::string(10 << 20, 'x'), "schedule: 10485760 bytes of text; the limit is 65536"},
      {head + std::string(10 << 20, ' '), "schedule: 10485775 bytes of text; the limit is 65536"},
  };
  for (const Case& c : cases) EXPECT_EQ(error_of(c.text), c.message);
}

// A text with a few bytes changed is a schedule within the grammar, or refused.
TEST(ScheduleText, DamagedTextsStayWithinTheGrammar) {
  std::mt19937 random(9);
  const std::string alphabet = std::string("0123456789=- \n#.vmnkx", 21) + std::string("\0\xff", 2);
  int parsed = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = print_schedule(random_schedule(kFamilies[random() % std::size(kFamilies)], random));
    for (size_t edits = 1 + random() % 3; edits-- > 0;) {
      const size_t at = random() % text.size();
      const char c = alphabet[random() % alphabet.size()];
      if (random() % 2 == 0)
        text[at] = c;
      else
        text.insert(at, 1, c);
    }
    try {
      const Schedule schedule = parse_schedule(text);
      ++parsed;
      for (const Argument& argument : family_info(schedule.family).grammar) {
        const int64_t high = argument.words.empty() ? argument.max : static_cast<int64_t>(argument.words.size()) - 1;
        EXPECT_GE(schedule[argument.name], argument.words.empty() ? argument.min : 0) << text;
        EXPECT_LE(schedule[argument.name], high) << text;
      }
    } catch (const UserError&) {
    }
  }
  EXPECT_GT(parsed, 200);
}

}  // namespace
}  // namespace oc::test
