// The DICOM port: takes associations, checks who calls whom, and hands each command to its service. At most so many are
// served at a time; those beyond wait unread for a while, and are then turned away.

import { lookup } from 'node:dns/promises'
import type { Server, Socket } from 'node:net'
import { Association, type Message } from '../../../domains/dicom/network/association.ts'
import { commands, isResponse } from '../../../domains/dicom/network/command.ts'
import { AssociationFailed } from '../../../domains/dicom/network/failure.ts'
import { answerTo } from '../../../domains/dicom/network/negotiate.ts'
import type { AssociateRq, Rejection } from '../../../domains/dicom/network/pdu.ts'
import { isService, sopClasses, storageClasses } from '../../../domains/dicom/network/sop-classes.ts'
import { syntaxes } from '../../../domains/dicom/reading/syntax.ts'
import type { House } from '../house.ts'
import { after } from './after.ts'
import { makeServer } from './connection.ts'
import { ourInformation } from './dial.ts'
import type { Allowance, Modality } from './modality.ts'
import { actionScp, eventReportScp } from './scp-commitment.ts'
import { findScp } from './scp-find.ts'
import { getScp, moveScp } from './scp-retrieve.ts'
import { storeScp } from './scp-store.ts'

/** Who is at the other end. */
export interface Peer {
  readonly aet: string
  readonly calledAet: string
  readonly ip: string
  /** What is known of it, if anything is. */
  readonly modality: Modality | undefined
}

/** One service: answers a command, with as many messages as it takes. */
export type Service = (house: House, association: Association, message: Message, peer: Peer) => Promise<void>

const services: Readonly<Record<number, { readonly serve: Service; readonly needs: Need }>> = {
  [commands.echoRq]: { serve: echoScp, needs: { word: 'echo', allowance: 'AllowEcho' } },
  [commands.storeRq]: { serve: storeScp, needs: { word: 'store', allowance: 'AllowStore' } },
  [commands.findRq]: { serve: findScp, needs: { word: 'find', allowance: 'AllowFind' } },
  [commands.moveRq]: { serve: moveScp, needs: { word: 'move', allowance: 'AllowMove' } },
  [commands.getRq]: { serve: getScp, needs: { word: 'get', allowance: 'AllowGet' } },
  [commands.actionRq]: { serve: actionScp, needs: { word: undefined, allowance: 'AllowNAction' } },
  [commands.eventReportRq]: {
    serve: eventReportScp,
    needs: { word: undefined, allowance: 'AllowEventReport' },
  },
}

interface Need {
  /** The setting that opens the service to strangers; without one, only those who are known may. */
  readonly word: 'echo' | 'store' | 'find' | 'move' | 'get' | undefined
  readonly allowance: Allowance
}

/** The standard's answer to whoever may not: refused, not authorized. */
const notAuthorized = 0x0124

/** Instances of one association that are stored at a time, where the peer does not wait for each answer. */
const operationsMax = 16

/** Connections that wait for their turn. */
const waitingMax = 64

const plainSyntaxes = [syntaxes.explicitLittle, syntaxes.implicitLittle, syntaxes.explicitBig]

const rejections = {
  called: { result: 1, source: 1, reason: 7 },
  calling: { result: 1, source: 1, reason: 3 },
  congestion: { result: 2, source: 3, reason: 2 },
} as const satisfies Record<string, Rejection>

export class DicomServer {
  readonly #house: House
  readonly #sockets = new Set<Socket>()
  readonly #waiting: { socket: Socket; callOff: () => void }[] = []
  #server: Server | undefined
  #activeCount = 0

  constructor(house: House) {
    this.#house = house
  }

  get activeCount(): number {
    return this.#activeCount
  }

  /** Listens; the port that it got. */
  listen(): Promise<number> {
    const { host, port, tls, associationsMax } = this.#house.settings.network
    const server = makeServer(tls, {
      take: socket => this.#take(socket),
      pass: error => this.#house.kit.log.debug({ err: error }, 'a connection to the DICOM port has no TLS'),
      handshakeMs: this.#artimMs(),
    })
    // Also those that have not shaken hands yet.
    server.maxConnections = associationsMax + 2 * waitingMax
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#server = server
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, () => {
        server.off('error', reject)
        server.on('error', error => this.#house.kit.log.error({ err: error }, 'the DICOM port failed'))
        resolve((server.address() as { port: number }).port)
      })
    })
  }

  /** Stops listening and ends every connection. What was acknowledged is kept. */
  async close(): Promise<void> {
    const server = this.#server
    if (!server) return
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    for (const { callOff } of this.#waiting.splice(0)) callOff()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #take(socket: Socket): void {
    if (this.#activeCount < this.#house.settings.network.associationsMax) {
      void this.#serve(socket)
      return
    }
    if (this.#waiting.length >= waitingMax) {
      void this.#turnAway(socket)
      return
    }
    const entry = {
      socket,
      // Longer than one that says nothing keeps its place.
      callOff: after(2 * this.#artimMs(), () => {
        this.#forget(socket)
        void this.#turnAway(socket)
      }),
    }
    this.#waiting.push(entry)
    // Not read until it is its turn; a peer that gives up meanwhile is forgotten.
    socket.on('error', () => {})
    socket.once('close', () => this.#forget(socket))
  }

  #forget(socket: Socket): void {
    const index = this.#waiting.findIndex(entry => entry.socket === socket)
    if (index >= 0) this.#waiting.splice(index, 1)[0]!.callOff()
  }

  #next(): void {
    const entry = this.#waiting.shift()
    if (!entry) return
    entry.callOff()
    void this.#serve(entry.socket)
  }

  /** Time-outs of nothing at all would let silent connections take all places for ever. */
  #artimMs(): number {
    const { scpWaitMs } = this.#house.settings.network
    return scpWaitMs === 0 ? 30_000 : scpWaitMs
  }

  #options() {
    const { pduBytesMax, scpWaitMs } = this.#house.settings.network
    return { pduBytesMax, waitMs: scpWaitMs, artimMs: this.#artimMs(), after }
  }

  async #turnAway(socket: Socket): Promise<void> {
    await Association.serve(socket, () => ({ reject: rejections.congestion }), this.#options()).catch(
      () => {},
    )
  }

  async #serve(socket: Socket): Promise<void> {
    this.#activeCount++
    const ip = plainAddress(socket.remoteAddress ?? '')
    try {
      await this.#converse(socket, ip)
    } catch (error) {
      // What a peer did is its own affair; what we did is a bug and must be seen.
      if (error instanceof AssociationFailed) {
        this.#house.kit.log.debug({ err: error, ip }, 'a DICOM association ended early')
      } else this.#house.kit.log.error({ err: error, ip }, 'a DICOM association failed')
      socket.destroy()
    } finally {
      this.#activeCount--
      this.#next()
    }
  }

  async #converse(socket: Socket, ip: string): Promise<void> {
    const { settings, live } = this.#house
    let peer: Peer | undefined
    const association = await Association.serve(
      socket,
      async request => {
        const caller = await this.#recognise(request, ip)
        if ('reject' in caller) return caller
        peer = caller
        const accept = answerTo(
          request,
          {
            serves: uid =>
              isService(uid) ? uid !== sopClasses.worklistFind : isStored(uid, live.acceptsUnknownClasses),
            syntaxesFor: uid => (isService(uid) ? plainSyntaxes : live.acceptedSyntaxes),
            givesRole: () => true,
            operationsMax,
          },
          ourInformation(settings.network),
        )
        return { accept }
      },
      this.#options(),
    )
    if (!association || !peer) return
    const isWide = (association.answer.user.window?.invoked ?? 1) > 1
    await (isWide ? this.#serveMany(association, peer) : this.#serveEach(association, peer))
    await association.closed
  }

  /** One command after another, as most peers send them. */
  async #serveEach(association: Association, peer: Peer): Promise<void> {
    for (let message = await association.receive(); message; message = await association.receive())
      await this.#answer(association, message, peer)
  }

  /**
   * For a peer that does not wait for answers: instances are stored side by side, so that they share commits. Other
   * services come alone.
   */
  async #serveMany(association: Association, peer: Peer): Promise<void> {
    const running = new Set<Promise<void>>()
    let failure: unknown
    try {
      for (let message = await association.receive(); message; message = await association.receive()) {
        const isStore = message.command.field === commands.storeRq
        if (!isStore) await Promise.all(running)
        const answering = this.#answer(association, message, peer)
        running.add(answering)
        const done = answering
          .catch(error => {
            failure ??= error
          })
          .finally(() => running.delete(answering))
        // Its data set has to be read before the next message is.
        await (isStore && message.data ? Promise.race([done, message.data.taken]) : done)
        while (running.size >= operationsMax) await Promise.race(running)
        if (failure !== undefined) throw failure
      }
      await Promise.all(running)
    } finally {
      // What is being stored is stored to its end, also when the peer is gone.
      await Promise.allSettled(running)
    }
  }

  async #answer(association: Association, message: Message, peer: Peer): Promise<void> {
    const { command, context } = message
    // A cancel that comes after its command has ended, or an answer that nobody waits for.
    if (command.field === commands.cancelRq || isResponse(command)) return
    const service = services[command.field]
    const respond = (status: number): Promise<void> =>
      association.send(context, {
        field: command.field | 0x8000,
        respondsTo: command.messageId ?? 0,
        status,
        ...(command.affectedClass === undefined ? {} : { affectedClass: command.affectedClass }),
      })
    if (!service) return respond(0x0211)
    if (!(await this.#may(peer, service.needs))) {
      this.#house.kit.log.warn(
        { aet: peer.aet, ip: peer.ip, command: command.field },
        'a DICOM command was refused',
      )
      return respond(notAuthorized)
    }
    await service.serve(this.#house, association, message, peer)
  }

  /** Whether somebody may open an association at all, and who that is. */
  async #recognise(request: AssociateRq, ip: string): Promise<Peer | { reject: Rejection }> {
    const { network } = this.#house
    const { checksCalled, strangers } = this.#house.settings.network
    const { dicomAet } = this.#house.settings
    if (checksCalled && request.called.toUpperCase() !== dicomAet.toUpperCase())
      return { reject: rejections.called }
    let modality: Modality | undefined
    for (const [, known] of network.modalities.byAet(request.calling)) {
      if (!(await this.#isFrom(known, ip))) continue
      modality = known
      break
    }
    if (!modality && !Object.values(strangers).some(Boolean)) return { reject: rejections.calling }
    // The original takes strangers for what is open to them; if neither echo nor store is, there is nothing.
    if (
      !modality &&
      !(strangers.echo && strangers.store) &&
      !strangers.find &&
      !strangers.get &&
      !strangers.move
    ) {
      return { reject: rejections.calling }
    }
    return { aet: request.calling, calledAet: request.called, ip, modality }
  }

  async #isFrom({ host }: Modality, ip: string): Promise<boolean> {
    if (!this.#house.settings.network.checksHost || host === ip) return true
    const found = await lookup(host, { all: true }).catch(() => [])
    return found.some(({ address }) => plainAddress(address) === ip)
  }

  async #may({ modality }: Peer, { word, allowance }: Need): Promise<boolean> {
    if (word !== undefined && this.#house.settings.network.strangers[word]) return true
    return modality?.allows.has(allowance) === true
  }
}

function isStored(uid: string, takesUnknown: boolean): boolean {
  return takesUnknown || storageClasses.has(uid)
}

/** IPv4 addresses as such, also where the socket is of the newer kind. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:/i, '')
}

async function echoScp(
  _house: House,
  association: Association,
  { context, command }: Message,
): Promise<void> {
  await association.send(context, {
    field: commands.echoRsp,
    respondsTo: command.messageId ?? 0,
    affectedClass: sopClasses.verification,
    status: 0,
  })
}
