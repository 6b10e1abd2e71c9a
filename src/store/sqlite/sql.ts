// Every statement of this adapter, one constant each. Lists of jobs and of flows come in families: the same list
// over another index or in the other direction; `listStatements` spells them out once, when this file is loaded.

import { attemptColumns, eventColumns, flowColumns, jobColumns, nodeColumns, outputColumns } from './rows.ts'

const marks = (columns: string) => columns.replaceAll(/\w+/g, '?')

// ---- writing jobs, flows and what belongs to them ----

export const insertJob = `INSERT INTO jobs (${jobColumns}) VALUES (${marks(jobColumns)})`
/** For a job that stays without an end: it names neither `ended_at` nor anything else that an index looks at. */
export const moveJob = `UPDATE jobs SET state = ?, rank = ?, held = ?, stop = ?, reason = ?, message = ?,
  exit_code = ?, attempts = ?, tries = ?, ready_at = ?, due_at = ?, started_at = ?, detail = ?, last_event = ?
  WHERE n = ? AND ended_at IS NULL`
export const updateJob = `UPDATE jobs SET state = ?, rank = ?, held = ?, stop = ?, reason = ?, message = ?,
  exit_code = ?, attempts = ?, tries = ?, ready_at = ?, due_at = ?, started_at = ?, detail = ?, last_event = ?,
  ended_at = ? WHERE n = ?`
export const insertSpec = 'INSERT INTO specs (n, body) VALUES (?, ?)'
export const insertFlow = `INSERT INTO flows (${flowColumns}) VALUES (${marks(flowColumns)})`
export const insertPlan = 'INSERT INTO plans (n, body) VALUES (?, ?)'
/** For a flow that goes on running, as `moveJob`. */
export const moveFlow = `UPDATE flows SET stop = ?, started_at = ?, progress = ?, detail = ?, last_event = ?
  WHERE n = ? AND ended_at IS NULL`
export const updateFlow = `UPDATE flows SET state = ?, stop = ?, started_at = ?, ended_at = ?, progress = ?,
  detail = ?, last_event = ? WHERE n = ?`
export const putNode = `INSERT INTO nodes (${nodeColumns}) VALUES (${marks(nodeColumns)})
  ON CONFLICT (flow, step, instance) DO UPDATE SET
  state = excluded.state, job = excluded.job, child = excluded.child, runs = excluded.runs`
export const insertAttempt = `INSERT INTO attempts (${attemptColumns}) VALUES (${marks(attemptColumns)})`
export const putOutput = `INSERT OR REPLACE INTO outputs (${outputColumns}) VALUES (${marks(outputColumns)})`
export const dropOutput = 'DELETE FROM outputs WHERE job = ? AND name = ?'
export const insertEvent = `INSERT INTO events (${eventColumns}) VALUES (${marks(eventColumns)})`
/** The newest stays, so that numbers go on from it. */
export const dropEvents = 'DELETE FROM events WHERE seq <= min(?, (SELECT max(seq) FROM events) - 1)'
export const dropSpec = 'DELETE FROM specs WHERE n = ?'
export const dropJob = 'DELETE FROM jobs WHERE n = ?'
export const dropFlow = 'DELETE FROM flows WHERE n = ?'
export const putCounter = 'INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)'
export const putMark = 'INSERT OR REPLACE INTO marks (name, value) VALUES (?, ?)'
/** A blob that is there keeps its bytes where they are. */
export const nameBlob = `INSERT INTO blobs (hash, size_bytes, named_count, place) VALUES (?, ?, ?, ?)
  ON CONFLICT (hash) DO UPDATE SET named_count = named_count + excluded.named_count RETURNING place`
export const unnameBlob = 'UPDATE blobs SET named_count = named_count - ? WHERE hash = ?'
export const dropUnnamedBlob = 'DELETE FROM blobs WHERE hash = ? AND named_count = 0 RETURNING place'
export const insertSmallBlob = 'INSERT INTO small_blobs (place, bytes) VALUES (?, ?)'
export const dropSmallBlob = 'DELETE FROM small_blobs WHERE place = ?'
export const lastSmallBlob = 'SELECT ifnull(max(place), 0) FROM small_blobs'

// ---- what is live ----

export const liveJobs = `SELECT ${jobColumns} FROM jobs INDEXED BY jobs_live WHERE ended_at IS NULL ORDER BY n`
export const liveFlows = `SELECT ${flowColumns}, (SELECT body FROM plans WHERE plans.n = flows.n)
  FROM flows INDEXED BY flows_live WHERE ended_at IS NULL ORDER BY n`
export const allNodes = `SELECT ${nodeColumns} FROM nodes WHERE flow = ? ORDER BY step, instance`
export const lastPlace = `SELECT max(ifnull((SELECT max(n) FROM jobs), 0), ifnull((SELECT max(n) FROM flows), 0),
  ifnull((SELECT value FROM marks WHERE name = 'place'), 0))`
export const lastEvent = 'SELECT ifnull(max(seq), 0) FROM events'
export const lastRecord = `SELECT max(ifnull((SELECT max(seq) FROM records), 0),
  ifnull((SELECT value FROM marks WHERE name = 'record'), 0))`
/** Those of the engine: under # the store keeps how many records each collection has. */
export const allCounters = "SELECT name, value FROM counters WHERE name NOT GLOB '#*'"

// ---- looking up one ----

export const jobByN = `SELECT ${jobColumns} FROM jobs WHERE n = ?`
export const jobById = `SELECT ${jobColumns} FROM jobs WHERE id = ?`
export const jobByRef = `SELECT ${jobColumns} FROM jobs WHERE dialect = ? AND ref = ?`
const wholeFlow = `SELECT ${flowColumns}, (SELECT body FROM plans WHERE plans.n = flows.n) FROM flows`
export const flowByN = `${wholeFlow} WHERE n = ?`
export const flowById = `${wholeFlow} WHERE id = ?`
export const flowByRef = `${wholeFlow} WHERE dialect = ? AND ref = ?`
export const specOf = 'SELECT body FROM specs WHERE n = ?'
export const jobIdOf = 'SELECT id FROM jobs WHERE n = ?'
export const attemptsOf = `SELECT ${attemptColumns} FROM attempts WHERE job = ? ORDER BY number`
export const outputsOf = `SELECT ${outputColumns} FROM outputs WHERE job = ? ORDER BY name`
export const nodesFrom = `SELECT ${nodeColumns} FROM nodes
  WHERE flow = ? AND (step, instance) >= (?, ?) ORDER BY step, instance LIMIT ?`
export const eventsAfter = `SELECT ${eventColumns} FROM events WHERE seq > ? ORDER BY seq LIMIT ?`
export const eventBySeq = `SELECT ${eventColumns} FROM events WHERE seq = ?`
export const blobCountOf = 'SELECT named_count FROM blobs WHERE hash = ?'
export const smallBlobOf = `SELECT bytes FROM blobs JOIN small_blobs ON small_blobs.place = blobs.place
  WHERE hash = ?`

// ---- lists of jobs and flows ----

/** A list over one index: its pages, and how far a bounded walk from one end of the range gets. */
export interface ListStatements {
  readonly down: { readonly page: string; readonly reach: string }
  readonly up: { readonly page: string; readonly reach: string }
}

// What a row must be besides lying in the index's range; null lets everything through.
const filters = `(:dialect IS NULL OR dialect = :dialect) AND (:owner IS NULL OR owner = :owner)
  AND (:kind IS NULL OR kind = :kind) AND (:name IS NULL OR name = :name)
  AND (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
  AND (:createdFrom IS NULL OR created_at >= :createdFrom) AND (:createdTo IS NULL OR created_at <= :createdTo)
  AND (:label IS NULL OR instr(labels, :label) > 0)`

function listStatements(columns: string, source: string): ListStatements {
  const statements = (direction: 'DESC' | 'ASC') => ({
    page: `SELECT ${columns} FROM ${source} n BETWEEN :low AND :high AND ${filters} ORDER BY n ${direction} LIMIT :limit`,
    reach: `SELECT n FROM ${source} n BETWEEN :low AND :high ORDER BY n ${direction} LIMIT 1 OFFSET :walk`,
  })
  return { down: statements('DESC'), up: statements('ASC') }
}

export const jobLists = {
  all: listStatements(jobColumns, 'jobs NOT INDEXED WHERE'),
  flow: listStatements(jobColumns, 'jobs INDEXED BY jobs_flow WHERE flow = :flow AND'),
  live: listStatements(jobColumns, 'jobs INDEXED BY jobs_live WHERE ended_at IS NULL AND'),
  state: listStatements(
    jobColumns,
    'jobs INDEXED BY jobs_state WHERE ended_at IS NOT NULL AND state = :state AND',
  ),
}

const flowListColumns = `${flowColumns}, (SELECT body FROM plans WHERE plans.n = flows.n)`
export const flowLists = {
  all: listStatements(flowListColumns, 'flows NOT INDEXED WHERE'),
  live: listStatements(flowListColumns, 'flows INDEXED BY flows_live WHERE ended_at IS NULL AND'),
  state: listStatements(
    flowListColumns,
    'flows INDEXED BY flows_state WHERE ended_at IS NOT NULL AND state = :state AND',
  ),
}

/** The ends of one owner in one dialect, newest first; and which owners and dialects have any. */
export interface EndStatements {
  readonly ends: string
  readonly nextDialect: string
  readonly firstOwner: string
  readonly nextOwner: string
}

function endStatements(table: 'jobs' | 'flows'): EndStatements {
  const source = `FROM ${table} INDEXED BY ${table}_ended WHERE ended_at IS NOT NULL AND`
  return {
    ends: `SELECT ended_at, n ${source} dialect = ? AND owner = ? AND (ended_at, n) < (?, ?)
      ORDER BY ended_at DESC, n DESC LIMIT ?`,
    nextDialect: `SELECT dialect ${source} dialect > ? ORDER BY dialect LIMIT 1`,
    firstOwner: `SELECT owner ${source} dialect = ? ORDER BY owner LIMIT 1`,
    nextOwner: `SELECT owner ${source} dialect = ? AND owner > ? ORDER BY owner LIMIT 1`,
  }
}

export const jobEnds = endStatements('jobs')
export const flowEnds = endStatements('flows')

// ---- records: writing ----

export const collectionByName = 'SELECT n FROM collections WHERE name = ?'
export const insertCollection = 'INSERT INTO collections (name) VALUES (?) RETURNING n'
export const addToCollection = `INSERT INTO counters (name, value) VALUES (?, ?)
  ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`
export const indexName = 'SELECT n, is_multiple FROM index_names WHERE collection = ? AND name = ?'
export const insertIndexName =
  'INSERT INTO index_names (collection, name, is_multiple) VALUES (?, ?, 0) RETURNING n'
export const markMultiple = 'UPDATE index_names SET is_multiple = 1 WHERE n = ?'
export const recordToReplace = 'SELECT seq, parent, entries FROM records WHERE collection = ? AND id = ?'
export const insertRecord =
  'INSERT INTO records (seq, collection, id, parent, entries, body) VALUES (?, ?, ?, ?, ?, ?)'
export const updateBody = 'UPDATE records SET body = ? WHERE seq = ?'
export const updateRecord = 'UPDATE records SET body = ?, entries = ?, parent = ? WHERE seq = ?'
export const dropRecord = 'DELETE FROM records WHERE seq = ?'
export const insertEntry = 'INSERT OR IGNORE INTO record_index (name, value, record) VALUES (?, ?, ?)'
export const dropEntry = 'DELETE FROM record_index WHERE name = ? AND value = ? AND record = ?'

// ---- records: reading ----

const recordColumns = 'seq, id, parent, entries, body'
export const recordById = `SELECT ${recordColumns} FROM records WHERE collection = ? AND id = ?`
export const recordBySeq = `SELECT ${recordColumns} FROM records WHERE seq = ?`
export const countCollection = 'SELECT value FROM counters WHERE name = ?'
export const countChildren = 'SELECT count(*) FROM records WHERE collection = ? AND parent = ?'

/** Candidates: what to walk, without bodies, so that a walk that filters reads little. */
const candidate = 'seq, id, parent, entries'
export const walkSeqUp = `SELECT ${candidate} FROM records INDEXED BY records_seq
  WHERE collection = ? AND seq > ? ORDER BY seq LIMIT ?`
export const walkSeqDown = `SELECT ${candidate} FROM records INDEXED BY records_seq
  WHERE collection = ? AND seq < ? ORDER BY seq DESC LIMIT ?`
export const walkIdUp = `SELECT ${candidate} FROM records INDEXED BY records_id
  WHERE collection = ? AND id > ? ORDER BY id LIMIT ?`
export const walkIdFirst = `SELECT ${candidate} FROM records INDEXED BY records_id
  WHERE collection = ? AND id >= ? ORDER BY id LIMIT ?`
export const walkIdDown = `SELECT ${candidate} FROM records INDEXED BY records_id
  WHERE collection = ? AND id < ? ORDER BY id DESC LIMIT ?`
export const walkParentUp = `SELECT ${candidate} FROM records INDEXED BY records_parent
  WHERE collection = ? AND parent = ? AND seq > ? ORDER BY seq LIMIT ?`
export const walkParentDown = `SELECT ${candidate} FROM records INDEXED BY records_parent
  WHERE collection = ? AND parent = ? AND seq < ? ORDER BY seq DESC LIMIT ?`
/** Whole records in that order, for pages that filter nothing. */
export const recordsOfParentUp = `SELECT ${recordColumns} FROM records INDEXED BY records_parent
  WHERE collection = ? AND parent = ? AND seq > ? ORDER BY seq LIMIT ?`
export const recordsOfParentDown = `SELECT ${recordColumns} FROM records INDEXED BY records_parent
  WHERE collection = ? AND parent = ? AND seq < ? ORDER BY seq DESC LIMIT ?`
export const candidateBySeq = `SELECT ${candidate} FROM records WHERE seq = ?`

/** Entries with one value, in order of arrival. */
export const walkValueUp = `SELECT record FROM record_index
  WHERE name = ? AND value = ? AND record > ? ORDER BY record LIMIT ?`
export const walkValueDown = `SELECT record FROM record_index
  WHERE name = ? AND value = ? AND record < ? ORDER BY record DESC LIMIT ?`
/** Entries in a range of values, in order of value and arrival, from a position on. */
export const walkRangeUp = `SELECT value, record FROM record_index
  WHERE name = ? AND (value, record) > (?, ?) AND value <= ? ORDER BY value, record LIMIT ?`
export const walkRangeDown = `SELECT value, record FROM record_index
  WHERE name = ? AND (value, record) < (?, ?) AND value >= ? ORDER BY value DESC, record DESC LIMIT ?`
/** All entries in a range, for ranges that are known to be small. */
export const recordsInRange = 'SELECT record FROM record_index WHERE name = ? AND value >= ? AND value <= ?'
export const recordsInOpenRange =
  'SELECT record FROM record_index WHERE name = ? AND value >= ? AND value < ?'
export const countRange = 'SELECT count(*) FROM record_index WHERE name = ? AND value >= ? AND value <= ?'
export const countOpenRange = 'SELECT count(*) FROM record_index WHERE name = ? AND value >= ? AND value < ?'
/** The same up to a bound, to see which condition narrows most. */
export const countSome = `SELECT count(*) FROM
  (SELECT 1 FROM record_index WHERE name = ? AND value >= ? AND value <= ? LIMIT ?)`
export const countSomeOpen = `SELECT count(*) FROM
  (SELECT 1 FROM record_index WHERE name = ? AND value >= ? AND value < ? LIMIT ?)`
export const countSomeChildren =
  'SELECT count(*) FROM (SELECT 1 FROM records WHERE collection = ? AND parent = ? LIMIT ?)'
