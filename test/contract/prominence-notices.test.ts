// What PROMINENCE users are told when their jobs and workflows end: contracts/prominence.md, "ours".

import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, clientOf } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const resources = { cpus: 1, memory: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })

describe.skipIf(missingForContainers() !== undefined)('PROMINENCE notices', () => {
  let server: ProminenceServer
  let alice: Client
  const posted: { path: string; body: Record<string, unknown>; key: string | undefined }[] = []
  const hook = createHttpServer((request, response) => {
    let text = ''
    request.on('data', chunk => (text += chunk))
    request.on('end', () => {
      // The first try of each notice is turned away: it has to come again.
      const key = request.headers['idempotency-key'] as string | undefined
      const isFirst = !posted.some(other => other.key === key)
      posted.push({ path: request.url ?? '', body: JSON.parse(text), key })
      response.writeHead(isFirst ? 503 : 204).end()
    })
  })
  const mails: string[] = []
  const smtp = createTcpServer(socket => {
    let isData = false
    socket.write('220 here\r\n')
    socket.on('error', () => {})
    socket.on('data', chunk => {
      const text = chunk.toString()
      if (isData) {
        mails.push(text)
        isData = !text.endsWith('\r\n.\r\n')
        if (!isData) socket.write('250 taken\r\n')
        return
      }
      isData = text.startsWith('DATA')
      socket.write(
        isData ? '354 go on\r\n' : text.startsWith('QUIT') ? '221 bye\r\n' : '250-fine\r\n250 yes\r\n',
      )
    })
  })
  let hookUrl: string

  beforeAll(async () => {
    await new Promise<void>(done => hook.listen(0, '127.0.0.1', done))
    await new Promise<void>(done => smtp.listen(0, '127.0.0.1', done))
    hookUrl = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`
    server = await startProminence({
      dialect: {
        fetchAllow: ['127.0.0.1'],
        smtp: {
          host: '127.0.0.1',
          port: (smtp.address() as AddressInfo).port,
          from: 'yard@example.org',
          security: 'none',
        },
      },
    })
    const client = async (user: string) =>
      clientOf(server.url, await server.token({ user, email: `${user}@example.org` }))
    alice = await client('alice')
  })
  afterAll(async () => {
    await server?.close()
    hook.close()
    smtp.close()
  })

  test('webhooks and mails are sent when jobs and workflows end, and again when they were turned away', async () => {
    const notifications = (event: string, path: string) => [
      { event, type: 'webhook', url: hookUrl + path },
      { event, type: 'email' },
    ]
    const job = await alice.submit('jobs', {
      name: 'told',
      resources,
      tasks: [task('true')],
      notifications: notifications('jobFinished', '/job'),
    })
    const workflow = await alice.submit('workflows', {
      name: 'wf told',
      jobs: [{ name: 'a', resources, tasks: [task('false')] }],
      notifications: notifications('workflowFinished', '/workflow'),
    })
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(50))
      if (posted.length >= 4 && mails.length >= 2) break
    const of = (path: string) => posted.filter(each => each.path === path)
    expect(of('/job')[1]?.body).toMatchObject({
      event: 'jobFinished',
      id: job,
      name: 'told',
      status: 'completed',
    })
    expect(of('/job')[0]?.key).toBe(of('/job')[1]?.key)
    expect(of('/workflow')[1]?.body).toMatchObject({
      event: 'workflowFinished',
      id: workflow,
      status: 'failed',
    })
    expect(
      mails.some(
        mail => mail.includes('To: <alice@example.org>') && mail.includes(`Job ${job} (told): completed`),
      ),
    ).toBe(true)
    expect(mails.some(mail => mail.includes(`Workflow ${workflow} (wf told): failed`))).toBe(true)
  })
})
