#include "cli/cells.h"

#include <clocale>
#include <cwchar>
#include <tuple>
#include <utility>

namespace oc::cli {
namespace {

// libc knows which characters are printable and how wide, in a UTF-8 locale; the user's may be another.
class Utf8 {
 public:
  Utf8() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) before_ = ::uselocale(locale_);
  }
  ~Utf8() {
    if (locale_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(locale_);
  }
  Utf8(const Utf8&) = delete;
  Utf8& operator=(const Utf8&) = delete;

 private:
  locale_t locale_, before_ = nullptr;
};

struct Glyph {
  std::string_view bytes;  // that show it
  size_t cells = 1;
};

// Takes one character off the front of `text`, which is not empty.
Glyph take_glyph(std::string_view& text) {
  wchar_t wide = 0;
  std::mbstate_t state{};
  const size_t length = std::mbrtowc(&wide, text.data(), text.size(), &state);
  const bool whole = length >= 1 && length <= text.size();  // else NUL, cut off, or no UTF-8
  const std::string_view bytes = text.substr(0, whole ? length : 1);
  text.remove_prefix(bytes.size());
  const int cells = whole ? ::wcwidth(wide) : -1;
  return cells < 0 ? Glyph{"?"} : Glyph{bytes, static_cast<size_t>(cells)};
}

}  // namespace

std::string fit_cells(std::string_view text, size_t cells) {
  const Utf8 utf8;
  std::string all;
  size_t used = 0, cut_bytes = 0, cut_cells = 0;  // the cut: as much of `all` as leaves a cell for "…"
  while (!text.empty()) {
    const Glyph glyph = take_glyph(text);
    if (used + glyph.cells > cells) {
      if (cells == 0) return {};
      return all.substr(0, cut_bytes) + "…" + std::string(cells - cut_cells - 1, ' ');
    }
    all += glyph.bytes;
    used += glyph.cells;
    if (used < cells) std::tie(cut_bytes, cut_cells) = std::pair(all.size(), used);
  }
  return all + std::string(cells - used, ' ');
}

size_t count_cells(std::string_view text) {
  const Utf8 utf8;
  size_t cells = 0;
  while (!text.empty()) cells += take_glyph(text).cells;
  return cells;
}

}  // namespace oc::cli
