-- The tuning database, version 1. Every later version is one file migrations/NNNN_what.sql, applied in order on top of
-- this one, both to new files and to old ones; list it in CMakeLists.txt. The version a file has is its user_version.
--
-- Rows are immutable; `key` columns are local to a file, ids are content hashes and hold everywhere. Only `family` and
-- `description` may be filled in later, and then by max(), so that the order of merges does not matter; of descriptions
-- those count that hash to the machine's id.

CREATE TABLE workload(
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL,        -- finds the row; two texts may share one, so `text` is compared
  text TEXT NOT NULL,
  family TEXT NOT NULL       -- '' = unknown
) STRICT;
CREATE INDEX workload_by_hash ON workload(hash);

CREATE TABLE machine(
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL  -- JSON; '' = a trial names the machine, nobody described it yet
) STRICT;

CREATE TABLE build(
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  toolchain TEXT NOT NULL,
  version TEXT NOT NULL,
  space_hash TEXT NOT NULL
) STRICT;

CREATE TABLE calibration(
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  machine TEXT NOT NULL,     -- machine.hash
  run TEXT NOT NULL,
  peak_gflops REAL NOT NULL,
  bandwidth_gbs REAL NOT NULL,
  threads INTEGER NOT NULL,
  unix_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE schedule(
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX schedule_by_hash ON schedule(hash);

CREATE TABLE target(
  key INTEGER PRIMARY KEY,
  features TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE trial(
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  workload INTEGER NOT NULL REFERENCES workload(key),
  schedule INTEGER NOT NULL REFERENCES schedule(key),
  machine INTEGER NOT NULL REFERENCES machine(key),
  target INTEGER NOT NULL REFERENCES target(key),
  threads INTEGER NOT NULL,
  build TEXT NOT NULL,           -- build.id, which may arrive later
  status TEXT NOT NULL,
  median_ns INTEGER NOT NULL,    -- of samples, 0 if there are none
  samples TEXT NOT NULL,         -- JSON array of integer nanoseconds
  message TEXT NOT NULL,
  relative_error REAL NOT NULL,  -- may be infinite
  unix_ms INTEGER NOT NULL,
  author TEXT NOT NULL,
  run TEXT NOT NULL
) STRICT;
-- Made anew in version 2.
CREATE INDEX trial_by_key ON trial(workload, machine, target, threads, status, median_ns, id);

CREATE TABLE mark(
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  trial TEXT NOT NULL,           -- trial.id, which may be in another database
  unix_ms INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT;
CREATE INDEX mark_by_trial ON mark(trial, unix_ms, id);
