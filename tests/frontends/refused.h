// What the tests of broken models share.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/frontends/model_builder.h"

namespace oc::test {

// The message of the UserError: it begins with the file and holds `parts`.
inline void expect_refused(const std::string& bytes, const std::vector<std::string>& parts,
                           const std::filesystem::path& folder = {}) {
  const std::string error = import_error(bytes, {}, folder);
  EXPECT_EQ(error.rfind("model", 0), 0U) << '"' << error << '"';
  for (const std::string& part : parts) EXPECT_NE(error.find(part), std::string::npos) << part << " in: " << error;
}
inline void expect_refused(const ModelBuilder& model, const std::vector<std::string>& parts) {
  expect_refused(model.bytes(), parts);
}

// x [1, 4, 8, 8] → the node → y
inline ModelBuilder image_model(int64_t opset = 17) {
  ModelBuilder model(opset);
  model.input("x", {1, 4, 8, 8}).output("y");
  return model;
}

}  // namespace oc::test
