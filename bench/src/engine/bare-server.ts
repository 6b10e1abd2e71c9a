// The limit beside us: a bare node:http server that commits each posted job to SQLite in hand-written groups, and
// nothing else: no routing, no access, no validation. It stores a job row, a spec row and an event row, as we do.

import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const db = new DatabaseSync(join(process.argv[2]!, 'bare.db'))
db.exec(`
  PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 10000;
  CREATE TABLE jobs (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;
  CREATE TABLE specs (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
  CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, job INTEGER NOT NULL, type TEXT NOT NULL) STRICT;
`)
const begin = db.prepare('BEGIN')
const commit = db.prepare('COMMIT')
const addJob = db.prepare('INSERT INTO jobs VALUES (?, ?, ?, ?)')
const addSpec = db.prepare('INSERT INTO specs VALUES (?, ?)')
const addEvent = db.prepare('INSERT INTO events VALUES (?, ?, ?, ?)')

let n = 0
let waiting: { body: string; response: ServerResponse }[] = []

function flush(): void {
  const group = waiting
  waiting = []
  begin.run()
  const ids = group.map(({ body }) => {
    const id = crypto.randomUUID()
    const now = Date.now()
    addJob.run(++n, id, 'ready', now)
    addSpec.run(n, JSON.stringify(JSON.parse(body)))
    addEvent.run(n, now, n, 'submitted')
    return id
  })
  commit.run()
  for (const [at, { response }] of group.entries()) {
    response.writeHead(201, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ id: ids[at], state: 'ready' }))
  }
}

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', chunk => (body += chunk))
  request.on('end', () => {
    if (waiting.length === 0) setImmediate(flush)
    waiting.push({ body, response })
  })
})
server.listen(0, '127.0.0.1', () =>
  console.log(`ready http://127.0.0.1:${(server.address() as { port: number }).port}/jobs`),
)
process.once('SIGTERM', () => process.exit(0))
