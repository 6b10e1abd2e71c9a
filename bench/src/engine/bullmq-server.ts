// BullMQ behind the same bare node:http server as the limit: a POST answers when Redis has the job durably.

import { createServer } from 'node:http'
import { Queue } from 'bullmq'

const queue = new Queue('bench', { connection: { host: '127.0.0.1', port: Number(process.argv[2]) } })
await queue.waitUntilReady()
const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', chunk => (body += chunk))
  request.on('end', async () => {
    const job = await queue.add('noop', JSON.parse(body))
    response.writeHead(201, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ id: job.id, state: 'waiting' }))
  })
})
server.listen(0, '127.0.0.1', () =>
  console.log(`ready http://127.0.0.1:${(server.address() as { port: number }).port}/jobs`),
)
process.once('SIGTERM', () => process.exit(0))
