// Movement: transposes, gathers, concatenations … with what elementwise ops follow.
#include "schedules/families/pointwise.h"

namespace oc {

const FamilyInfo& family_movement() {
  static const FamilyInfo info = {.family = Family::movement,
                                  .version = 1,
                                  .grammar = pointwise_grammar(),
                                  .space = pointwise_space,
                                  .fallback = pointwise_fallback,
                                  .why_illegal = pointwise_why_illegal,
                                  .packings = nullptr};
  return info;
}

}  // namespace oc
