// BullMQ doing whole no-op jobs in its best mode: added in batches of 1 000, one worker with concurrency 100, from the
// first add to the last completion. Prints jobs per second as JSON.

import { Queue, Worker } from 'bullmq'

const [port, total] = [Number(process.argv[2]), Number(process.argv[3])]
const connection = { host: '127.0.0.1', port }
const queue = new Queue('whole', { connection })
await queue.waitUntilReady()
const data = { function: 'noop', input: 'x'.repeat(90) }
const options = { removeOnComplete: false }
const startedAt = performance.now()
let done = 0
const worker = new Worker('whole', async () => undefined, { connection, concurrency: 100 })
const finished = new Promise<void>(resolved => {
  worker.on('completed', () => {
    if (++done === total) resolved()
  })
})
for (let at = 0; at < total; at += 1000) {
  await queue.addBulk(
    Array.from({ length: Math.min(1000, total - at) }, () => ({ name: 'noop', data, opts: options })),
  )
}
await finished
console.log(JSON.stringify({ rate: total / ((performance.now() - startedAt) / 1000) }))
await worker.close()
await queue.close()
process.exit(0)
