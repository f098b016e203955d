#include "autotune/tune.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>

#include "autotune/journal.h"
#include "autotune/limit.h"
#include "autotune/scheduler.h"
#include "autotune/strategy.h"
#include "base/error.h"
#include "base/hash.h"

namespace oc {
namespace {

constexpr double kEarlyStop = 3;      // candidates slower than this many times the incumbent are not timed to the end
constexpr double kWorthADuel = 0.99;  // of the incumbent's time: slower candidates need no confirming run
constexpr int kMaxTips = 8;           // winners of other workloads a workload tries, at most
constexpr int64_t kHopelessFailures = 24;  // in a row without one success: the workload is given up

struct Proposal {
  size_t task;
  Schedule schedule;
};

// A workload under search.
struct Search {
  std::unique_ptr<Strategy> strategy;
  TaskOutlook outlook;
  std::string on_record;         // the trial that was the incumbent there when it was last looked at
  std::vector<Schedule> rivals;  // History::rivals that have not been timed here yet
  size_t unasked = 0;            // of them, not proposed yet
  int64_t failures_in_a_row = 0;
  int tips = 0;
};

uint64_t task_seed(uint64_t seed, const Workload& workload) {
  return seed ^ std::stoull(workload.hash().substr(0, 15), nullptr, 16);
}

class Tuner {
 public:
  Tuner(std::span<const TuneTask> tasks, const Target& target, int threads, Database& database, Measurer& measurer,
        const TuneOptions& options, const std::function<void(const TuneProgress&)>& callback)
      : tasks_(tasks),
        target_(target),
        threads_(threads),
        measurer_(measurer),
        options_(options),
        callback_(callback),
        journal_(database, options.layers, target, threads, options.author),
        start_(now()) {}

  TuneReport run() {
    progress_.calibration = measurer_.calibrate();
    journal_.record(progress_.calibration);
    for (size_t i = 0; i < tasks_.size(); ++i) open(i);
    for (size_t i = 0; i < tasks_.size() && ended() == TuneEnd::running; ++i) settle_challenge(i, challengers_[i]);
    while ((progress_.end = ended()) == TuneEnd::running) {
      // Here nothing is being timed.
      if (options_.cost_model != nullptr && unlearnt_ >= kTrialsPerTraining) {
        options_.cost_model->train();
        unlearnt_ = 0;
      }
      look_ahead(0);
      if (ahead_.empty()) {
        progress_.end = TuneEnd::finished;
        break;
      }
      const Proposal proposal = std::move(ahead_.front());
      ahead_.pop_front();
      if (threads_ == 1) look_ahead(1);  // while this one is timed on one core the next is built on another
      if (given_up(proposal.task)) continue;
      trial(proposal);
      report();
    }
    report();
    return progress_;
  }

 private:
  [[nodiscard]] Seconds now() const {
    return options_.clock ? options_.clock() : std::chrono::steady_clock::now().time_since_epoch();
  }

  [[nodiscard]] TuneEnd ended() {
    progress_.elapsed = now() - start_;
    if (options_.stop && options_.stop()) return TuneEnd::stopped;
    if (options_.time && progress_.elapsed >= *options_.time) return TuneEnd::time;
    if (options_.trials && progress_.trials >= *options_.trials) return TuneEnd::trials;
    return TuneEnd::running;
  }

  void open(size_t i) {
    const TuneTask& task = tasks_[i];
    History history = journal_.history(task.kernel);
    TaskProgress& shown = progress_.tasks.emplace_back();
    shown.name = task.name;
    shown.weight = task.weight;
    shown.limit_ns = limit_ns(task.kernel, target_, progress_.calibration);
    shown.known = static_cast<int64_t>(history.trials.size());

    // What compile takes now comes first, then what other builds, people and thread counts found: until it is timed
    // anew nothing should take its place. A trial of ours with this build does, of whatever schedule.
    std::vector<Schedule> starts, others;
    if (task.start) starts.push_back(settled(task.kernel, target_, *task.start));
    starts.insert(starts.end(), history.rivals.begin(), history.rivals.end());
    for (Schedule& schedule : history.suggestions)
      (serves_threads(task.kernel, target_, threads_, schedule) ? starts : others).push_back(std::move(schedule));
    starts.push_back(default_schedule(task.kernel, target_, threads_));
    starts.insert(starts.end(), others.begin(), others.end());
    Space space = schedule_space(task.kernel, target_, threads_);
    starts.insert(starts.end(), space.starts.begin(), space.starts.end());
    Search& search = searches_.emplace_back();
    StrategyInputs inputs{std::move(space), std::move(starts), task_seed(options_.seed, task.kernel.workload)};
    if (options_.cost_model != nullptr)
      inputs.score = [this, &task](std::span<const Schedule> schedules) {
        return options_.cost_model->predict({task.kernel, target_, threads_}, schedules);
      };
    search.strategy = make_strategy(options_.strategy, std::move(inputs));
    for (const KnownTrial& known : history.trials) search.strategy->tell(known.schedule, known.nanoseconds);
    search.outlook = {.weight = task.weight, .trials = shown.known, .best_ns = {}, .limit_ns = shown.limit_ns};
    search.unasked = history.rivals.size();
    search.rivals = std::move(history.rivals);
    take_up(i, history.standing.incumbent);
    challengers_.push_back(std::move(history.standing.challenger));
  }

  // The incumbent on record becomes that of the run.
  void take_up(size_t i, const std::optional<KnownTrial>& incumbent) {
    if (!incumbent) return;
    // What loses duels against it from now on must not outrank it by a lucky median.
    if (!incumbent->confirmed) journal_.confirm(incumbent->id, Rise::unopposed);
    searches_[i].on_record = incumbent->id;
    enthrone(i, incumbent->schedule, *incumbent->nanoseconds);
    if (progress_.tasks[i].state == TaskState::waiting) progress_.tasks[i].state = TaskState::searching;
    settle(i);
  }

  // A trial on record looks faster than the incumbent on record: the duel that has not been fought yet.
  void settle_challenge(size_t i, const std::optional<KnownTrial>& challenger) {
    if (!challenger) return;
    std::vector<int64_t> samples_ns = {std::llround(*challenger->nanoseconds)};
    if (challenge(i, challenger->schedule, samples_ns) != Rise::won) return;
    journal_.confirm(challenger->id, Rise::won);
    enthrone(i, challenger->schedule, median(samples_ns));
    settle(i);
  }

  // Proposals for the trials to come, their builds announced; `under_way` trials have left the queue and are not
  // counted yet.
  void look_ahead(int64_t under_way) {
    const auto wanted = static_cast<size_t>(std::max(1, options_.jobs));
    while (ahead_.size() < wanted) {
      const auto planned = progress_.trials + under_way + static_cast<int64_t>(ahead_.size());
      if (options_.trials && planned >= *options_.trials) return;
      std::vector<TaskOutlook> outlooks;
      for (const Search& search : searches_) outlooks.push_back(search.outlook);
      const auto untimed =
          std::ranges::find_if(searches_, [](const Search& s) { return s.outlook.open && s.unasked > 0; });
      const std::optional<size_t> task = untimed != searches_.end()
                                             ? std::optional(static_cast<size_t>(untimed - searches_.begin()))
                                             : next_task(outlooks);
      if (!task) return;
      std::vector<Schedule> asked = searches_[*task].strategy->ask(1);
      if (asked.empty()) {
        close(*task, TaskState::exhausted);
        continue;
      }
      Search& search = searches_[*task];
      ++search.outlook.trials;
      if (std::ranges::find(search.rivals, asked.front()) != search.rivals.end()) --search.unasked;
      measurer_.prepare(tasks_[*task].kernel, asked.front());
      ahead_.push_back({*task, std::move(asked.front())});
    }
  }

  void trial(const Proposal& proposal) {
    const Kernel& kernel = tasks_[proposal.task].kernel;
    Search& search = searches_[proposal.task];
    TaskProgress& shown = progress_.tasks[proposal.task];
    std::optional<double> hopeless;
    if (shown.best_ns) hopeless = kEarlyStop * *shown.best_ns;
    Measurement measurement = measurer_.measure(kernel, proposal.schedule, hopeless);
    progress_.current = proposal.task;
    if (measurement.hopeless) {
      shown.message = measurement.message;
      return close(proposal.task, TaskState::unmeasurable);
    }
    if (!measurement.repeated) {  // such a one costs a build and is not recorded
      ++progress_.trials;
      ++shown.trials;
    }
    if (shown.state == TaskState::waiting) shown.state = TaskState::searching;

    const bool rival = std::erase(search.rivals, proposal.schedule) > 0;
    Rise rise = Rise::none;
    if (!rival && measurement.ok() && !measurement.repeated)
      rise = challenge(proposal.task, proposal.schedule, measurement.samples_ns);
    if (!measurement.repeated) journal_.commit(kernel, proposal.schedule, measurement, rise);
    const std::optional<double> time = measurement.ok() ? std::optional(measurement.nanoseconds()) : std::nullopt;
    search.strategy->tell(proposal.schedule, time);
    if (options_.cost_model != nullptr) {
      options_.cost_model->learn({kernel, target_, threads_}, journal_.machine(), proposal.schedule, time);
      ++unlearnt_;
    }

    const double before = shown.best_ns.value_or(0);
    const bool promoted = rise != Rise::none;
    if (promoted) enthrone(proposal.task, proposal.schedule, *time);
    if (promoted && before > 0) spread(proposal);
    if (rival) reconsider(proposal.task);
    const double gain = promoted && before > 0 ? std::max(0.0, 1 - *shown.best_ns / before) : 0;
    if (before > 0) search.outlook.momentum = after_trial(search.outlook.momentum, gain);
    if (!measurement.ok()) {
      ++shown.failed;
      shown.message = measurement.message;
    }
    search.failures_in_a_row = measurement.ok() ? 0 : search.failures_in_a_row + 1;
    settle(proposal.task);
  }

  // Now that a rival has been timed, the record says who is the incumbent: the rival, maybe, by marks of others.
  void reconsider(size_t i) {
    const Standing standing = journal_.standing(tasks_[i].kernel);
    take_up(i, standing.incumbent);
    settle_challenge(i, standing.challenger);
  }

  // Does a candidate with these times become the incumbent? Unopposed, where none is on record; else it has to win a
  // duel, and its times become the duel's, which are the better ones.
  Rise challenge(size_t i, const Schedule& candidate, std::vector<int64_t>& samples_ns) {
    TaskProgress& shown = progress_.tasks[i];
    const auto looks_faster = [&] {
      return !shown.best_ns || (median(samples_ns) < kWorthADuel * *shown.best_ns && candidate != *shown.best);
    };
    if (!looks_faster()) return Rise::none;
    catch_up(i);
    while (shown.best) {
      if (!looks_faster()) return Rise::none;
      const Schedule incumbent = *shown.best;
      const std::optional<Duel> duel = measurer_.duel(tasks_[i].kernel, candidate, incumbent);
      if (!duel || duel->candidate_ns.empty()) return Rise::none;
      samples_ns = duel->candidate_ns;
      // The incumbent has just been timed anew, perhaps on a busier machine than the day it won.
      shown.best_ns = median(duel->incumbent_ns);
      searches_[i].outlook.best_ns = shown.best_ns;
      if (!promotes(*duel)) return Rise::none;
      catch_up(i);
      if (*shown.best == incumbent) return Rise::won;
    }
    return Rise::unopposed;
  }

  // Another tuner, or a person's mark, may have changed the incumbent on record since it was last looked at.
  void catch_up(size_t i) {
    const std::optional<KnownTrial> now = journal_.standing(tasks_[i].kernel).incumbent;
    if (!now || now->id == searches_[i].on_record) return;
    searches_[i].on_record = now->id;
    if (now->schedule != progress_.tasks[i].best) enthrone(i, now->schedule, *now->nanoseconds);
  }

  // What won a duel here is worth a try in workloads of the same op: register tiles depend on the machine more than on
  // shapes.
  void spread(const Proposal& winner) {
    const std::string& op = tasks_[winner.task].kernel.anchor_node().op;
    for (size_t i = 0; i < tasks_.size(); ++i) {
      Search& search = searches_[i];
      const Kernel& kernel = tasks_[i].kernel;
      if (i == winner.task || search.tips >= kMaxTips || kernel.family != winner.schedule.family) continue;
      if (kernel.anchor_node().op != op || !why_illegal(kernel, target_, winner.schedule).empty()) continue;
      search.strategy->suggest(settled(kernel, target_, winner.schedule));
      ++search.tips;
    }
  }

  void enthrone(size_t i, const Schedule& schedule, double nanoseconds) {
    TaskProgress& shown = progress_.tasks[i];
    shown.best = schedule;
    shown.best_ns = nanoseconds;
    if (!shown.first_ns) shown.first_ns = nanoseconds;
    searches_[i].outlook.best_ns = nanoseconds;
  }

  // Ends the search of a task that has nothing left to win. What others hold to be better is timed all the same:
  // compile takes it.
  void settle(size_t i) {
    if (near_limit(searches_[i].outlook) && searches_[i].rivals.empty()) close(i, TaskState::near_limit);
    if (searches_[i].failures_in_a_row >= kHopelessFailures && !progress_.tasks[i].best)
      close(i, TaskState::unmeasurable);
  }

  // No candidate is worth its time any more. Of an exhausted space the last ones are, which may still be ahead.
  [[nodiscard]] bool given_up(size_t i) const {
    return !searches_[i].outlook.open && progress_.tasks[i].state != TaskState::exhausted;
  }

  void close(size_t i, TaskState state) {
    searches_[i].outlook.open = false;
    progress_.tasks[i].state = state;
  }

  void report() {
    progress_.elapsed = now() - start_;
    progress_.eta.reset();
    if (options_.time) progress_.eta = std::max(Seconds(0), *options_.time - progress_.elapsed);
    if (options_.trials && progress_.trials > 0) {
      const Seconds left =
          progress_.elapsed / progress_.trials * static_cast<double>(*options_.trials - progress_.trials);
      progress_.eta = progress_.eta ? std::min(*progress_.eta, left) : left;
    }
    if (callback_) callback_(progress_);
  }

  std::span<const TuneTask> tasks_;
  const Target& target_;
  int threads_;
  Measurer& measurer_;
  const TuneOptions& options_;
  const std::function<void(const TuneProgress&)>& callback_;
  Journal journal_;
  Seconds start_;
  std::vector<Search> searches_;
  std::vector<std::optional<KnownTrial>> challengers_;  // by task
  std::deque<Proposal> ahead_;
  int64_t unlearnt_ = 0;  // trials that the cost model was told of and has not taken in yet
  TuneProgress progress_;
};

double total(const std::vector<TaskProgress>& tasks, std::optional<double> TaskProgress::* time) {
  double sum = 0;
  for (const TaskProgress& task : tasks) sum += task.weight * (task.*time).value_or(0);
  return sum;
}

}  // namespace

std::string_view task_state_name(TaskState state) {
  constexpr std::string_view kNames[] = {"waiting", "searching", "near limit", "exhausted", "unmeasurable"};
  return kNames[static_cast<size_t>(state)];
}

double TaskProgress::share_of_limit() const {
  return best_ns && *best_ns > 0 ? std::min(1.0, limit_ns / *best_ns) : 0;
}
double TuneProgress::total_best_ns() const {
  return total(tasks, &TaskProgress::best_ns);
}
double TuneProgress::total_first_ns() const {
  return total(tasks, &TaskProgress::first_ns);
}

TuneReport tune(std::span<const TuneTask> tasks, const Target& target, int threads, Database& database,
                Measurer& measurer, const TuneOptions& options,
                const std::function<void(const TuneProgress&)>& progress) {
  if (tasks.empty()) user_error("nothing to tune: the model has no kernels");
  if (threads < 1) user_error("cannot tune for {} threads; give 1 or more", threads);
  return Tuner(tasks, target, threads, database, measurer, options, progress).run();
}

}  // namespace oc
