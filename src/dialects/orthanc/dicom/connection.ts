// Connections to modalities, plain or with TLS, opened within a time; and the port that theirs come in at.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { AssociationFailed } from '../../../domains/dicom/network/failure.ts'
import { after } from './after.ts'
import type { Modality } from './modality.ts'
import type { TlsSettings } from './tls-settings.ts'

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  ENOTFOUND: 'The host name is not known',
  EAI_AGAIN: 'The host name cannot be looked up',
  ETIMEDOUT: 'Connection timed out',
}

/** The oldest TLS that the standard's profiles know (PS3.15 annex B). */
const minVersion = 'TLSv1.2'

/** Opens a connection within so many ms (0: however long it takes). Throws AssociationFailed with the reason. */
export function openConnection(modality: Modality, waitMs: number, tls: TlsSettings): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const isSafe = modality.usesTls
    const socket = isSafe ? dialTls(modality, tls) : dial(modality)
    const fail = (why: string): void => {
      socket.destroy()
      reject(new AssociationFailed('lost', `${isSafe ? 'TLS' : 'TCP'} Initialization Error: ${why}`))
    }
    const callOff =
      waitMs === 0
        ? () => {}
        : after(waitMs, () => fail(`Connection timed out after ${waitMs / 1000} seconds`))
    socket.once(isSafe ? 'secureConnect' : 'connect', () => {
      callOff()
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      callOff()
      fail(reasons[error.code ?? ''] ?? error.message)
    })
  })
}

function dial({ host, port }: Modality): Socket {
  return connect({ host, port, noDelay: true, keepAlive: true })
}

function dialTls({ host, port }: Modality, { keys, checksPeers }: TlsSettings): Socket {
  if (!keys) throw new AssociationFailed('lost', 'TLS needs DicomTlsCertificate and DicomTlsPrivateKey')
  const socket = connectTls({
    ...{ host, port, ...keys, minVersion },
    rejectUnauthorized: checksPeers,
    // DICOM knows peers by their certificates; addresses are not in them.
    checkServerIdentity: () => undefined,
  })
  socket.setNoDelay(true).setKeepAlive(true)
  return socket
}

/** A server for the DICOM port. `take` gets each connection, `pass` hears of those that never became one. */
export function makeServer(
  tls: TlsSettings,
  { take, pass, handshakeMs }: { take(socket: Socket): void; pass(error: Error): void; handshakeMs: number },
): Server {
  const how = { noDelay: true, keepAlive: true }
  if (!tls.serves) return createServer(how, take)
  const options: TlsOptions = {
    ...{ ...how, ...tls.keys, minVersion, handshakeTimeout: handshakeMs },
    ...{ requestCert: tls.checksPeers, rejectUnauthorized: tls.checksPeers },
  }
  const server = createTlsServer(options, take)
  server.on('tlsClientError', (error, socket) => {
    pass(error)
    socket.destroy()
  })
  return server
}
