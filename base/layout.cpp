#include "base/layout.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "base/error.h"

namespace oc {

bool Layout::plain() const {
  return blocks.empty() && std::is_sorted(order.begin(), order.end());
}

int64_t Layout::block(int dim) const {
  int64_t product = 1;
  for (const Block& b : blocks)
    if (b.dim == dim) product *= b.size;
  return product;
}

Layout parse_layout(std::string_view tag, size_t rank) {
  if (tag.empty()) return {};
  Layout layout;
  std::vector<bool> upper(26), blocked(26), seen(26);
  size_t i = 0;
  for (; i < tag.size() && std::isalpha(static_cast<unsigned char>(tag[i])); ++i) {
    const bool is_upper = std::isupper(static_cast<unsigned char>(tag[i])) != 0;
    const int dim = std::tolower(static_cast<unsigned char>(tag[i])) - 'a';
    if (seen[dim]) user_error("layout '{}': dim '{}' stands twice", tag, tag[i]);
    seen[dim] = true;
    upper[dim] = is_upper;
    layout.order.push_back(dim);
  }
  if (layout.order.size() != rank || (rank > 0 && std::ranges::max(layout.order) != static_cast<int>(rank) - 1))
    user_error("layout '{}' does not fit a tensor of rank {}", tag, rank);
  while (i < tag.size()) {
    int64_t size = 0;
    while (i < tag.size() && std::isdigit(static_cast<unsigned char>(tag[i])) && size < 4096)
      size = size * 10 + (tag[i++] - '0');
    if (i >= tag.size() || !std::islower(static_cast<unsigned char>(tag[i])) || size < 2 || size > 4096)
      user_error("layout '{}': blocks are written <size><letter>, sizes 2 to 4096", tag);
    const int dim = tag[i++] - 'a';
    if (!upper[dim]) user_error("layout '{}': a blocked dim is written in upper case", tag);
    blocked[dim] = true;
    layout.blocks.push_back({dim, size});
    if (layout.block(dim) > 65536) user_error("layout '{}': a dim's blocks multiply to more than 65536", tag);
  }
  if (upper != blocked) user_error("layout '{}': an upper-case dim has no block", tag);
  if (layout.plain()) return {};
  return layout;
}

std::string layout_tag(const Layout& layout, size_t rank) {
  std::vector<int> order = layout.order;
  if (order.empty()) {
    order.resize(rank);
    std::iota(order.begin(), order.end(), 0);
  }
  std::string tag;
  for (int dim : order) tag += static_cast<char>((layout.block(dim) > 1 ? 'A' : 'a') + dim);
  for (const Layout::Block& b : layout.blocks) tag += fmt::format("{}{}", b.size, static_cast<char>('a' + b.dim));
  return tag;
}

Layout channel_blocked(size_t rank, int64_t block) {
  if (block <= 1 || rank < 2) return {};
  Layout layout;
  layout.order.resize(rank);
  std::iota(layout.order.begin(), layout.order.end(), 0);
  layout.blocks.push_back({1, block});
  return layout;
}

Extents physical_extents(const Layout& layout, std::span<const int64_t> shape) {
  if (layout.plain()) return {shape.begin(), shape.end()};
  Extents extents;
  for (int dim : layout.order) {
    const int64_t block = layout.block(dim);
    extents.push_back(shape[dim] / block + (shape[dim] % block != 0 ? 1 : 0));  // rounded up, cannot overflow
  }
  for (const Layout::Block& b : layout.blocks) extents.push_back(b.size);
  return extents;
}

int64_t physical_size(const Layout& layout, std::span<const int64_t> shape) {
  return element_count(physical_extents(layout, shape));
}

int64_t element_count(std::span<const int64_t> shape) {
  int64_t product = 1;
  bool zero = false;
  for (int64_t extent : shape) {
    if (extent < 0) user_error("negative extent {} in a shape", extent);
    zero |= extent == 0;
    if (extent > 0 && __builtin_mul_overflow(product, extent, &product))
      user_error("a shape's element count overflows");
  }
  return zero ? 0 : product;
}

}  // namespace oc
