// The algorithms of a convolution, which a schedule chooses from.
#pragma once

#include <cstdint>
#include <string_view>

namespace oc {

// Words of algorithm.form, in their order. Winograd's (dsl/winograd.h) compute m outputs at once along each axis that
// the window spans; im2col copies the input so that the window's taps and the channels are one sum (dsl/im2col.h).
enum WindowForm : int64_t { kDirect, kWinograd2, kWinograd4, kWinograd6, kIm2col };
inline constexpr std::string_view kWindowForm = "algorithm.form";

}  // namespace oc
