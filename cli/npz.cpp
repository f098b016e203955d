// The zip format: PKWARE's APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end).
#include "cli/npz.h"

#include <zlib.h>

#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "cli/npy.h"

namespace oc::cli {
namespace {

constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22;
constexpr uint32_t kLocalMark = 0x04034b50, kCentralMark = 0x02014b50, kEndMark = 0x06054b50;
constexpr uint16_t kVersion = 20, kStored = 0, kDeflated = 8, kEncrypted = 1;
constexpr uint16_t kFirstDay1980 = 0x21;  // a date the format can say; times would make equal archives differ
constexpr size_t kMaxEntryBytes = size_t{4} << 30;

// A little-endian number of `T` at `at`, which must lie within.
template <class T>
T number(std::string_view bytes, size_t at, std::string_view file) {
  T value = 0;
  if (at > bytes.size() || bytes.size() - at < sizeof value) user_error("{}: the archive is cut off", file);
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::string_view part(std::string_view bytes, size_t at, size_t length, std::string_view file) {
  if (at > bytes.size() || bytes.size() - at < length) user_error("{}: the archive is cut off", file);
  return bytes.substr(at, length);
}

size_t find_end(std::string_view bytes, std::string_view file) {
  constexpr std::string_view kMark("PK\5\6", 4);
  const size_t at = bytes.rfind(kMark);
  if (at == std::string_view::npos || bytes.size() - at < kEndBytes) user_error("{}: no .npz file, or cut off", file);
  return at;
}

// Deflate can blow up a thousandfold; no more than the entry's own size is taken.
std::string inflate_entry(std::string_view packed, size_t bytes, std::string_view file) {
  if (bytes > kMaxEntryBytes || bytes / 1100 > packed.size()) user_error("{}: an entry of {} bytes", file, bytes);
  std::string result(bytes, '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(bytes);
  if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) internal_error("zlib cannot start");
  const int status = ::inflate(&stream, Z_FINISH);
  ::inflateEnd(&stream);
  if (status != Z_STREAM_END || stream.total_out != bytes) user_error("{}: a damaged entry", file);
  return result;
}

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

uint32_t checksum(std::string_view bytes) {
  return static_cast<uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<z_size_t>(bytes.size())));
}

// What local and central header have in common.
void put_entry(std::string& out, const std::string& name, uint32_t sum, uint32_t bytes) {
  for (const uint16_t value : {kVersion, uint16_t{0}, kStored, uint16_t{0}, kFirstDay1980}) put(out, value);
  for (const uint32_t value : {sum, bytes, bytes}) put(out, value);
  put(out, static_cast<uint16_t>(name.size()));
  put(out, uint16_t{0});
}

}  // namespace

std::map<std::string, Tensor> read_npz(const std::filesystem::path& path) {
  const std::string bytes = read_file(path), file = path.string();
  const size_t end = find_end(bytes, file);
  const auto count = number<uint16_t>(bytes, end + 10, file);
  size_t at = number<uint32_t>(bytes, end + 16, file);
  std::map<std::string, Tensor> tensors;
  for (int i = 0; i < count; ++i) {
    if (number<uint32_t>(bytes, at, file) != kCentralMark) user_error("{}: a damaged or too large archive", file);
    const auto flags = number<uint16_t>(bytes, at + 8, file), method = number<uint16_t>(bytes, at + 10, file);
    const auto sum = number<uint32_t>(bytes, at + 16, file), packed_bytes = number<uint32_t>(bytes, at + 20, file);
    const auto size = number<uint32_t>(bytes, at + 24, file), local = number<uint32_t>(bytes, at + 42, file);
    const auto name_bytes = number<uint16_t>(bytes, at + 28, file);
    std::string name(part(bytes, at + kCentralBytes, name_bytes, file));
    at += kCentralBytes + name_bytes + number<uint16_t>(bytes, at + 30, file) + number<uint16_t>(bytes, at + 32, file);
    if ((flags & kEncrypted) != 0 || (method != kStored && method != kDeflated))
      user_error("{}: an entry that is encrypted or packed by another method than deflate", file);
    if (number<uint32_t>(bytes, local, file) != kLocalMark) user_error("{}: a damaged archive", file);
    const size_t data = local + kLocalBytes + number<uint16_t>(bytes, size_t{local} + 26, file) +
                        number<uint16_t>(bytes, size_t{local} + 28, file);
    const std::string_view packed = part(bytes, data, packed_bytes, file);
    const std::string content = method == kStored ? std::string(packed) : inflate_entry(packed, size, file);
    if (checksum(content) != sum) user_error("{}: a damaged entry", file);
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    tensors.insert_or_assign(name, parse_npy(content, file));
  }
  return tensors;
}

void write_npz(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors) {
  std::string out, directory;
  for (const auto& [tensor_name, tensor] : tensors) {
    const std::string name = tensor_name + ".npy", content = print_npy(tensor, path.string());
    if (out.size() + content.size() + 4096 + name.size() > UINT32_MAX || name.size() > UINT16_MAX)
      user_error("{}: more than 4 GiB; write .npy files", path.string());
    const auto local = static_cast<uint32_t>(out.size()), sum = checksum(content);
    put(out, kLocalMark);
    put_entry(out, name, sum, static_cast<uint32_t>(content.size()));
    out += name + content;
    put(directory, kCentralMark);
    put(directory, kVersion);
    put_entry(directory, name, sum, static_cast<uint32_t>(content.size()));
    directory.append(10, '\0');  // comment length, disk, attributes
    put(directory, local);
    directory += name;
  }
  const auto start = static_cast<uint32_t>(out.size());
  out += directory;
  put(out, kEndMark);
  put(out, uint32_t{0});  // disks
  for (int i = 0; i < 2; ++i) put(out, static_cast<uint16_t>(tensors.size()));
  put(out, static_cast<uint32_t>(directory.size()));
  put(out, start);
  put(out, uint16_t{0});
  write_file_atomic(path, out);
}

}  // namespace oc::cli
