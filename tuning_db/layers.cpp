#include "tuning_db/layers.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <tuple>

#include "tuning_db/state.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> json_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".jsonl" && entry.is_regular_file(error)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

Database load_system(const fs::path& folder, const std::vector<fs::path>& files, std::vector<std::string>& warnings) {
  Database database = Database::in_memory(folder.string());
  for (const fs::path& file : files) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      warnings.push_back(fmt::format("cannot read the shipped schedules in {}", file.string()));
      continue;
    }
    const ImportReport report = database.import_jsonl(stream);
    if (report.skipped > 0)
      warnings.push_back(fmt::format("{}: {} lines skipped, the first: {}", file.string(), report.skipped,
                                     report.examples.empty() ? "" : report.examples.front()));
  }
  return database;
}

std::optional<Database> open_user(const LayerPaths& paths, std::vector<std::string>& warnings) {
  if (!paths.user_is_default) return Database::open(*paths.user, OpenMode::read_only);
  auto opened = Database::try_open(*paths.user, OpenMode::read_only);
  if (auto* database = std::get_if<Database>(&opened)) return std::move(*database);
  const OpenFailure& failure = std::get<OpenFailure>(opened);
  if (failure.fault != DatabaseFault::missing) warnings.push_back(failure.message);
  return std::nullopt;
}

}  // namespace

std::vector<Database::State*> Layers::states() const {
  std::vector<Database::State*> out;
  for (const Database& layer : layers_) out.push_back(layer.state_.get());
  return out;
}

template <class Find>
std::optional<LookupResult> Layers::find(const Find& find) const {
  if (!first_is_default_) return find();
  std::string fault;
  try {
    return find();
  } catch (const DatabaseError& error) {
    fault = error.what();
  }
  layers_.erase(layers_.begin());
  first_is_default_ = false;
  std::optional<LookupResult> found = find();  // throws again when the damage is in another layer
  warnings_.push_back(fmt::format("{}; it is not used", fault));
  return found;
}

std::optional<LookupResult> Layers::best(const Key& key) const {
  return find([&] { return find_best(states(), key); });
}

std::optional<LookupResult> Layers::look_up(const Key& key) const {
  return find([&] { return find_near(states(), key); });
}

std::vector<WorkloadRow> Layers::workloads(std::string_view family) const {
  std::map<std::string, std::string> families;  // the later text wins, as in a merge
  for (const Database& layer : layers_)
    for (WorkloadRow& row : layer.workloads()) {
      std::string& known = families[row.text];
      known = std::max(known, row.family);
    }
  std::vector<WorkloadRow> out;
  for (const auto& [text, row_family] : families)
    if (family.empty() || row_family == family) out.push_back({text, row_family});
  return out;
}

std::vector<Key> Layers::keys_of(std::string_view workload) const {
  std::vector<Key> out;
  for (const Database& layer : layers_) {
    std::vector<Key> keys = layer.keys_of(workload);
    out.insert(out.end(), keys.begin(), keys.end());
  }
  std::ranges::sort(out, {}, [](const Key& key) { return std::tie(key.machine, key.features, key.threads); });
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  return out;
}

Layers open_layers(const LayerPaths& paths) {
  Layers layers;
  if (paths.user) {
    if (std::optional<Database> user = open_user(paths, layers.warnings_)) {
      layers.layers_.push_back(std::move(*user));
      layers.first_is_default_ = paths.user_is_default;
    }
  }
  for (const fs::path& team : paths.teams)
    layers.layers_.push_back(Database::open(team, OpenMode::read_only, Origin::foreign));
  if (paths.system) {
    if (const std::vector<fs::path> files = json_files(*paths.system); !files.empty())
      layers.layers_.push_back(load_system(*paths.system, files, layers.warnings_));
  }
  return layers;
}

}  // namespace oc
