// One step from an older schema to a newer one.
#pragma once

#include <string_view>

namespace oc {

struct Migration {
  int version;           // that a database has afterwards
  std::string_view sql;  // may hold several statements
};

}  // namespace oc
