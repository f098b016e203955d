// distance(a [m, k], b [k, n]) → [m, n]: squared Euclidean distance of every row of a from every column of b.
#pragma once

#include <opencompiler/dsl.h>

const oc::OpInfo& op_distance();
