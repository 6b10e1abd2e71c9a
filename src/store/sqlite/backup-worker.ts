// The thread of backup.ts: copies one database into a new file and ends.

import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

const { file, target } = workerData as { file: string; target: string }
const database = new DatabaseSync(file, { readOnly: true, timeout: 60_000 })
try {
  database.prepare('VACUUM INTO ?').run(target)
} catch (error) {
  // Errors lose their SQLite code on the way between threads.
  const { message, errcode } = error as Error & { errcode: number }
  parentPort!.postMessage({ text: message, errcode })
} finally {
  database.close()
}
