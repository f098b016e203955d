// Ops on strings. All but LabelEncoder need to know them: they are evaluated while importing.
#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/utf8.h"
#include "frontends/onnx/names.h"
#include "frontends/onnx/ops/parts.h"
#include "frontends/onnx/texts.h"

#ifdef __APPLE__
#include <xlocale.h>
#endif

namespace oc::from_onnx {
namespace {

enum class Case { kept, lower, upper };

// What libc maps one code point to, in a locale: in C.UTF-8 the simple mappings of Unicode, by which "ß" stays what it
// is, in C those of ASCII.
class CaseMap {
 public:
  explicit CaseMap(const char* locale) : locale_(::newlocale(LC_CTYPE_MASK, locale, nullptr)) {
    if (locale_ == nullptr) user_error("changes case, for which this system has no locale '{}'", locale);
  }
  CaseMap(const CaseMap&) = delete;
  CaseMap& operator=(const CaseMap&) = delete;
  ~CaseMap() { ::freelocale(locale_); }

  // `text` in UTF-8. A code point whose image libc gives as none stays.
  [[nodiscard]] std::string mapped(std::string_view text, Case to) const {
    if (to == Case::kept) return std::string(text);
    std::string result;
    for (const char32_t c : utf8_code_points(text)) {
      const auto wide = static_cast<wint_t>(c);
      const wint_t image = to == Case::lower ? ::towlower_l(wide, locale_) : ::towupper_l(wide, locale_);
      if (!append_utf8(result, static_cast<char32_t>(image))) append_utf8(result, c);
    }
    return result;
  }

 private:
  locale_t locale_;
};

Case wanted_case(const Call& n) {
  const std::string action = n.text("case_change_action", "NONE");
  if (action == "NONE") return Case::kept;
  if (action == "LOWER") return Case::lower;
  if (action == "UPPER") return Case::upper;
  user_error("case_change_action '{}' is unknown; NONE, LOWER and UPPER are", action);
}

// One that maps case as the node's does; that need not be installed.
const char* locale_of(const Call& n) {
  const std::string locale = n.text("locale", "");
  if (locale == "C" || locale == "POSIX") return "C";
  for (const char* as_unicode : {"", "C.UTF-8", "en_US", "en_US.UTF-8", "en_US.utf8"})
    if (locale == as_unicode) return "C.UTF-8";
  user_error("changes case as in the locale '{}', which is not supported; en_US, C and none are", locale);
}

const ::google::protobuf::RepeatedPtrField<std::string>* texts_attribute(const Call& n, const std::string& name) {
  const ::onnx::AttributeProto* attr = n.attribute(name);
  if (attr != nullptr && attr->type() != ::onnx::AttributeProto::STRINGS &&
      attr->type() != ::onnx::AttributeProto::UNDEFINED)
    user_error("attribute '{}' must be a list of strings", name);
  return attr == nullptr ? nullptr : &attr->strings();
}

}  // namespace

// Element by element, broadcast.
Values string_concat(Call& n) {
  const ValueId a = n.in(0), b = n.in(1);
  static_cast<void>(known_texts(n, a));
  static_cast<void>(known_texts(n, b));
  const auto widened = [&](bool first) {
    const ValueId value = n.emit("where", {n.scalar(DType::boolean, first ? 1 : 0), a, b});
    return n.with_format(value, n.format(a));
  };
  const ValueId left = widened(true), right = widened(false);
  const auto begins = known_texts(n, left), ends = known_texts(n, right);
  const auto text = [&](int64_t i) {
    return n.import.texts[begins[static_cast<size_t>(i)]] + n.import.texts[ends[static_cast<size_t>(i)]];
  };
  return {add_texts(n.import, n.shape(left), text)};
}

// [C] or [1, C]: those that are no stopwords, in another case; where none is left, "" alone. Without regard to case,
// they are compared in the case that is wanted, else in lower case.
Values string_normalizer(Call& n) {
  Extents shape = n.shape(n.in(0));
  if (shape.empty() || shape.size() > 2 || shape.back() == 0 || (shape.size() == 2 && shape[0] != 1))
    user_error("its input is [{}], must be [C] or [1, C] with C from 1", fmt::join(shape, ", "));
  const Case to = wanted_case(n);
  const bool exact = n.flag("is_case_sensitive", false);
  const Case compared = exact ? Case::kept : to == Case::kept ? Case::lower : to;
  const auto* stopwords = texts_attribute(n, "stopwords");
  const bool maps = to != Case::kept || (!exact && stopwords != nullptr && !stopwords->empty());
  const CaseMap map(maps ? locale_of(n) : "C");
  std::set<std::string> stops;
  if (stopwords != nullptr)
    for (const std::string& word : *stopwords) {
      if (!is_utf8(word)) user_error("a stopword is not UTF-8");
      stops.insert(map.mapped(word, compared));
    }
  const Texts& texts = n.import.texts;
  std::vector<uint32_t> kept;
  for (uint32_t place : known_texts(n, n.in(0))) {
    if (!stops.empty()) n.spend(DType::u8, std::ssize(texts[place]));  // a text may stand often
    if (stops.empty() || !stops.contains(map.mapped(texts[place], compared))) kept.push_back(place);
  }
  if (kept.empty()) kept.push_back(kEmptyText);
  shape.back() = std::ssize(kept);
  return {add_texts(n.import, shape, [&](int64_t i) { return map.mapped(texts[kept[static_cast<size_t>(i)]], to); })};
}

namespace {

// Of a text; each counts against what importing may take.
class Pieces {
 public:
  explicit Pieces(const Call& n) : n_(n) {}
  void add(std::string_view piece) {
    n_.spend(DType::u8, sizeof(std::string_view));
    all_.push_back(piece);
  }
  [[nodiscard]] std::string_view& last() { return all_.back(); }
  [[nodiscard]] int64_t count() const { return std::ssize(all_); }
  [[nodiscard]] std::string operator[](size_t i) const { return i < all_.size() ? std::string(all_[i]) : ""; }

 private:
  const Call& n_;
  std::vector<std::string_view> all_;
};

// Between one delimiter and the next; the last piece is the rest once there were `most` of them.
void split_at(std::string_view text, std::string_view delimiter, int64_t most, Pieces& pieces) {
  for (size_t end; pieces.count() < most && (end = text.find(delimiter)) != std::string_view::npos;) {
    pieces.add(text.substr(0, end));
    text.remove_prefix(end + delimiter.size());
  }
  pieces.add(text);
}

// As ONNX's reference and Python's str.split have it: Unicode's White_Space and the separators of ASCII.
bool is_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// Runs of other characters than spaces; after `most` of them the rest, up to its last such character.
void split_at_spaces(std::string_view text, int64_t most, Pieces& pieces) {
  size_t begin = 0;
  bool inside = false;
  for (size_t at = 0, length = 0; at < text.size(); at += length) {
    length = utf8_length(text.substr(at));
    const bool space = is_space(utf8_code_points(text.substr(at, length))[0]);
    if (!space && !inside && pieces.count() <= most) {
      begin = at;
      pieces.add({});
    }
    if (!space) pieces.last() = text.substr(begin, at + length - begin);
    inside = !space;
  }
}

}  // namespace

// The pieces along a new last dim, filled up with "", and how many each text has.
Values string_split(Call& n) {
  const std::string delimiter = n.bytes("delimiter", "");
  const int64_t given = n.integer("maxsplit", -1), most = given < 0 ? std::numeric_limits<int64_t>::max() : given;
  const std::span<const uint32_t> texts = known_texts(n, n.in(0));
  Extents shape = n.shape(n.in(0));
  n.spend(DType::i64, std::ssize(texts));
  Tensor counts = make_tensor(DType::i64, shape);
  std::vector<Pieces> all;
  int64_t longest = 0;
  for (uint32_t place : texts) {
    const std::string& text = n.import.texts[place];
    n.spend(DType::u8, std::ssize(text) + static_cast<int64_t>(sizeof(Pieces)));
    Pieces& pieces = all.emplace_back(n);
    if (delimiter.empty()) {
      split_at_spaces(text, most, pieces);
    } else {
      split_at(text, delimiter, most, pieces);
    }
    const int64_t count = pieces.count();
    counts.as<int64_t>()[all.size() - 1] = count;
    longest = std::max(longest, count);
  }
  shape.push_back(longest);
  const ValueId pieces = add_texts(n.import, shape, [&](int64_t i) {
    return all[static_cast<size_t>(i / longest)][static_cast<size_t>(i % longest)];
  });
  return {pieces, n.constant(std::move(counts))};
}

namespace {

// The list that LabelEncoder has as `what`_tensor, `what`_strings and so on; invalid: in none of these.
ValueId label_list(Call& n, const std::string& what) {
  if (const auto* texts = texts_attribute(n, what + "_strings"))
    return add_texts(n.import, {texts->size()}, [&](int64_t i) { return texts->Get(static_cast<int>(i)); });
  if (n.attribute(what + "_int64s") != nullptr) {
    const std::vector<int64_t> values = n.integers(what + "_int64s");
    return n.constant(int64_tensor(values, {std::ssize(values)}));
  }
  if (const auto* attr = n.attribute(what + "_floats")) {
    Tensor values = make_tensor(DType::f32, {attr->floats_size()});
    std::ranges::copy(attr->floats(), values.as<float>().begin());
    return n.constant(std::move(values));
  }
  for (::onnx::AttributeProto& attr : *n.proto.mutable_attribute())
    if (attr.name() == what + "_tensor" && attr.has_t()) {
      const ValueId list = take_constant(n.import, *attr.mutable_t());
      return n.with_format(n.reshape(list, {product(n.shape(list))}), n.format(list));
    }
  return {};
}

// What stands for a key that is in no list, [1].
ValueId default_label(Call& n, ValueId values) {
  if (const ValueId given = label_list(n, "default"); given.valid()) {
    if (product(n.shape(given)) != 1) user_error("its default_tensor must hold one element");
    return given;
  }
  if (is_text(n, values))
    return add_texts(n.import, {1}, [&](int64_t) { return n.bytes("default_string", "_Unused"); });
  if (n.dtype(values) == DType::i64) {
    const int64_t number = n.integer("default_int64", -1);
    return n.constant(int64_tensor({&number, 1}, {1}));
  }
  const bool real = dtype_is_float(n.dtype(values));
  return n.reshape(n.like(values, real ? n.number("default_float", -0.0) : -1), {1});
}

// What stands for the keys; in opset 1 their places in the one list there is.
ValueId labels(Call& n, int64_t count) {
  return n.opset > 1 ? label_list(n, "values") : positions(n, count, 0, 1);
}

}  // namespace

// From strings to what stands for them. A table says which value each text of the model has, so that the strings may
// depend on the data.
Values label_encoder(Call& n) {
  const ValueId x = n.in(0);
  if (!is_text(n, x)) user_error("its keys are numbers, which is not supported; strings are");
  const ValueId keys = label_list(n, n.opset > 1 ? "keys" : "classes");
  if (!keys.valid() || !is_text(n, keys)) user_error("its input is of strings, its keys are not");
  const int64_t count = n.shape(keys)[0];
  const ValueId values = labels(n, count);
  if (!values.valid() || n.shape(values)[0] != count) user_error("must have as many values as keys");
  const ValueId otherwise = default_label(n, values);
  if (n.dtype(otherwise) != n.dtype(values) || n.format(otherwise) != n.format(values))
    user_error("its default is of another type than its values");
  n.spend(DType::i32, static_cast<int64_t>(n.import.texts.size()));
  Tensor which = make_tensor(DType::i32, {static_cast<int64_t>(n.import.texts.size())});
  std::ranges::fill(which.as<int32_t>(), static_cast<int32_t>(count));
  int32_t i = 0;
  for (uint32_t place : n.known(keys)->as<uint32_t>()) {
    int32_t& entry = which.as<int32_t>()[place];
    if (entry != count) user_error("its key '{}' stands twice", printable(n.import.texts[place]));
    entry = i++;
  }
  const ValueId all = joined(n, {values, otherwise}, 0);
  const auto gathered = [&](ValueId table, ValueId at) {
    return n.emit("gather", {table, at}, {{"axis", int64_t{0}}});
  };
  const ValueId entry = gathered(n.constant(std::move(which)), n.cast(x, DType::i32));
  return {n.with_format(gathered(all, entry), n.format(all))};
}

}  // namespace oc::from_onnx
