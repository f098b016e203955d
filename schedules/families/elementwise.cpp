// Elementwise: chains of ops without an anchor.
#include "schedules/families/pointwise.h"

namespace oc {

const FamilyInfo& family_elementwise() {
  static const FamilyInfo info = {.family = Family::elementwise,
                                  .version = 1,
                                  .grammar = pointwise_grammar(),
                                  .space = pointwise_space,
                                  .fallback = pointwise_fallback,
                                  .why_illegal = pointwise_why_illegal,
                                  .packings = nullptr,
                                  .settle = pointwise_settle,
                                  .nests = pointwise_nests};
  return info;
}

}  // namespace oc
