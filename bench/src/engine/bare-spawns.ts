// The limit for processes: a loop that spawns /bin/true with the same parallelism, output to a file. Prints a rate.

import { spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { join } from 'node:path'

const [dir, total, parallel] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])]
const file = openSync(join(dir, 'out'), 'a')
let next = 0
const startedAt = performance.now()
await Promise.all(
  Array.from({ length: parallel }, async () => {
    while (next < total) {
      next++
      await new Promise(resolved =>
        spawn('/bin/true', { stdio: ['ignore', file, file] }).once('exit', resolved),
      )
    }
  }),
)
console.log(JSON.stringify({ rate: total / ((performance.now() - startedAt) / 1000) }))
