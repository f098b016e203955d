#include "schedules/schedule.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/error.h"

namespace oc {

#define OC_FAMILY(name) const FamilyInfo& family_##name();
#include "schedules/families.inc"
#undef OC_FAMILY

namespace {

const std::vector<const FamilyInfo*>& families() {
  static const std::vector<const FamilyInfo*> list = {
#define OC_FAMILY(name) &family_##name(),
#include "schedules/families.inc"
#undef OC_FAMILY
  };
  return list;
}

constexpr size_t kMaxScheduleBytes = 64 << 10;
constexpr size_t kShownBytes = 80;

// What stands in the text, for a message: short, and without bytes that would cut it or reach a terminal.
std::string shown(std::string_view text) {
  std::string result(text.substr(0, kShownBytes));
  std::ranges::replace_if(result, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text.size() > kShownBytes ? result + "…" : result;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string_view directive_of(const Argument& argument) {
  return std::string_view(argument.name).substr(0, argument.name.find('.'));
}
std::string_view key_of(const Argument& argument) {
  return std::string_view(argument.name).substr(argument.name.find('.') + 1);
}

int64_t parse_value(const Argument& argument, std::string_view text, size_t line) {
  if (!argument.words.empty()) {
    const auto word = std::ranges::find(argument.words, text);
    if (word == argument.words.end())
      user_error("schedule line {}: '{}' takes one of: {}; got '{}'", line, argument.name,
                 fmt::join(argument.words, ", "), shown(text));
    return word - argument.words.begin();
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    user_error("schedule line {}: '{}' takes a whole number; got '{}'", line, argument.name, shown(text));
  if (value < argument.min || value > argument.max)
    user_error("schedule line {}: '{}' must be {} to {}; got {}", line, argument.name, argument.min, argument.max,
               value);
  return value;
}

const Argument& find_argument(const FamilyInfo& info, std::string_view directive, std::string_view key, size_t line) {
  bool known_directive = false;
  for (const Argument& argument : info.grammar) {
    if (directive_of(argument) != directive) continue;
    known_directive = true;
    if (key_of(argument) == key) return argument;
  }
  if (known_directive) user_error("schedule line {}: directive '{}' has no argument '{}'", line, directive, shown(key));
  user_error("schedule line {}: unknown directive '{}' for family {}", line, shown(directive),
             family_name(info.family));
}

// A line that the family reads: "tile x=1".
std::string sample_line(const FamilyInfo& info) {
  const Argument& argument = info.grammar.front();
  const std::string value = argument.words.empty() ? std::to_string(argument.min) : argument.words.front();
  return fmt::format("{} {}={}", directive_of(argument), key_of(argument), value);
}

const FamilyInfo& parse_header(std::string_view line) {
  const auto words = split(line, ' ');
  for (const FamilyInfo* info : families()) {
    if (words.empty() || words[0] != family_name(info->family)) continue;
    if (words.size() < 2 || words[1] != fmt::format("v{}", info->version))
      user_error("schedule line 1: this build speaks '{} v{}'; got '{}'", words[0], info->version, shown(line));
    if (words.size() > 2)
      user_error("schedule line 1: '{} {}' stands alone, each directive on a line of its own, such as '{}'; got '{}'",
                 words[0], words[1], sample_line(*info), shown(line));
    return *info;
  }
  std::vector<std::string_view> known;
  for (const FamilyInfo* info : families()) known.push_back(family_name(info->family));
  user_error("schedule line 1: '<family> v<version>' expected, the family one of {}; got '{}'", fmt::join(known, ", "),
             shown(line));
}

}  // namespace

int64_t Schedule::operator[](std::string_view name) const {
  const auto found = values.find(name);
  if (found == values.end()) internal_error("a {} schedule without '{}'", family_name(family), name);
  return found->second;
}

double Space::size() const {
  double product = 1;
  for (const Knob& knob : knobs) product *= static_cast<double>(knob.values.size());
  return product;
}

Schedule Space::at(const Point& point) const {
  Schedule schedule{family, family_info(family).version, {}};
  for (const Argument& argument : family_info(family).grammar) schedule.values[argument.name] = argument.fallback;
  for (size_t i = 0; i < knobs.size(); ++i) schedule.values[knobs[i].name] = knobs[i].values.at(point.at(i));
  if (settle) settle(schedule);
  return schedule;
}

const FamilyInfo& family_info(Family family) {
  for (const FamilyInfo* info : families())
    if (info->family == family) return *info;
  internal_error("no schedule family '{}'", family_name(family));
}

std::string print_schedule(const Schedule& schedule) {
  std::string text = fmt::format("{} v{}", family_name(schedule.family), schedule.version);
  std::string_view directive;
  for (const Argument& argument : family_info(schedule.family).grammar) {
    if (directive_of(argument) != directive) {
      directive = directive_of(argument);
      text += fmt::format("\n{}", directive);
    }
    const int64_t value = schedule[argument.name];
    text += argument.words.empty()
                ? fmt::format(" {}={}", key_of(argument), value)
                : fmt::format(" {}={}", key_of(argument), argument.words.at(static_cast<size_t>(value)));
  }
  return text + "\n";
}

// Whether "copy" "a=no" is what old texts say of an argument that is gone, and did nothing; UserError if it did
// something.
bool is_retired(const FamilyInfo& info, std::string_view directive, std::string_view argument, size_t number) {
  const std::string text = fmt::format("{}.{}", directive, argument);
  const auto same_argument = [&](const std::string& retired) {
    return std::string_view(text).starts_with(std::string_view(retired).substr(0, retired.find('=') + 1));
  };
  const auto found = std::ranges::find_if(info.retired, same_argument);
  if (found == info.retired.end()) return false;
  if (*found != text)
    user_error("schedule line {}: '{} {}' is of an older version, for which this one has no code; tune or compile anew",
               number, shown(directive), shown(argument));
  return true;
}

Schedule parse_schedule(std::string_view text) {
  if (text.size() > kMaxScheduleBytes)
    user_error("schedule: {} bytes of text; the limit is {}", text.size(), kMaxScheduleBytes);
  size_t number = 0;
  const FamilyInfo* info = nullptr;
  Schedule schedule;
  std::set<std::string_view> stated;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    line = line.substr(0, line.find('#'));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (info == nullptr) {
      info = &parse_header(line);
      schedule = {info->family, info->version, {}};
      for (const Argument& argument : info->grammar) schedule.values[argument.name] = argument.fallback;
      continue;
    }
    const auto words = split(line, ' ');
    for (size_t i = 1; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      if (equals == std::string_view::npos)
        user_error(
            "schedule line {}: '{}': arguments are written key=value, each directive on a line of its own, such as "
            "'{}'; got '{}'",
            number, shown(words[0]), sample_line(*info), shown(words[i]));
      if (is_retired(*info, words[0], words[i], number)) continue;
      const Argument& argument = find_argument(*info, words[0], words[i].substr(0, equals), number);
      if (!stated.insert(argument.name).second)
        user_error("schedule line {}: '{}' is stated twice", number, argument.name);
      schedule.values[argument.name] = parse_value(argument, words[i].substr(equals + 1), number);
    }
    if (words.size() == 1) user_error("schedule line {}: directive '{}' without arguments", number, shown(words[0]));
  }
  if (info == nullptr) user_error("schedule line 1: '<family> v<version>' expected, but the text is empty");
  return schedule;
}

Space schedule_space(const Kernel& kernel, const Target& target, int threads) {
  const FamilyInfo& info = family_info(kernel.family);
  Space space = info.space(kernel, target, threads);
  space.settle = [&info, kernel, target](Schedule& schedule) { info.settle(kernel, target, schedule); };
  std::ranges::for_each(space.starts, space.settle);
  return space;
}

Schedule default_schedule(const Kernel& kernel, const Target& target, int threads) {
  return settled(kernel, target, family_info(kernel.family).fallback(kernel, target, threads));
}

Schedule settled(const Kernel& kernel, const Target& target, Schedule schedule) {
  family_info(kernel.family).settle(kernel, target, schedule);
  return schedule;
}

std::optional<Schedule> fitting_schedule(const Kernel& kernel, const Target& target, std::string_view text) {
  try {
    Schedule schedule = parse_schedule(text);
    if (why_illegal(kernel, target, schedule).empty()) return settled(kernel, target, std::move(schedule));
  } catch (const UserError&) {
  }
  return std::nullopt;
}

std::string why_illegal(const Kernel& kernel, const Target& target, const Schedule& schedule) {
  const FamilyInfo& info = family_info(kernel.family);
  if (schedule.family != kernel.family)
    return fmt::format("a {} schedule for a {} kernel", family_name(schedule.family), family_name(kernel.family));
  if (schedule.version != info.version)
    return fmt::format("version {} of family {}; this build has {}", schedule.version, family_name(info.family),
                       info.version);
  return info.why_illegal(kernel, target, schedule);
}

bool serves_threads(const Kernel& kernel, const Target& target, int threads, const Schedule& schedule) {
  const auto is_parallel = [](const Schedule& s) { return s["parallel.tasks"] > 1; };
  return is_parallel(schedule) == is_parallel(default_schedule(kernel, target, threads));
}

Schedule shared_among(const Kernel& kernel, const Target& target, int threads, Schedule schedule) {
  const Schedule formula = default_schedule(kernel, target, threads);
  Schedule shared = schedule;
  for (const auto& [name, value] : formula.values)
    if (name.starts_with("parallel.")) shared.values[name] = value;
  shared = settled(kernel, target, shared);
  return why_illegal(kernel, target, shared).empty() ? shared : schedule;
}

bool can_vary(const Kernel& varying) {
  const auto allowed = family_info(varying.family).can_vary;
  return allowed == nullptr ||
         std::ranges::all_of(varying.axes, [&](const Axis& axis) { return !axis.varies || allowed(axis); });
}

bool serves(const Kernel& varying, const Target& target, const Schedule& schedule, const Kernel& actual) {
  const auto least_extents = family_info(varying.family).least_extents;
  if (least_extents == nullptr) return true;
  const std::vector<int64_t> least = least_extents(varying, target, schedule);
  for (size_t i = 0; i < least.size(); ++i)
    if (varying.axes[i].varies && actual.axes[i].extent < least[i]) return false;
  return true;
}

double least_flops(const Kernel& kernel) {
  const FamilyInfo& info = family_info(kernel.family);
  return info.least_flops == nullptr ? kernel.flops : info.least_flops(kernel);
}

std::vector<Nest> loop_nests(const Kernel& kernel, const Target& target, const Schedule& schedule) {
  return family_info(kernel.family).nests(kernel, target, schedule);
}

Packings weight_packings(const Kernel& kernel, const Target& target, const Schedule& schedule) {
  const FamilyInfo& info = family_info(kernel.family);
  if (info.packings == nullptr) return {};
  return info.packings(kernel, target, schedule);
}

}  // namespace oc
