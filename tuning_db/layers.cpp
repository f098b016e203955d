#include "tuning_db/layers.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "tuning_db/shipped.h"
#include "tuning_db/state.h"

namespace oc {
namespace {

namespace fs = std::filesystem;

std::optional<Database> open_user(const LayerPaths& paths, std::vector<std::string>& warnings) {
  if (!paths.user_is_default) return Database::open(*paths.user, OpenMode::read_only);
  auto opened = Database::try_open(*paths.user, OpenMode::read_only);
  if (auto* database = std::get_if<Database>(&opened)) return std::move(*database);
  const OpenFailure& failure = std::get<OpenFailure>(opened);
  if (failure.fault != DatabaseFault::missing) warnings.push_back(failure.message);
  return std::nullopt;
}

}  // namespace

void Layers::open_shipped() const {
  if (!unopened_) return;
  layers_.push_back(oc::open_shipped(unopened_->folder, unopened_->cache, warnings_));
  unopened_.reset();
}

std::vector<Database::State*> Layers::states() const {
  std::vector<Database::State*> out;
  for (const Database& layer : layers_) out.push_back(layer.state_.get());
  return out;
}

template <class Find>
auto Layers::find(const Find& find) const -> decltype(find()) {
  open_shipped();
  if (!first_is_default_) return find();
  std::string fault;
  try {
    return find();
  } catch (const DatabaseError& error) {
    fault = error.what();
  }
  layers_.erase(layers_.begin());
  first_is_default_ = false;
  auto found = find();  // throws again when the damage is in another layer
  warnings_.push_back(fmt::format("{}; it is not used", fault));
  return found;
}

std::optional<LookupResult> Layers::best(const Key& key, std::string_view build, const Serves& serves) const {
  return find([&] { return find_best(states(), key, build, serves); });
}

std::optional<LookupResult> Layers::look_up(const Key& key, std::string_view build, const Serves& serves) const {
  return find([&] { return find_near(states(), key, build, serves); });
}

std::vector<Record> Layers::records(std::string_view workload, std::string_view schedule) const {
  return find([&] { return find_records(states(), workload, schedule); });
}

std::vector<Record> Layers::records(const Key& key, std::string_view build) const {
  return find([&] { return find_records(states(), key, build); });
}

std::vector<std::string> Layers::contested(std::string_view machine, std::string_view features, int threads) const {
  return find([&] { return find_contested(states(), machine, features, threads); });
}

int64_t Layers::newest_mark(std::string_view trial) const {
  return find([&] { return find_newest_mark(states(), trial); });
}

std::vector<MachineRow> Layers::machines() const {
  return find([&] {
    std::map<std::string, std::string> descriptions;  // the later text wins, as in a merge
    for (const Database& layer : layers_)
      for (MachineRow& row : layer.machines()) {
        std::string& known = descriptions[row.hash];
        known = std::max(known, row.description);
      }
    std::vector<MachineRow> out;
    for (const auto& [hash, description] : descriptions) out.push_back({hash, description});
    return out;
  });
}

std::vector<Key> Layers::keys_of(std::string_view workload) const {
  return find([&] {
    std::vector<Key> out;
    for (const Database& layer : layers_) {
      std::vector<Key> keys = layer.keys_of(workload);
      out.insert(out.end(), keys.begin(), keys.end());
    }
    std::ranges::sort(out, {}, [](const Key& key) { return std::tie(key.machine, key.features, key.threads); });
    const auto repeated = std::ranges::unique(out);
    out.erase(repeated.begin(), repeated.end());
    return out;
  });
}

std::set<std::string> Layers::trial_ids(std::string_view digits) const {
  return find([&] {
    std::set<std::string> out;
    for (const Database& layer : layers_)
      for (const Trial& trial : layer.trials_with(digits)) out.insert(row_id(trial));
    return out;
  });
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
  if (paths.system) layers.unopened_ = {.folder = *paths.system, .cache = paths.system_cache};
  return layers;
}

}  // namespace oc
