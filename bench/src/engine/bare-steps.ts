// The limit for whole jobs: SQLite in process, submit, start and finish each durable, `parallel` jobs at once, every
// commit taking whatever piled up. Prints jobs per second as JSON.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const [dir, total, parallel] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])]
const db = new DatabaseSync(join(dir, 'bare.db'))
db.exec(`
  PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 10000;
  CREATE TABLE jobs (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, spec TEXT NOT NULL, created_at INTEGER, started_at INTEGER, ended_at INTEGER) STRICT;
  CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, job INTEGER NOT NULL, type TEXT NOT NULL) STRICT;
`)
const begin = db.prepare('BEGIN')
const commit = db.prepare('COMMIT')
const addJob = db.prepare("INSERT INTO jobs (n, id, state, spec, created_at) VALUES (?, ?, 'ready', ?, ?)")
const start = db.prepare("UPDATE jobs SET state = 'running', started_at = ? WHERE n = ?")
const finish = db.prepare("UPDATE jobs SET state = 'succeeded', ended_at = ? WHERE n = ?")
const addEvent = db.prepare('INSERT INTO events (at, job, type) VALUES (?, ?, ?)')

const spec = JSON.stringify({ function: 'noop', input: 'x'.repeat(90) })
let open: { run: () => void; done: () => void }[] = []
const durable = (run: () => void) =>
  new Promise<void>(done => {
    if (open.length === 0) setImmediate(flush)
    open.push({ run, done })
  })

function flush(): void {
  const group = open
  open = []
  begin.run()
  for (const { run } of group) run()
  commit.run()
  for (const { done } of group) done()
}

let next = 0
const startedAt = performance.now()
await Promise.all(
  Array.from({ length: parallel }, async () => {
    while (next < total) {
      const n = ++next
      await durable(() => {
        addJob.run(n, crypto.randomUUID(), spec, Date.now())
        addEvent.run(Date.now(), n, 'submitted')
      })
      await durable(() => {
        start.run(Date.now(), n)
        addEvent.run(Date.now(), n, 'started')
      })
      await durable(() => {
        finish.run(Date.now(), n)
        addEvent.run(Date.now(), n, 'finished')
      })
    }
  }),
)
console.log(JSON.stringify({ rate: total / ((performance.now() - startedAt) / 1000) }))
