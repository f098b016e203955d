// Reads the printed text of a picture with two compiled models, PP-OCRv4 detection and recognition. Links the C++
// library, libpng and the generated libdet.a and librec.a; prints one line a line of text, top to bottom.
//
//   ocr page.png
#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "det.h"
#include "rec.h"

namespace {

constexpr int kPage = 640;       // the detector's input is kPage × kPage
constexpr int kLineHeight = 48;  // the recogniser's is kLineHeight × kLineWidth
constexpr int kLineWidth = 640;
constexpr float kInk = 0.3F;     // detector's probability above which a pixel is text (PaddleOCR's `thresh`)
constexpr float kUnclip = 1.6F;  // the detector finds shrunken text (PaddleOCR's `unclip_ratio`)

// RGB, 0 to 1.
struct Image {
  int width = 0, height = 0;
  std::vector<float> pixels;
  [[nodiscard]] float at(int x, int y, int channel) const {
    x = std::clamp(x, 0, width - 1);
    y = std::clamp(y, 0, height - 1);
    return pixels[(static_cast<size_t>(y) * width + x) * 3 + channel];
  }
  [[nodiscard]] float bilinear(float x, float y, int channel) const {
    const int x0 = static_cast<int>(std::floor(x)), y0 = static_cast<int>(std::floor(y));
    const float fx = x - static_cast<float>(x0), fy = y - static_cast<float>(y0);
    const float top = at(x0, y0, channel) * (1 - fx) + at(x0 + 1, y0, channel) * fx;
    const float bottom = at(x0, y0 + 1, channel) * (1 - fx) + at(x0 + 1, y0 + 1, channel) * fx;
    return top * (1 - fy) + bottom * fy;
  }
};

struct Box {
  float left, top, right, bottom;  // in pixels of the picture
};

bool read_png(const char* path, Image& image) {
  png_image png;
  std::memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&png, path) == 0) return false;
  png.format = PNG_FORMAT_RGB;
  std::vector<unsigned char> bytes(PNG_IMAGE_SIZE(png));
  const bool ok = png_image_finish_read(&png, nullptr, bytes.data(), 0, nullptr) != 0;
  image = {static_cast<int>(png.width), static_cast<int>(png.height), std::vector<float>(bytes.size())};
  std::transform(bytes.begin(), bytes.end(), image.pixels.begin(),
                 [](unsigned char byte) { return static_cast<float>(byte) / 255.0F; });
  png_image_free(&png);
  return ok;
}

// The picture in the upper left corner of the detector's square; planes in the order blue, green, red.
std::vector<float> detector_input(const Image& image, float scale) {
  constexpr float mean[] = {0.485F, 0.456F, 0.406F}, deviation[] = {0.229F, 0.224F, 0.225F};
  std::vector<float> input(DET_X_ELEMENTS);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < kPage; ++y)
      for (int x = 0; x < kPage; ++x) {
        const float sx = (static_cast<float>(x) + 0.5F) * scale - 0.5F,
                    sy = (static_cast<float>(y) + 0.5F) * scale - 0.5F;
        const bool inside = sx < static_cast<float>(image.width) && sy < static_cast<float>(image.height);
        const float value = inside ? image.bilinear(sx, sy, 2 - c) : 1.0F;
        input[(static_cast<size_t>(c) * kPage + y) * kPage + x] = (value - mean[c]) / deviation[c];
      }
  return input;
}

// Boxes around the connected pixels of text, grown back by what the detector shrinks them.
std::vector<Box> find_boxes(const std::vector<float>& probability, float scale) {
  std::vector<char> seen(probability.size());
  std::vector<Box> boxes;
  std::vector<int> stack;
  for (int start = 0; start < kPage * kPage; ++start) {
    if (seen[start] || probability[start] < kInk) continue;
    int left = kPage, top = kPage, right = -1, bottom = -1, area = 0;
    stack.push_back(start);
    seen[start] = 1;
    while (!stack.empty()) {
      const int at = stack.back(), x = at % kPage, y = at / kPage;
      stack.pop_back();
      ++area;
      left = std::min(left, x);
      right = std::max(right, x);
      top = std::min(top, y);
      bottom = std::max(bottom, y);
      for (int ny = std::max(y - 1, 0); ny <= std::min(y + 1, kPage - 1); ++ny)
        for (int nx = std::max(x - 1, 0); nx <= std::min(x + 1, kPage - 1); ++nx) {
          const int next = ny * kPage + nx;
          if (seen[next] || probability[next] < kInk) continue;
          seen[next] = 1;
          stack.push_back(next);
        }
    }
    const auto width = static_cast<float>(right - left + 1), height = static_cast<float>(bottom - top + 1);
    if (area < 20 || height < 3) continue;
    const float grow = width * height * kUnclip / (2 * (width + height));
    boxes.push_back({(static_cast<float>(left) - grow) * scale, (static_cast<float>(top) - grow) * scale,
                     (static_cast<float>(right) + 1 + grow) * scale, (static_cast<float>(bottom) + 1 + grow) * scale});
  }
  std::sort(boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.top < b.top; });
  return boxes;
}

// The box at the recogniser's height, −1 to 1; what is right of the text is 0.
std::vector<float> recogniser_input(const Image& image, const Box& box) {
  std::vector<float> input(REC_X_ELEMENTS);
  const float scale = (box.bottom - box.top) / kLineHeight;
  const int width = std::min(kLineWidth, static_cast<int>(std::ceil((box.right - box.left) / scale)));
  const float across = (box.right - box.left) / static_cast<float>(width);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < kLineHeight; ++y)
      for (int x = 0; x < width; ++x)
        input[(static_cast<size_t>(c) * kLineHeight + y) * kLineWidth + x] =
            image.bilinear(box.left + (static_cast<float>(x) + 0.5F) * across - 0.5F,
                           box.top + (static_cast<float>(y) + 0.5F) * scale - 0.5F, 2 - c) *
                2 -
            1;
  return input;
}

// Greedy CTC: per step the likeliest class; repeats and blanks (class 0) drop. The last class is the space.
std::string decode(const std::vector<float>& scores) {
  constexpr int classes = REC_METADATA_CHARACTER_COUNT + 2;
  std::string text;
  int previous = 0;
  for (size_t step = 0; step + classes <= scores.size(); step += classes) {
    const auto first = scores.begin() + static_cast<std::ptrdiff_t>(step);
    const auto best = static_cast<int>(std::max_element(first, first + classes) - first);
    if (best != 0 && best != previous) text += best == classes - 1 ? " " : rec_metadata_character[best - 1];
    previous = best;
  }
  return text;
}

int fail(const char* what, const char* why) {
  std::fprintf(stderr, "ocr: %s: %s\n", what, why);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return fail("usage", "ocr page.png");
  Image image;
  if (!read_png(argv[1], image)) return fail(argv[1], "cannot be read as PNG");
  det* detector = nullptr;
  rec* recogniser = nullptr;
  if (const int status = det_create(&detector, nullptr)) return fail("det_create", det_error_string(status));
  if (const int status = rec_create(&recogniser, nullptr)) return fail("rec_create", rec_error_string(status));

  const float scale = static_cast<float>(std::max({image.width, image.height, kPage})) / kPage;
  std::vector<float> probability(static_cast<size_t>(kPage) * kPage), scores(REC_SOFTMAX_11_TMP_0_ELEMENTS);
  const std::vector<float> page = detector_input(image, scale);
  if (const int status = det_run(detector, page.data(), probability.data()))
    return fail("det_run", det_error_string(status));
  for (const Box& box : find_boxes(probability, scale)) {
    const std::vector<float> line = recogniser_input(image, box);
    if (const int status = rec_run(recogniser, line.data(), scores.data()))
      return fail("rec_run", rec_error_string(status));
    std::puts(decode(scores).c_str());
  }
  rec_destroy(recogniser);
  det_destroy(detector);
  return 0;
}
