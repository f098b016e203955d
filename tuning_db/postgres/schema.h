// The schema a server has, and how an older one becomes the newest.
#pragma once

#include <span>

#include "tuning_db/migration.h"

namespace oc {

// postgres/schema.sql, then what follows it, versions counting from 1.
[[nodiscard]] std::span<const Migration> server_migrations();

}  // namespace oc
