// Einsum: operands are contracted in pairs, from the left, each pair by one matrix product
//   [batch, m, k] × [batch, k, n]
// whose labels are: batch in both and needed later, k in both and not, m and n in one.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "frontends/onnx/ops/conv.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/ops/reduce.h"

namespace oc::from_onnx {
namespace {

using Labels = std::string;  // one character a dim; those of an ellipsis are digits

struct Term {
  ValueId value;
  Labels labels;
};

bool holds(const Labels& labels, char label) {
  return labels.find(label) != Labels::npos;
}

// "a...b" for a rank: the ellipsis becomes digits that end with `last`.
Labels expanded(const std::string& text, int64_t rank) {
  Labels labels;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text.compare(i, 3, "...") == 0) {
      const auto named = static_cast<int64_t>(std::ranges::count_if(text, [](char c) { return std::isalpha(c) != 0; }));
      const int64_t dims = rank - named;
      if (dims < 0 || dims > 10) user_error("its ellipsis stands for {} dims", dims);
      for (int64_t d = dims; d-- > 0;) labels += static_cast<char>('0' + d);
      i += 2;
    } else if (std::isalpha(text[i]) != 0) {
      labels += text[i];
    } else {
      user_error("its equation holds '{}'", text[i]);
    }
  }
  return labels;
}

int64_t extent(const Call& n, const Term& t, char label) {
  const size_t at = t.labels.find(label);
  return at == Labels::npos ? 1 : n.shape(t.value)[at];
}

// The dims in the order of `labels`, those the term lacks as 1.
ValueId arranged(Call& n, const Term& t, const Labels& labels) {
  std::vector<int64_t> perm;
  Extents shape;
  for (char label : labels) {
    const size_t at = t.labels.find(label);
    if (at != Labels::npos) perm.push_back(static_cast<int64_t>(at));
    shape.push_back(extent(n, t, label));
  }
  return n.reshape(n.transpose(t.value, perm), shape);
}

// A label that stands twice: the diagonal, every (n + 1)-th element of the two dims as one.
Term without_repeats(Call& n, Term t) {
  for (size_t i = 0; i < t.labels.size(); ++i) {
    const size_t again = t.labels.find(t.labels[i], i + 1);
    if (again == Labels::npos) continue;
    std::vector<int64_t> perm;
    for (size_t d = 0; d < t.labels.size(); ++d)
      if (d != i && d != again) perm.push_back(static_cast<int64_t>(d));
    perm.insert(perm.end(), {static_cast<int64_t>(i), static_cast<int64_t>(again)});
    ValueId x = n.transpose(t.value, perm);
    Extents shape = n.shape(x);
    const int64_t size = shape.back();
    if (shape[shape.size() - 2] != size) user_error("its label '{}' has two extents", t.labels[i]);
    shape.pop_back();
    shape.back() = size * size;
    x = part(n, n.reshape(x, shape), static_cast<int64_t>(shape.size()) - 1, 0, size, size + 1);
    const char label = t.labels[i];
    std::erase(t.labels, label);
    t = {x, t.labels + label};
    i = static_cast<size_t>(-1);
  }
  return t;
}

// Sums over the labels that `needed` lacks.
Term summed(Call& n, const Term& t, const Labels& needed) {
  std::vector<int64_t> axes;
  Labels kept;
  for (size_t d = 0; d < t.labels.size(); ++d) {
    if (holds(needed, t.labels[d]))
      kept += t.labels[d];
    else
      axes.push_back(static_cast<int64_t>(d));
  }
  return {reduce_over(n, "reduce_sum", t.value, axes, false), kept};
}

Term contracted(Call& n, Term a, Term b, const Labels& later) {
  a = summed(n, a, later + b.labels);
  b = summed(n, b, later + a.labels);
  Labels batch, rows, columns, inner;
  for (char label : a.labels) (holds(b.labels, label) ? holds(later, label) ? batch : inner : rows) += label;
  for (char label : b.labels)
    if (!holds(a.labels, label)) columns += label;
  const auto matrices = [&](const Term& t, const Labels& first, const Labels& second) {
    const Extents shape = n.shape(arranged(n, t, batch + first + second));
    const std::span<const int64_t> dims(shape);
    Extents merged(shape.begin(), shape.begin() + static_cast<ptrdiff_t>(batch.size()));
    merged.push_back(product(dims.subspan(batch.size(), first.size())));
    merged.push_back(product(dims.last(second.size())));
    return n.reshape(arranged(n, t, batch + first + second), merged);
  };
  for (char label : inner)
    if (extent(n, a, label) != extent(n, b, label)) user_error("its label '{}' has two extents", label);
  const ValueId result = n.emit("matmul", {matrices(a, rows, inner), matrices(b, inner, columns)});
  Extents shape;
  for (char label : batch) shape.push_back(std::max(extent(n, a, label), extent(n, b, label)));
  for (char label : rows) shape.push_back(extent(n, a, label));
  for (char label : columns) shape.push_back(extent(n, b, label));
  return {n.reshape(result, shape), batch + rows + columns};
}

}  // namespace

Values einsum(Call& n) {
  std::string text = n.text("equation");
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow) + ",";
  std::vector<Term> terms;
  for (size_t begin = 0; begin < left.size();) {
    const size_t end = left.find(',', begin);
    const ValueId x = n.in(terms.size());
    terms.push_back({x, expanded(left.substr(begin, end - begin), n.rank(x))});
    if (static_cast<int64_t>(terms.back().labels.size()) != n.rank(x))
      user_error("its equation gives input {} {} dims of {}", terms.size() - 1, terms.back().labels.size(), n.rank(x));
    begin = end + 1;
  }
  if (terms.size() != n.inputs.size())
    user_error("its equation has {} terms for {} inputs", terms.size(), n.inputs.size());
  Labels all;
  for (const Term& t : terms) all += t.labels;
  Labels digits, once;
  for (char label = '0'; label <= 'z'; ++label) {
    if (std::isdigit(label) != 0 && holds(all, label)) digits.insert(digits.begin(), label);
    if (std::isalpha(label) != 0 && std::ranges::count(all, label) == 1) once += label;
  }
  Labels out = digits + once;  // without an arrow: what stands once, in alphabetical order
  if (arrow != std::string::npos) {
    const std::string right = text.substr(arrow + 2);
    const auto named = static_cast<int64_t>(std::ranges::count_if(right, [](char c) { return std::isalpha(c) != 0; }));
    out = expanded(right, named + static_cast<int64_t>(digits.size()));
  }
  for (char label : out)
    if (!holds(all, label)) user_error("its result has the label '{}', which no input has", label);
  for (Term& t : terms) t = without_repeats(n, t);
  Term result = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    Labels later = out;
    for (size_t j = i + 1; j < terms.size(); ++j) later += terms[j].labels;
    result = contracted(n, result, terms[i], later);
  }
  return {arranged(n, summed(n, result, out), out)};
}

}  // namespace oc::from_onnx
