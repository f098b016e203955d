#include "compiler/module_cache.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

struct Modules : testing::Test {
  TempDir folder;

  void put(const ModuleCache& cache, const std::string& key, const std::string& library, const std::string& weights) {
    fs::create_directories(cache.folder(key));
    write_file_atomic(cache.folder(key) / "libmodel.so", library);
    write_file_atomic(cache.folder(key) / "model.weights", weights);
    cache.seal(key);
  }
  void make_older(const ModuleCache& cache, const std::string& key, int hours) {
    fs::last_write_time(cache.folder(key) / "stamp", fs::file_time_type::clock::now() - std::chrono::hours(hours));
  }
  [[nodiscard]] size_t shared_weights() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder.path() / "weights"), {}));
  }
};

TEST_F(Modules, HoldWhatWasSealed) {
  const ModuleCache cache(folder.path());
  EXPECT_FALSE(cache.holds("a"));
  put(cache, "a", "code", "weights");
  EXPECT_TRUE(cache.holds("a"));
  EXPECT_FALSE(cache.holds("b"));
}

TEST_F(Modules, DamageOfAnyFileIsAbsence) {
  const ModuleCache cache(folder.path());
  for (const char* file : {"libmodel.so", "model.weights", "stamp"})
    for (const char* text : {"", "cod", "codf", "weightx"}) {
      put(cache, "a", "code", "weights");
      ASSERT_TRUE(cache.holds("a"));
      write_file_atomic(cache.folder("a") / file, text);
      EXPECT_FALSE(cache.holds("a")) << file << " " << text;
      fs::remove(cache.folder("a") / file);
      EXPECT_FALSE(cache.holds("a")) << file;
    }
}

TEST_F(Modules, EqualWeightsAreOneFile) {
  const ModuleCache cache(folder.path());
  put(cache, "a", "code", "weights");
  put(cache, "b", "other code", "weights");
  put(cache, "c", "code", "other weights");
  EXPECT_TRUE(fs::equivalent(cache.folder("a") / "model.weights", cache.folder("b") / "model.weights"));
  EXPECT_FALSE(fs::equivalent(cache.folder("a") / "model.weights", cache.folder("c") / "model.weights"));
  EXPECT_EQ(shared_weights(), 2U);
}

TEST_F(Modules, DamagedSharedWeightsAreNotShared) {
  const ModuleCache cache(folder.path());
  put(cache, "a", "code", "weights");
  fs::resize_file(cache.folder("a") / "model.weights", 3);
  put(cache, "b", "code", "weights");
  EXPECT_FALSE(cache.holds("a"));
  EXPECT_TRUE(cache.holds("b"));
  EXPECT_EQ(read_file(cache.folder("b") / "model.weights"), "weights");
}

TEST_F(Modules, TheLeastRecentlyUsedGoFirst) {
  const ModuleCache cache(folder.path(), 1000);
  const std::string code(200, 'c');
  for (const char* key : {"a", "b", "c"}) put(cache, key, code, std::string(100, *key));
  make_older(cache, "a", 2);
  make_older(cache, "b", 3);
  EXPECT_TRUE(cache.holds("b"));  // is a use
  put(cache, "d", code, std::string(100, 'd'));
  EXPECT_FALSE(cache.holds("a"));
  EXPECT_TRUE(cache.holds("d"));
  EXPECT_TRUE(cache.holds("b") || cache.holds("c"));
  EXPECT_EQ(shared_weights(),
            static_cast<size_t>(std::distance(fs::directory_iterator(folder.path() / "modules"), {})));
}

TEST_F(Modules, OneThatIsTooLargeAloneStays) {
  const ModuleCache cache(folder.path(), 10);
  put(cache, "a", "much more than ten bytes of code", "weights");
  EXPECT_TRUE(cache.holds("a"));
}

}  // namespace
}  // namespace oc
