// The inside of the thread that folds the log into the database: one checkpoint whenever it is asked, with a connection
// of its own. It waits for nobody, so that commits go on meanwhile.

import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

const database = new DatabaseSync((workerData as { file: string }).file)
// What is folded back is on the disk before the log is written over.
database.exec('PRAGMA synchronous = FULL')
const fold = database.prepare('PRAGMA wal_checkpoint(PASSIVE)')

parentPort!.on('message', (message: 'fold' | 'end') => {
  if (message === 'fold') {
    try {
      fold.get()
    } catch {
      // No space, most likely: the log stays as long as it is, and commits that find no room say so.
    }
    parentPort!.postMessage('folded')
  } else {
    database.close()
    parentPort!.close()
  }
})
