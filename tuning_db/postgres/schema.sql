-- A team's server, version 1. The same rows as in tuning_db/schema.sql, each kept as its line of the export; the other
-- columns the server itself reads out of that line, so that the two cannot disagree. Every later version is one file
-- beside this one, applied in order on top of it; list it in CMakeLists.txt. version.number is the one a server has.
--
-- Rows are immutable; only `family` and `description` may be filled in later, and then by max(), so that the order of
-- pushes does not matter. Who may pull or push: GRANT opencompiler_reader (opencompiler_writer) TO somebody.

CREATE SCHEMA opencompiler;
SET LOCAL search_path = opencompiler, pg_catalog;

CREATE TABLE version(number integer NOT NULL);

-- Two texts may share one hash. An index entry has no room for a long text, so a second hash stands for it.
CREATE TABLE workload(
  line text NOT NULL CHECK (line::jsonb ->> 'kind' = 'workload'),
  id text COLLATE "C" NOT NULL GENERATED ALWAYS AS (line::jsonb ->> 'id') STORED,
  text text NOT NULL GENERATED ALWAYS AS (line::jsonb ->> 'text') STORED,
  family text COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce(line::jsonb ->> 'family', '')) STORED,
  sender text NOT NULL DEFAULT session_user,
  received timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX workload_by_text ON workload(id, md5(text));

CREATE TABLE machine(
  line text NOT NULL CHECK (line::jsonb ->> 'kind' = 'machine'),
  id text COLLATE "C" PRIMARY KEY GENERATED ALWAYS AS (line::jsonb ->> 'id') STORED,
  description text COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce(line::jsonb ->> 'description', '')) STORED,
  sender text NOT NULL DEFAULT session_user,
  received timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE build(
  line text NOT NULL CHECK (line::jsonb ->> 'kind' = 'build'),
  id text COLLATE "C" PRIMARY KEY GENERATED ALWAYS AS (line::jsonb ->> 'id') STORED,
  sender text NOT NULL DEFAULT session_user,
  received timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE calibration(
  line text NOT NULL CHECK (line::jsonb ->> 'kind' = 'calibration'),
  id text COLLATE "C" PRIMARY KEY GENERATED ALWAYS AS (line::jsonb ->> 'id') STORED,
  machine text NOT NULL GENERATED ALWAYS AS (line::jsonb ->> 'machine') STORED,
  sender text NOT NULL DEFAULT session_user,
  received timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE trial(
  line text NOT NULL CHECK (line::jsonb ->> 'kind' = 'trial'),
  id text COLLATE "C" PRIMARY KEY GENERATED ALWAYS AS (line::jsonb ->> 'id') STORED,
  workload text NOT NULL GENERATED ALWAYS AS (line::jsonb ->> 'workload') STORED,  -- workload.id
  machine text NOT NULL GENERATED ALWAYS AS (line::jsonb ->> 'machine') STORED,
  threads integer NOT NULL GENERATED ALWAYS AS ((line::jsonb ->> 'threads')::integer) STORED,
  status text NOT NULL GENERATED ALWAYS AS (line::jsonb ->> 'status') STORED,
  author text NOT NULL GENERATED ALWAYS AS (coalesce(line::jsonb ->> 'author', '')) STORED,
  sender text NOT NULL DEFAULT session_user,
  received timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX trial_by_workload ON trial(workload, machine, threads);

CREATE TABLE mark(
  line text NOT NULL CHECK (line::jsonb ->> 'kind' = 'mark'),
  id text COLLATE "C" PRIMARY KEY GENERATED ALWAYS AS (line::jsonb ->> 'id') STORED,
  trial text NOT NULL GENERATED ALWAYS AS (line::jsonb ->> 'trial') STORED,        -- trial.id
  sender text NOT NULL DEFAULT session_user,
  received timestamptz NOT NULL DEFAULT now()
);

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'opencompiler_reader') THEN
    CREATE ROLE opencompiler_reader NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'opencompiler_writer') THEN
    CREATE ROLE opencompiler_writer NOLOGIN;
  END IF;
END $$;
GRANT opencompiler_reader TO opencompiler_writer;
GRANT USAGE ON SCHEMA opencompiler TO opencompiler_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA opencompiler TO opencompiler_reader;
GRANT INSERT (line) ON workload, machine, build, calibration, trial, mark TO opencompiler_writer;
GRANT UPDATE (line) ON workload, machine TO opencompiler_writer;

-- Holds writers to what an update may do.
CREATE FUNCTION only_fills_in() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  old_row CONSTANT jsonb := OLD.line::jsonb;
  new_row CONSTANT jsonb := NEW.line::jsonb;
  field CONSTANT text := TG_ARGV[0];
BEGIN
  IF new_row - field <> old_row - field
     OR coalesce(new_row ->> field, '') COLLATE "C" <= coalesce(old_row ->> field, '') COLLATE "C" THEN
    RAISE EXCEPTION 'rows are immutable but for a % that comes later in byte order', field;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER only_fills_in BEFORE UPDATE ON workload FOR EACH ROW EXECUTE FUNCTION only_fills_in('family');
CREATE TRIGGER only_fills_in BEFORE UPDATE ON machine FOR EACH ROW EXECUTE FUNCTION only_fills_in('description');
