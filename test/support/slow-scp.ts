// A storage provider that takes its time, for tests that look at jobs while they run. It can be closed and opened again,
// and counts what it was given.

import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Association } from '../../src/domains/dicom/network/association.ts'
import { commands } from '../../src/domains/dicom/network/command.ts'
import { acceptAll, after } from '../../src/domains/dicom/network/testing/pair.ts'

export interface SlowScp {
  readonly port: number
  /** Instances in the order in which they were acknowledged, by their UIDs. */
  readonly got: string[]
  /** How many associations are open, and how many were at most. */
  readonly open: { now: number; most: number }
  delayMs: number
  /** The status that it answers with. */
  status: number
  /** Ends it and its connections; what was acknowledged stays in `got`. */
  close(): Promise<void>
}

export async function startSlowScp(delayMs: number, port = 0): Promise<SlowScp> {
  const got: string[] = []
  const open = { now: 0, most: 0 }
  const sockets = new Set<{ destroy(): void }>()
  const server: Server = createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket).catch(() => {}) // The other side has gone, as tests want.
  })
  async function serve(socket: Parameters<typeof Association.serve>[0]): Promise<void> {
    const options = { pduBytesMax: 16_384, waitMs: 60_000, artimMs: 5_000, after }
    const association = await Association.serve(socket, rq => acceptAll(rq), options)
    open.most = Math.max(open.most, ++open.now)
    try {
      for (let message = await association?.receive(); message; message = await association!.receive()) {
        const { command, context, data } = message
        await data?.drain()
        if (command.field === commands.storeRq) await sleep(scp.delayMs)
        await association!.send(context, {
          field: command.field | 0x8000,
          respondsTo: command.messageId ?? 0,
          status: scp.status,
        })
        if (command.affectedInstance !== undefined) got.push(command.affectedInstance)
      }
    } finally {
      open.now--
    }
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const scp: SlowScp = {
    port: (server.address() as { port: number }).port,
    got,
    open,
    delayMs,
    status: 0,
    async close() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  return scp
}
