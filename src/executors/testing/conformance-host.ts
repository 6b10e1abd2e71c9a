// A server of its own for conformance tests, made to be killed: it opens an executor, starts what it is told, and
// prints each report as a line. Run by killed-server.ts: node conformance-host.ts MODULE FOLDER

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Executor, StartOrder } from '../executor.ts'

const [moduleUrl, folder] = process.argv.slice(2)
const { makeExecutor } = (await import(moduleUrl!)) as { makeExecutor: (folder: string) => Executor }
const executor = makeExecutor(folder!)
await executor.open(reports => {
  for (const report of reports) console.log(JSON.stringify({ report }))
})
// Who must be killed, too, when the test wants every helper of the server gone.
const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ')
console.log(JSON.stringify({ ready: { children: children.filter(Boolean).map(Number) } }))

for await (const line of createInterface({ input: process.stdin })) {
  executor.start(JSON.parse(line) as StartOrder[])
  console.log(JSON.stringify({ handed: true }))
}
await executor.close()
