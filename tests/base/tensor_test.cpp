#include "base/tensor.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "base/dtype.h"
#include "base/error.h"

namespace oc {
namespace {

// Where a logical index lies, straight from the definition: peel the inner blocks off each dim, innermost first.
int64_t naive_offset(const Layout& layout, const Extents& shape, Extents index) {
  const Extents extents = physical_extents(layout, shape);
  Extents physical(extents.size());
  size_t at = extents.size();
  for (size_t b = layout.blocks.size(); b-- > 0;) {
    const auto [dim, size] = layout.blocks[b];
    physical[--at] = index[dim] % size;
    index[dim] /= size;
  }
  for (size_t i = 0; i < shape.size(); ++i) physical[i] = index[layout.order.empty() ? i : layout.order[i]];
  int64_t offset = 0;
  for (size_t i = 0; i < extents.size(); ++i) offset = offset * extents[i] + physical[i];
  return offset;
}

bool next(Extents& index, const Extents& shape) {
  for (size_t d = shape.size(); d-- > 0;) {
    if (++index[d] < shape[d]) return true;
    index[d] = 0;
  }
  return false;
}

template <class T>
void check_relayout(DType dtype, const Extents& shape, const char* tag) {
  const Layout layout = parse_layout(tag, shape.size());
  Tensor plain = make_tensor(dtype, shape);
  auto values = plain.as<T>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(i % 250 + 1);  // no zeros: those are padding

  const Tensor there = relayout(plain, layout);
  ASSERT_EQ(there.layout, layout);
  Tensor expected = make_tensor(dtype, shape, layout);
  Extents index(shape.size(), 0);
  size_t i = 0;
  do expected.as<T>()[naive_offset(layout, shape, index)] = values[i++];
  while (next(index, shape));
  EXPECT_EQ(there.bytes, expected.bytes) << tag;
  EXPECT_EQ(relayout(there, {}), plain) << tag;
}

TEST(Relayout, AgreesWithTheDefinitionForEveryTag) {
  for (const Extents& shape : {Extents{1, 3, 5, 7}, Extents{2, 16, 4, 4}, Extents{3, 17, 1, 2}, Extents{1, 1, 1, 1}})
    for (const char* tag : {"acdb", "dcba", "aBcd16b", "aBcd8b", "ABcd16b16a", "ABcd4b16a4b", "cdBA4a8b", "aBdc3b"}) {
      check_relayout<float>(DType::f32, shape, tag);
      check_relayout<uint8_t>(DType::u8, shape, tag);
    }
}

TEST(Relayout, EveryElementSizeAndOtherRanks) {
  check_relayout<uint16_t>(DType::bf16, {5, 6}, "bA4a");
  check_relayout<int64_t>(DType::i64, {5, 6}, "Ab4a");
  check_relayout<double>(DType::f64, {33}, "A16a");
  check_relayout<float>(DType::f32, {2, 3, 2, 3, 2, 3, 2, 3}, "hgBfedca2b");
}

TEST(Relayout, BetweenTwoBlockedLayouts) {
  const Extents shape = {1, 20, 3, 3};
  Tensor plain = make_tensor(DType::f32, shape);
  std::iota(plain.as<float>().begin(), plain.as<float>().end(), 1.0F);
  const Tensor a = relayout(plain, parse_layout("aBcd16b", 4));
  const Tensor b = relayout(a, parse_layout("aBcd8b", 4));
  EXPECT_EQ(b, relayout(plain, parse_layout("aBcd8b", 4)));
}

TEST(Relayout, ScalarsAndEmptyTensors) {
  Tensor scalar = make_tensor(DType::f32, {});
  scalar.as<float>()[0] = 3;
  EXPECT_EQ(relayout(scalar, {}), scalar);
  const Tensor empty = make_tensor(DType::f32, {1, 0, 2, 2});
  EXPECT_TRUE(relayout(empty, parse_layout("aBcd16b", 4)).bytes.empty());
}

TEST(Tensor, RefusesSizesBeyondTheLimit) {
  EXPECT_THROW((void)make_tensor(DType::f32, {int64_t{1} << 32}), UserError);
  EXPECT_THROW((void)make_tensor(DType::f32, {INT64_MAX, INT64_MAX}), UserError);
  EXPECT_THROW((void)make_tensor(DType::f32, {-1}), UserError);
}

TEST(Tensor, WidensIntegers) {
  EXPECT_EQ(to_int64(int64_tensor(std::vector<int64_t>{-3, 4}, {2})), (std::vector<int64_t>{-3, 4}));
  Tensor t = make_tensor(DType::f32, {2});
  t.as<float>()[1] = -7;
  EXPECT_EQ(to_int64(t), (std::vector<int64_t>{0, -7}));
  for (float bad : {0.5F, 1e30F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    t.as<float>()[0] = bad;
    EXPECT_THROW((void)to_int64(t), InternalError);
  }
}

TEST(DTypes, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DType::boolean); ++i) {
    const auto type = static_cast<DType>(i);
    EXPECT_EQ(parse_dtype(dtype_name(type)), type);
  }
  EXPECT_EQ(parse_dtype("float"), std::nullopt);
  EXPECT_EQ(dtype_size(DType::bf16), 2U);
}

}  // namespace
}  // namespace oc
