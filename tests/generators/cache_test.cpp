#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "generators/build.h"

namespace oc::test {
namespace {

namespace fs = std::filesystem;

const std::string kKey = "0123456789abcdef0123456789abcdef", kOther = "fedcba9876543210fedcba9876543210";

int64_t bytes_in(const fs::path& folder) {
  int64_t total = 0;
  for (const fs::directory_entry& file : fs::directory_iterator(folder))
    total += static_cast<int64_t>(file.file_size());
  return total;
}

// What is got for `kKey` when its entry's file holds `contents`.
std::optional<std::string> got_from(const fs::path& folder, const std::string& contents) {
  write_file_atomic(folder / (kKey + ".kernel"), contents);
  return ObjectCache(folder).get(kKey);
}

class Cache : public testing::Test {
 protected:
  TempDir temporary;
  fs::path folder = temporary.path() / "kernels";
  ObjectCache cache{folder};
};

TEST_F(Cache, GivesBackWhatWasPut) {
  const std::string object(
      "\x7f"
      "ELF\0\n\n\xff",
      8);
  EXPECT_EQ(cache.get(kKey), std::nullopt);
  cache.put(kKey, object);
  EXPECT_EQ(cache.get(kKey), object);
  EXPECT_EQ(ObjectCache(folder).get(kKey), object);
  cache.put(kKey, "another");
  EXPECT_EQ(cache.get(kKey), "another");
  cache.put(kKey, "");
  EXPECT_EQ(cache.get(kKey), "");
}

TEST_F(Cache, EveryTruncationIsAMiss) {
  cache.put(kKey, "object bytes");
  const std::string file = read_file(folder / (kKey + ".kernel"));
  for (size_t length = 0; length < file.size(); ++length)
    EXPECT_EQ(got_from(folder, file.substr(0, length)), std::nullopt) << length;
  EXPECT_EQ(got_from(folder, file + "x"), std::nullopt);
  EXPECT_EQ(got_from(folder, file), "object bytes");
}

TEST_F(Cache, EveryFlippedBitIsAMiss) {
  cache.put(kKey, "object bytes");
  const std::string file = read_file(folder / (kKey + ".kernel"));
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    std::string damaged = file;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(got_from(folder, damaged), std::nullopt) << bit;
  }
}

TEST_F(Cache, AnotherKeysEntryIsAMissAndGoes) {
  cache.put(kOther, "object bytes");
  fs::copy_file(folder / (kOther + ".kernel"), folder / (kKey + ".kernel"));
  EXPECT_EQ(cache.get(kKey), std::nullopt);
  EXPECT_FALSE(fs::exists(folder / (kKey + ".kernel")));
  EXPECT_EQ(cache.get(kOther), "object bytes");
}

TEST_F(Cache, AFolderInAnEntrysPlaceIsAMiss) {
  fs::create_directories(folder / (kKey + ".kernel") / "deep");
  EXPECT_EQ(cache.get(kKey), std::nullopt);
}

TEST_F(Cache, StaysWithinItsBound) {
  ObjectCache bounded(folder, 10'000);
  for (int i = 0; i < 50; ++i) {
    bounded.put(fmt::format("key{}", i), std::string(1000, 'x'));
    EXPECT_LE(bytes_in(folder), 10'000) << i;
  }
  EXPECT_GE(bytes_in(folder), 5'000);  // it does not throw everything away either
  EXPECT_TRUE(bounded.get("key49").has_value());
}

TEST_F(Cache, CountsWhatEarlierProcessesLeft) {
  for (int i = 0; i < 9; ++i) cache.put(fmt::format("key{}", i), std::string(1000, 'x'));
  ObjectCache(folder, 5'000).put("last", std::string(1000, 'x'));
  EXPECT_LE(bytes_in(folder), 5'000);
}

TEST_F(Cache, TheLeastRecentlyUsedGoFirst) {
  for (int i = 0; i < 4; ++i) {
    cache.put(fmt::format("key{}", i), std::string(1000, 'x'));
    fs::last_write_time(folder / fmt::format("key{}.kernel", i),
                        fs::file_time_type::clock::now() - std::chrono::hours(10 - i));
  }
  EXPECT_TRUE(cache.get("key0").has_value());  // the oldest, but used now
  ObjectCache(folder, 5'000).put("key4", std::string(1000, 'x'));
  EXPECT_TRUE(cache.get("key0").has_value());
  EXPECT_FALSE(cache.get("key1").has_value());
  EXPECT_TRUE(cache.get("key4").has_value());
}

TEST_F(Cache, AFileInTheFoldersPlaceIsTheUsersMistake) {
  const fs::path file = temporary.path() / "file";
  write_file_atomic(file, "x");
  EXPECT_THROW(ObjectCache(file / "kernels"), UserError);
}

}  // namespace
}  // namespace oc::test
