// For tests: a host that listens on a free port, and bytes sent to it as they are, without an HTTP client in between.

import { connect, type Socket } from 'node:net'
import { pino } from 'pino'
import { type Host, type HostParts, makeHost } from '../host.ts'
import { defaultLimits, type HttpLimits } from '../limits.ts'

export interface ListeningHost {
  readonly host: Host
  readonly url: string
  readonly port: number
}

/** A host with what `build` mounts on it, listening. The test closes it. */
export async function listeningHost(
  build: (host: Host) => void,
  parts: Partial<Omit<HostParts, 'limits'>> & { limits?: Partial<HttpLimits> } = {},
): Promise<ListeningHost> {
  const host = await makeHost({
    log: pino({ level: 'silent' }),
    ...parts,
    limits: { ...defaultLimits, ...parts.limits },
  })
  build(host)
  return { host, ...(await host.listen({ host: '127.0.0.1', port: 0 })) }
}

/** Sends bytes, and gives everything that comes back until the server closes, or `until` fits. */
export function sendRaw(port: number, bytes: string | Buffer, until?: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1')
    let got = ''
    const finish = () => {
      socket.destroy()
      resolve(got)
    }
    socket.on('connect', () => socket.write(bytes))
    socket.on('data', chunk => {
      got += chunk.toString('latin1')
      if (until?.test(got)) finish()
    })
    socket.on('close', finish)
    socket.on('error', error => (got === '' ? reject(error) : finish()))
  })
}
