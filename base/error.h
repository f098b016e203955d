// Errors: a user's mistake is a UserError (exit 1), a defect of ours an InternalError (exit 70). An expected failure is
// a value, never an exception. Messages: first line says what, where and what to do; lists follow on further lines.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace oc {

struct UserError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct InternalError : std::logic_error {
  using std::logic_error::logic_error;
};

template <class... Args>
[[noreturn]] void user_error(fmt::format_string<Args...> format, Args&&... args) {
  throw UserError(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void internal_error(fmt::format_string<Args...> format, Args&&... args) {
  throw InternalError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace oc
