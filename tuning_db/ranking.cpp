// Which trial is best: the rule stands at Database::best.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "tuning_db/state.h"

namespace oc {
namespace {

using sqlite::Connection;
using sqlite::Query;
using sqlite::Transaction;

// When a mark was made; the order marks win in.
using MarkTime = std::pair<int64_t, std::string>;

struct Candidate {
  std::string id;
  int64_t median_ns = 0;
  size_t layer = 0;
  bool suspect = false;                 // of another build than the one that asks
  MarkKind standing = MarkKind::clear;  // the latest pin, quarantine or clear
  MarkTime standing_time{-1, ""};
  MarkTime confirmed{-1, ""};  // by a duel
  bool without_duel = false;   // confirmed, but not by one

  [[nodiscard]] bool pinned() const { return standing == MarkKind::pin; }
  [[nodiscard]] bool is_confirmed() const { return confirmed.first >= 0; }
};

// Schedule and build of the trials whose results were wrong.
using Vetoes = std::set<std::pair<std::string, std::string>>;

struct Field {
  std::vector<Candidate> candidates;
  std::unordered_map<std::string, size_t> by_id;
  Vetoes vetoes;
};

// What `found` gives, id, median and build, that no earlier layer gave. `build`: the one that asks, or kAnyBuild.
void enter(Query& found, size_t layer, std::string_view build, Field& field) {
  while (found.step()) {
    Candidate candidate{.id = found.text(0),
                        .median_ns = found.integer(1),
                        .layer = layer,
                        .suspect = build != kAnyBuild && found.text(2) != build};
    if (field.by_id.emplace(candidate.id, field.candidates.size()).second)
      field.candidates.push_back(std::move(candidate));
  }
}

void enter_layer(Connection& db, size_t layer, const Key& key, std::string_view build, Field& field) {
  const std::optional<LocalKey> local = local_key(db, key);
  if (!local) return;
  Query ok = db.query(
      "SELECT id, median_ns, build FROM trial WHERE workload = ?1 AND machine = ?2 AND target = ?3 AND threads = ?4 "
      "AND "
      "status = 'ok'",
      local->workload, local->machine, local->target, key.threads);
  enter(ok, layer, build, field);
  Query wrong = db.query(
      "SELECT schedule.text, build FROM trial JOIN schedule ON schedule.key = trial.schedule WHERE workload = ?1 AND "
      "machine = ?2 AND target = ?3 AND threads = ?4 AND status = 'wrong_result'",
      local->workload, local->machine, local->target, key.threads);
  while (wrong.step()) field.vetoes.emplace(wrong.text(0), wrong.text(1));
}

void apply_mark(Candidate& candidate, MarkKind kind, MarkTime time, std::string_view note) {
  if (kind == MarkKind::confirm && note == kWithoutDuel) {
    candidate.without_duel = true;
  } else if (kind == MarkKind::confirm) {
    candidate.confirmed = std::max(candidate.confirmed, std::move(time));
  } else if (time > candidate.standing_time) {
    candidate.standing = kind;
    candidate.standing_time = std::move(time);
  }
}

// The marks of one layer on the candidates of all.
void apply_marks(Database::State& layer, Field& field) {
  if (layer.db.value("SELECT EXISTS(SELECT 1 FROM mark)") == 0) return;
  for (Candidate& candidate : field.candidates)
    for (StoredRow& stored : marks_on(layer, candidate.id)) {
      const Mark& mark = std::get<Mark>(stored.row);
      apply_mark(candidate, mark.kind, {mark.unix_ms, std::move(stored.id)}, mark.note);
    }
}

void apply_all_marks(LayerSpan layers, Field& field) {
  for (Database::State* layer : layers) {
    Transaction snapshot(layer->db, Transaction::Kind::read);
    apply_marks(*layer, field);
    snapshot.commit();
  }
}

bool better(const Candidate& a, const Candidate& b) {
  if (a.pinned() != b.pinned()) return a.pinned();
  if (a.pinned() && a.standing_time != b.standing_time) return a.standing_time > b.standing_time;
  if (a.suspect != b.suspect) return b.suspect;
  if (a.confirmed != b.confirmed) return a.confirmed > b.confirmed;
  if (a.without_duel != b.without_duel) return a.without_duel;
  return std::tie(a.median_ns, a.id) < std::tie(b.median_ns, b.id);
}

// The candidate's row, if it is what it claims to be.
std::optional<Trial> load(Connection& db, const Candidate& candidate) {
  static const std::string kSql = select_rows(Table::trial) + " WHERE trial.id = ?1";
  Query found = db.query(kSql, candidate.id);
  if (!found.step()) return std::nullopt;
  StoredRow stored = read_row(Table::trial, found);
  if (!stored_fault(stored).empty() || stored.median_ns != candidate.median_ns) return std::nullopt;
  return std::get<Trial>(std::move(stored.row));
}

std::vector<Record> loaded(LayerSpan layers, const Field& field) {
  std::vector<Record> out;
  for (const Candidate& candidate : field.candidates)
    if (std::optional<Trial> trial = load(layers[candidate.layer]->db, candidate))
      out.push_back({.trial = std::move(*trial),
                     .id = candidate.id,
                     .source = layers[candidate.layer]->db.name(),
                     .quarantined = candidate.standing == MarkKind::quarantine,
                     .confirmed = candidate.is_confirmed() || candidate.without_duel});
  return out;
}

std::set<int> known_threads(Connection& db, const Key& key) {
  std::set<int> out;
  const std::optional<LocalKey> local = local_key(db, key);
  if (!local) return out;
  Query found = db.query("SELECT DISTINCT threads FROM trial WHERE workload = ?1 AND machine = ?2 AND target = ?3",
                         local->workload, local->machine, local->target);
  while (found.step()) {
    const int64_t threads = found.integer(0);
    if (threads >= 1 && threads <= kMaxThreads) out.insert(static_cast<int>(threads));
  }
  return out;
}

}  // namespace

std::optional<LookupResult> find_best(LayerSpan layers, const Key& key, std::string_view build, const Serves& serves) {
  Field field;
  for (size_t i = 0; i < layers.size(); ++i) {
    Transaction snapshot(layers[i]->db, Transaction::Kind::read);
    enter_layer(layers[i]->db, i, key, build, field);
    snapshot.commit();
  }
  if (field.candidates.empty()) return std::nullopt;
  apply_all_marks(layers, field);
  std::erase_if(field.candidates, [](const Candidate& c) { return c.standing == MarkKind::quarantine; });
  std::ranges::sort(field.candidates, better);
  for (const Candidate& candidate : field.candidates) {
    Connection& db = layers[candidate.layer]->db;
    std::optional<Trial> trial = load(db, candidate);
    if (!trial || field.vetoes.contains({trial->schedule, trial->build})) continue;
    LookupResult result{.trial = std::move(*trial),
                        .id = candidate.id,
                        .source = db.name(),
                        .pinned = candidate.pinned(),
                        .confirmed = candidate.is_confirmed()};
    if (!serves || serves(result)) return result;
  }
  return std::nullopt;
}

std::optional<LookupResult> find_near(LayerSpan layers, const Key& key, std::string_view build, const Serves& serves) {
  if (std::optional<LookupResult> exact = find_best(layers, key, build, serves)) return exact;
  std::set<int> known;
  for (Database::State* layer : layers) known.merge(known_threads(layer->db, key));
  known.erase(key.threads);
  std::vector<int> counts(known.begin(), known.end());
  const auto distance = [&](int threads) { return std::abs(std::log(static_cast<double>(threads) / key.threads)); };
  std::ranges::stable_sort(counts, {}, distance);
  for (const int threads : counts) {
    Key other = key;
    other.threads = threads;
    if (std::optional<LookupResult> result = find_best(layers, other, build, serves)) {
      result->rung = Rung::other_threads;
      return result;
    }
  }
  return std::nullopt;
}

int64_t find_newest_mark(LayerSpan layers, std::string_view trial) {
  std::set<std::string> rivals = {std::string(trial)};  // the trials of its key
  for (Database::State* holder : layers) {
    Query held = holder->db.query(select_rows(Table::trial) + " WHERE trial.id = ?1", trial);
    if (!held.step()) continue;
    const Trial row = std::get<Trial>(read_row(Table::trial, held).row);
    for (Database::State* layer : layers) {
      const std::optional<LocalKey> local =
          local_key(layer->db, {row.workload, row.machine, row.features, row.threads});
      if (!local) continue;
      Query found =
          layer->db.query("SELECT id FROM trial WHERE workload = ?1 AND machine = ?2 AND target = ?3 AND threads = ?4",
                          local->workload, local->machine, local->target, row.threads);
      while (found.step()) rivals.insert(found.text(0));
    }
    break;
  }
  int64_t newest = -1;
  for (Database::State* layer : layers)
    for (const std::string& id : rivals)
      for (const StoredRow& mark : marks_on(*layer, id)) newest = std::max(newest, std::get<Mark>(mark.row).unix_ms);
  return newest;
}

std::vector<Record> find_records(LayerSpan layers, std::string_view workload, std::string_view schedule) {
  Field field;
  for (size_t i = 0; i < layers.size(); ++i) {
    Connection& db = layers[i]->db;
    Transaction snapshot(db, Transaction::Kind::read);
    const std::optional<int64_t> own_workload = local_workload(db, workload),
                                 own_schedule = local_schedule(db, schedule);
    if (own_workload && own_schedule) {
      Query found = db.query("SELECT id, median_ns, build FROM trial WHERE workload = ?1 AND schedule = ?2",
                             *own_workload, *own_schedule);
      enter(found, i, kAnyBuild, field);
    }
    snapshot.commit();
  }
  apply_all_marks(layers, field);
  std::ranges::sort(field.candidates, {}, &Candidate::id);
  return loaded(layers, field);
}

std::vector<Record> find_records(LayerSpan layers, const Key& key, std::string_view build) {
  Field field;
  for (size_t i = 0; i < layers.size(); ++i) {
    Connection& db = layers[i]->db;
    Transaction snapshot(db, Transaction::Kind::read);
    if (const std::optional<LocalKey> local = local_key(db, key)) {
      Query found = db.query(
          "SELECT id, median_ns, build FROM trial WHERE workload = ?1 AND machine = ?2 AND target = ?3 AND threads = "
          "?4 AND build = ?5",
          local->workload, local->machine, local->target, key.threads, build);
      enter(found, i, build, field);
    }
    snapshot.commit();
  }
  apply_all_marks(layers, field);
  for (Candidate& candidate : field.candidates)
    if (candidate.pinned()) candidate.standing = MarkKind::clear;
  std::ranges::sort(field.candidates, better);
  return loaded(layers, field);
}

std::vector<std::string> find_contested(LayerSpan layers, std::string_view machine, std::string_view features,
                                        int threads) {
  std::map<std::string, std::set<std::string>> confirmed;  // schedules' hashes by workload
  std::set<std::string> elsewhere;                         // trials that are not in the layer of their mark
  const std::string trial_of_key =
      "JOIN workload ON workload.key = trial.workload JOIN schedule ON schedule.key = trial.schedule "
      "JOIN machine ON machine.key = trial.machine JOIN target ON target.key = trial.target "
      "WHERE machine.hash = ?1 AND features = ?2 AND threads = ?3 AND status = 'ok' ";
  const auto collect = [&](Query found) {
    while (found.step()) confirmed[found.text(0)].insert(found.text(1));
  };
  for (Database::State* layer : layers) {
    collect(layer->db.query("SELECT workload.text, schedule.hash FROM mark JOIN trial ON trial.id = mark.trial " +
                                trial_of_key + "AND kind = 'confirm'",
                            machine, features, threads));
    Query dangling = layer->db.query(
        "SELECT trial FROM mark WHERE kind = 'confirm' AND NOT EXISTS(SELECT 1 FROM trial WHERE trial.id = "
        "mark.trial)");
    while (dangling.step()) elsewhere.insert(dangling.text(0));
  }
  for (const std::string& id : elsewhere)
    for (Database::State* layer : layers)
      collect(layer->db.query("SELECT workload.text, schedule.hash FROM trial " + trial_of_key + "AND trial.id = ?4",
                              machine, features, threads, id));
  std::vector<std::string> out;
  for (const auto& [workload, schedules] : confirmed)
    if (schedules.size() > 1) out.push_back(workload);
  return out;
}

}  // namespace oc
