-- Covers the ranking of a key's trials, which asks for their builds, too: nothing but the winner's row is read.
DROP INDEX trial_by_key;
CREATE INDEX trial_by_key ON trial(workload, machine, target, threads, status, median_ns, id, build);
-- All trials of a schedule for a workload.
CREATE INDEX trial_by_schedule ON trial(workload, schedule);
