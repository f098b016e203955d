#include "base/layout.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace oc {
namespace {

std::string error_of(std::string_view tag, size_t rank) {
  try {
    (void)parse_layout(tag, rank);
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

TEST(Layout, TagsRoundTrip) {
  for (const char* tag :
       {"abcd", "acdb", "aBcd16b", "ABcd16b16a", "ABcd4b16a4b", "aBcde8b", "Ab8a", "bA16a", "a", "ba"}) {
    size_t rank = 0;
    while (std::isalpha(static_cast<unsigned char>(tag[rank])) != 0) ++rank;
    EXPECT_EQ(layout_tag(parse_layout(tag, rank), rank), tag);
  }
}

TEST(Layout, EmptyAndIdentityTagsArePlainAndEqual) {
  EXPECT_EQ(parse_layout("", 4), parse_layout("abcd", 4));
  EXPECT_TRUE(parse_layout("abcd", 4).plain());
  EXPECT_FALSE(parse_layout("acdb", 4).plain());
  EXPECT_EQ(layout_tag({}, 3), "abc");
  EXPECT_EQ(channel_blocked(4, 1), Layout{});
  EXPECT_EQ(layout_tag(channel_blocked(4, 16), 4), "aBcd16b");
}

TEST(Layout, ErrorsNameTheTagAndTheFault) {
  EXPECT_EQ(error_of("aacd", 4), "layout 'aacd': dim 'a' stands twice");
  EXPECT_EQ(error_of("abc", 4), "layout 'abc' does not fit a tensor of rank 4");
  EXPECT_EQ(error_of("abce", 4), "layout 'abce' does not fit a tensor of rank 4");
  EXPECT_EQ(error_of("abcd16b", 4), "layout 'abcd16b': a blocked dim is written in upper case");
  EXPECT_EQ(error_of("aBcd", 4), "layout 'aBcd': an upper-case dim has no block");
  for (const char* tag : {"aBcd16", "aBcd1b", "aBcd0b", "aBcd99999999999999999999b", "aBcd16B", "aBcd 16b", "aBcd-1b"})
    EXPECT_EQ(error_of(tag, 4),
              std::string("layout '") + tag + "': blocks are written <size><letter>, sizes 2 to 4096");
}

TEST(Layout, PhysicalExtentsRoundUp) {
  const Extents shape = {1, 19, 7, 5};
  EXPECT_EQ(physical_extents(parse_layout("aBcd16b", 4), shape), (Extents{1, 2, 7, 5, 16}));
  EXPECT_EQ(physical_extents(parse_layout("acdb", 4), shape), (Extents{1, 7, 5, 19}));
  EXPECT_EQ(physical_size(parse_layout("ABcd16b16a", 4), shape), 1 * 2 * 7 * 5 * 16 * 16);
  EXPECT_EQ(physical_extents(parse_layout("ABcd4b16a4b", 4), shape), (Extents{1, 2, 7, 5, 4, 16, 4}));
}

TEST(Layout, ElementCountsRefuseOverflowAndNegatives) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count(Extents{4, 0, 7}), 0);
  EXPECT_THROW((void)element_count(Extents{INT64_MAX, 2}), UserError);
  EXPECT_THROW((void)element_count(Extents{4, -1}), UserError);
  EXPECT_THROW((void)physical_size(parse_layout("aBcd16b", 4), Extents{1, INT64_MAX, 2, 2}), UserError);
}

}  // namespace
}  // namespace oc
