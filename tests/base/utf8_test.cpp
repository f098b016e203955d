#include "base/utf8.h"

#include <gtest/gtest.h>

namespace oc {
namespace {

TEST(Utf8, CodePointsThereAndBack) {
  for (const uint32_t c : {0x0, 0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF}) {
    std::string text = "a";
    ASSERT_TRUE(append_utf8(text, c)) << c;
    EXPECT_TRUE(is_utf8(text)) << c;
    EXPECT_EQ(utf8_code_points(text), (std::u32string{U'a', static_cast<char32_t>(c)}));
  }
  std::string text = "ä";
  for (const uint32_t c : {0xD800, 0xDFFF, 0x110000, 0x7FFFFFFF}) EXPECT_FALSE(append_utf8(text, c)) << c;
  EXPECT_EQ(text, "ä");
}

TEST(Utf8, WhatIsNone) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("naïve 的 🙂"));
  for (const char* bad : {"\x80", "\xC0\x80", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5",
                          "\xFF", "a\xE4", "\xE7\x9A"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

}  // namespace
}  // namespace oc
