-- The tables as docs/reference/store-schema.md explains them. Instants, durations and ranks are REAL because they are
-- doubles where they come from; SQLite keeps whole ones as integers on disk.

CREATE TABLE jobs (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  dialect TEXT NOT NULL,
  owner TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at REAL NOT NULL,
  ended_at REAL,
  executor TEXT NOT NULL,
  ref TEXT,
  pool TEXT NOT NULL,
  flow INTEGER,
  node TEXT,
  rank REAL NOT NULL,
  held INTEGER NOT NULL,
  stop TEXT NOT NULL,
  reason TEXT,
  exit_code INTEGER,
  attempts INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  tries_max REAL NOT NULL,
  backoff_ms REAL NOT NULL,
  queue_ms_max REAL,
  run_ms_max REAL,
  ready_at REAL,
  due_at REAL,
  started_at REAL,
  last_event INTEGER NOT NULL,
  labels TEXT,
  needs TEXT,
  message TEXT,
  detail TEXT
) STRICT;
CREATE UNIQUE INDEX jobs_ref ON jobs (dialect, ref) WHERE ref IS NOT NULL;
CREATE INDEX jobs_flow ON jobs (flow, n) WHERE flow IS NOT NULL;
CREATE INDEX jobs_live ON jobs (n) WHERE ended_at IS NULL;
CREATE INDEX jobs_state ON jobs (state, n) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (dialect, owner, ended_at, n) WHERE ended_at IS NOT NULL;

CREATE TABLE flows (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  dialect TEXT NOT NULL,
  owner TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at REAL NOT NULL,
  ended_at REAL,
  ref TEXT,
  parent_flow INTEGER,
  parent_node TEXT,
  stop TEXT NOT NULL,
  started_at REAL,
  last_event INTEGER NOT NULL,
  labels TEXT,
  progress TEXT NOT NULL,
  detail TEXT
) STRICT;
CREATE UNIQUE INDEX flows_ref ON flows (dialect, ref) WHERE ref IS NOT NULL;
CREATE INDEX flows_live ON flows (n) WHERE ended_at IS NULL;
CREATE INDEX flows_state ON flows (state, n) WHERE ended_at IS NOT NULL;
CREATE INDEX flows_ended ON flows (dialect, owner, ended_at, n) WHERE ended_at IS NOT NULL;

-- What is written once and never again, apart from the rows that change: rewriting a row rewrites all of it.
CREATE TABLE specs (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE plans (n INTEGER PRIMARY KEY REFERENCES flows (n) ON DELETE CASCADE, body TEXT NOT NULL) STRICT;

CREATE TABLE nodes (
  flow INTEGER NOT NULL REFERENCES flows (n) ON DELETE CASCADE,
  step INTEGER NOT NULL,
  instance INTEGER NOT NULL,
  key TEXT NOT NULL,
  state TEXT NOT NULL,
  job INTEGER NOT NULL,
  child INTEGER NOT NULL,
  runs INTEGER NOT NULL,
  PRIMARY KEY (flow, step, instance)
) STRICT, WITHOUT ROWID;

-- The attempt's id is not here: it is made of the job's id and the number.
CREATE TABLE attempts (
  job INTEGER NOT NULL REFERENCES jobs (n) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  started_at REAL,
  ended_at REAL NOT NULL,
  result TEXT NOT NULL,
  reason TEXT,
  message TEXT,
  exit_code INTEGER,
  usage TEXT,
  PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE outputs (
  job INTEGER NOT NULL REFERENCES jobs (n) ON DELETE CASCADE,
  name TEXT NOT NULL,
  created_at REAL NOT NULL,
  blob_hash TEXT,
  size_bytes INTEGER,
  media_type TEXT,
  value TEXT,
  PRIMARY KEY (job, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  subject TEXT NOT NULL,
  n INTEGER NOT NULL,
  prev INTEGER NOT NULL,
  type TEXT NOT NULL,
  body TEXT
) STRICT;

-- Collections and index names stand for their numbers, because records repeat them millions of times.
CREATE TABLE collections (
  n INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  row_count INTEGER NOT NULL
) STRICT;
CREATE TABLE index_names (
  n INTEGER PRIMARY KEY,
  collection INTEGER NOT NULL REFERENCES collections (n),
  name TEXT NOT NULL,
  -- Whether a record has ever had two entries under this name.
  is_multiple INTEGER NOT NULL,
  UNIQUE (collection, name)
) STRICT;

CREATE TABLE records (
  seq INTEGER PRIMARY KEY,
  collection INTEGER NOT NULL,
  id TEXT NOT NULL,
  parent TEXT,
  -- The index entries once more, as JSON: what a put compares with, and what conditions are tested on.
  entries TEXT,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX records_id ON records (collection, id);
CREATE INDEX records_seq ON records (collection, seq);
CREATE INDEX records_parent ON records (collection, parent, seq) WHERE parent IS NOT NULL;

CREATE TABLE record_index (
  name INTEGER NOT NULL,
  value ANY NOT NULL,
  record INTEGER NOT NULL,
  PRIMARY KEY (name, value, record)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
  hash TEXT PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  named_count INTEGER NOT NULL CHECK (named_count >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (name TEXT PRIMARY KEY, value REAL NOT NULL) STRICT, WITHOUT ROWID;

-- The highest numbers given to things that may be gone: place (jobs and flows), record.
CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
