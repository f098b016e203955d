// Which trial is best: the rule stands at Database::best.
#include <algorithm>
#include <cmath>
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
  MarkTime confirmed{-1, ""};

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

void enter_layer(Connection& db, size_t layer, const Key& key, std::string_view build, Field& field) {
  const std::optional<LocalKey> local = local_key(db, key);
  if (!local) return;
  Query ok = db.query(
      "SELECT id, median_ns, build != ?5 FROM trial WHERE workload = ?1 AND machine = ?2 AND target = ?3 AND threads = "
      "?4 AND "
      "status = 'ok'",
      local->workload, local->machine, local->target, key.threads, build);
  while (ok.step()) {
    Candidate candidate{
        .id = ok.text(0), .median_ns = ok.integer(1), .layer = layer, .suspect = ok.integer(2) != 0 && !build.empty()};
    if (field.by_id.emplace(candidate.id, field.candidates.size()).second)
      field.candidates.push_back(std::move(candidate));
  }
  Query wrong = db.query(
      "SELECT schedule.text, build FROM trial JOIN schedule ON schedule.key = trial.schedule WHERE workload = ?1 AND "
      "machine = ?2 AND target = ?3 AND threads = ?4 AND status = 'wrong_result'",
      local->workload, local->machine, local->target, key.threads);
  while (wrong.step()) field.vetoes.emplace(wrong.text(0), wrong.text(1));
}

void apply_mark(Candidate& candidate, MarkKind kind, MarkTime time) {
  if (kind == MarkKind::confirm) {
    candidate.confirmed = std::max(candidate.confirmed, std::move(time));
  } else if (time > candidate.standing_time) {
    candidate.standing = kind;
    candidate.standing_time = std::move(time);
  }
}

// The marks of one layer on the candidates of all.
void apply_marks(Connection& db, Field& field) {
  if (db.value("SELECT EXISTS(SELECT 1 FROM mark)") == 0) return;
  for (Candidate& candidate : field.candidates) {
    Query marks = db.query("SELECT kind, unix_ms, id FROM mark WHERE trial = ?1", candidate.id);
    while (marks.step()) {
      if (const auto kind = parse_mark(marks.text(0))) apply_mark(candidate, *kind, {marks.integer(1), marks.text(2)});
    }
  }
}

bool better(const Candidate& a, const Candidate& b) {
  if (a.pinned() != b.pinned()) return a.pinned();
  if (a.pinned() && a.standing_time != b.standing_time) return a.standing_time > b.standing_time;
  if (a.suspect != b.suspect) return b.suspect;
  if (a.confirmed != b.confirmed) return a.confirmed > b.confirmed;
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

std::optional<LookupResult> find_best(LayerSpan layers, const Key& key, std::string_view build) {
  Field field;
  for (size_t i = 0; i < layers.size(); ++i) {
    Transaction snapshot(layers[i]->db, Transaction::Kind::read);
    enter_layer(layers[i]->db, i, key, build, field);
    snapshot.commit();
  }
  if (field.candidates.empty()) return std::nullopt;
  for (Database::State* layer : layers) {
    Transaction snapshot(layer->db, Transaction::Kind::read);
    apply_marks(layer->db, field);
    snapshot.commit();
  }
  std::erase_if(field.candidates, [](const Candidate& c) { return c.standing == MarkKind::quarantine; });
  std::ranges::sort(field.candidates, better);
  for (const Candidate& candidate : field.candidates) {
    Connection& db = layers[candidate.layer]->db;
    std::optional<Trial> trial = load(db, candidate);
    if (!trial || field.vetoes.contains({trial->schedule, trial->build})) continue;
    return LookupResult{.trial = std::move(*trial),
                        .id = candidate.id,
                        .source = db.name(),
                        .pinned = candidate.pinned(),
                        .confirmed = candidate.is_confirmed()};
  }
  return std::nullopt;
}

std::optional<LookupResult> find_near(LayerSpan layers, const Key& key, std::string_view build) {
  if (std::optional<LookupResult> exact = find_best(layers, key, build)) return exact;
  std::set<int> known;
  for (Database::State* layer : layers) known.merge(known_threads(layer->db, key));
  known.erase(key.threads);
  std::vector<int> counts(known.begin(), known.end());
  const auto distance = [&](int threads) { return std::abs(std::log(static_cast<double>(threads) / key.threads)); };
  std::ranges::stable_sort(counts, {}, distance);
  for (const int threads : counts) {
    Key other = key;
    other.threads = threads;
    if (std::optional<LookupResult> result = find_best(layers, other, build)) {
      result->rung = Rung::other_threads;
      return result;
    }
  }
  return std::nullopt;
}

}  // namespace oc
