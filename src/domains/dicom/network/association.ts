// One association over a connection that is handed in: opening from either side, messages both ways in bounded memory,
// release and abort. What may happen when is upper-layer.ts's table; this file carries its actions out.

import type { Duplex } from 'node:stream'
import { type Command, InvalidCommand } from './command.ts'
import { AssociationFailed, rejectionText } from './failure.ts'
import { frameChunks, frameCommand, frameMessage } from './framing.ts'
import { Inbox, type Message, type OpenContext } from './inbox.ts'
import {
  type AssociateAc,
  type AssociateRq,
  applicationContext,
  InvalidPdu,
  type Pdu,
  type Pdv,
  type Rejection,
  readPdu,
  writePdu,
} from './pdu.ts'
import { PduSplitter } from './pdu-splitter.ts'
import { type Action, decideMove, type Facts, type Happening, type State } from './upper-layer.ts'
import { type After, Waiting } from './waiting.ts'

export type { Message, OpenContext } from './inbox.ts'

export interface AssociationOptions {
  /** The longest P-DATA that we take, as we announce it. */
  readonly pduBytesMax: number
  /** Longest wait for anything from the peer while we need it; 0 for no limit. */
  readonly waitMs: number
  /** The ARTIM timer: for the first request of a peer, and for the end of a connection. */
  readonly artimMs: number
  readonly after: After
}

/** What a local user makes of a request. */
export type Decision = { readonly accept: AssociateAc } | { readonly reject: Rejection }

/** The least a peer may announce: less would make every fragment mostly header. */
const peerPduBytesMin = 64
/** What we fill at most where a peer takes more, or anything. */
const framePduBytesMax = 128 * 1024

export class Association {
  readonly contexts = new Map<number, OpenContext>()
  /** The request that opened it: who called whom. */
  request!: AssociateRq
  /** The answer that opened it. */
  answer!: AssociateAc
  readonly #socket: Duplex
  readonly #options: AssociationOptions
  readonly #isRequestor: boolean
  readonly #splitter: PduSplitter
  readonly #closed = Promise.withResolvers<void>()
  readonly #inbox: Inbox
  readonly #waiting: Waiting
  #state: State = 'idle'
  #failure: AssociationFailed | undefined
  #received: AssociateRq | AssociateAc | undefined
  /** The peer wants no more, or has released: what is queued is the last. */
  #isEnding = false
  #stopArtim: (() => void) | undefined
  #pduBytesPeer = 0

  private constructor(socket: Duplex, options: AssociationOptions, isRequestor: boolean) {
    this.#socket = socket
    this.#options = options
    this.#isRequestor = isRequestor
    this.#splitter = new PduSplitter(options.pduBytesMax)
    this.#waiting = new Waiting(options, () => this.#giveUp())
    this.#inbox = new Inbox(this.contexts, {
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      wait: () => this.#waiting.news(false),
      failure: () => this.#failure,
    })
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('drain', () => this.#waiting.tell())
    // The close that follows says what it means for the association.
    socket.on('error', error => {
      this.#failure ??= new AssociationFailed('lost', `the connection broke: ${error.message}`)
    })
    socket.on('close', () => this.#end())
    // Associations have no half-open connections: a peer that has ended its side is gone.
    socket.on('end', () => socket.end(() => socket.destroy()))
  }

  /** Asks for an association over a fresh connection. Throws AssociationFailed: rejected, aborted, lost, silent. */
  static async ask(
    socket: Duplex,
    request: Omit<AssociateRq, 'type' | 'protocolVersion' | 'applicationContext'>,
    options: AssociationOptions,
  ): Promise<Association> {
    const association = new Association(socket, options, true)
    const rq: AssociateRq = { type: 'rq', protocolVersion: 1, applicationContext, ...request }
    association.request = rq
    association.#happen('associate-wish')
    association.#happen('connected', { pdu: rq })
    const ac = (await association.#until(() => association.#received)) as AssociateAc
    association.answer = ac
    association.#agree(rq, ac)
    return association
  }

  /** Waits for a request on a connection that came in. Undefined when it was rejected, or never came. */
  static async serve(
    socket: Duplex,
    decide: (request: AssociateRq) => Decision | Promise<Decision>,
    options: AssociationOptions,
  ): Promise<Association | undefined> {
    const association = new Association(socket, options, false)
    association.#happen('accepted-transport')
    const patient = { isPatient: true }
    const found = await association.#until(() => association.#received, patient).catch(() => undefined)
    if (found?.type !== 'rq') return undefined
    const decision = await decide(found)
    // The peer may have left while it was decided.
    if (association.#failure || association.#state !== 'awaiting-answer') return undefined
    if ('reject' in decision) {
      association.#happen('reject-wish', { pdu: { type: 'rj', ...decision.reject } })
      return undefined
    }
    association.request = found
    association.answer = decision.accept
    association.#happen('accept-wish', { pdu: decision.accept })
    association.#agree(found, decision.accept)
    return association
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  get isOpen(): boolean {
    return this.#failure === undefined && !this.#isEnding && this.#state === 'open'
  }

  /** The accepted context of an abstract syntax, and of a transfer syntax if one is named. */
  contextFor(abstractSyntax: string, transferSyntax?: string): OpenContext | undefined {
    for (const context of this.contexts.values()) {
      if (context.abstractSyntax !== abstractSyntax) continue
      if (transferSyntax === undefined || context.transferSyntax === transferSyntax) return context
    }
    return undefined
  }

  /** The next message; undefined when the peer has released. Throws AssociationFailed. */
  async receive({ isPatient = false } = {}): Promise<Message | undefined> {
    await this.#inbox.passOver()
    const message = await this.#until(() => this.#inbox.take() ?? (this.#isEnding ? 'end' : undefined), {
      isPatient,
    })
    if (message === 'end') {
      this.#happen('release-answer')
      return undefined
    }
    return message
  }

  /** Whether the peer has sent a C-CANCEL for this message; it is taken out of what waits. */
  takeCancel(messageId: number): boolean {
    return this.#inbox.takeCancel(messageId)
  }

  /** Sends a command, and a data set with it: in memory, or in chunks as they come. */
  async send(
    context: OpenContext,
    command: Command,
    data?: Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const pduBytesMax = this.#pduBytesPeer
    if (data instanceof Uint8Array) return this.write(frameMessage(context, command, { data, pduBytesMax }))
    const isFollowed = data !== undefined
    await this.write(frameCommand(context, command, { isFollowed, pduBytesMax }))
    if (!isFollowed) return
    for await (const bytes of frameChunks(context, data, pduBytesMax)) await this.write(bytes)
  }

  /** A message as `write` takes it, made ready while the peer is busy with the one before. */
  frame(context: OpenContext, command: Command, data: Uint8Array): Buffer {
    return frameMessage(context, command, { data, pduBytesMax: this.#pduBytesPeer })
  }

  /** Sends what `frame` made, of this association. Resolves when there is room for more. */
  async write(bytes: Buffer): Promise<void> {
    if (this.#failure) throw this.#failure
    if (!this.#happen('data-wish')) {
      throw new AssociationFailed('lost', 'the association has ended')
    }
    if (this.#socket.write(bytes)) return
    await this.#until(() => (this.#socket.writableNeedDrain ? undefined : true))
  }

  /** Ends it in peace: resolves when the peer has agreed or is gone. What it still sends is passed over. */
  async release(): Promise<void> {
    if (this.#failure || this.#happen('release-answer') || !this.#happen('release-wish')) return
    // Also what waits unread, so that the peer's agreement can be heard behind it.
    this.#inbox.clear()
    await this.#until(() => (this.#state === 'idle' || this.#state === 'closing' ? true : undefined)).catch(
      () => {}, // It is over either way.
    )
  }

  /** Ends it at once. */
  abort(): void {
    this.#failure ??= new AssociationFailed('aborted', 'the association was aborted here')
    if (!this.#happen('abort-wish')) this.#socket.destroy()
    this.#waiting.tell()
  }

  // ---- what comes in ----

  #take(chunk: Buffer): void {
    this.#splitter.push(chunk)
    try {
      for (let pdu = this.#splitter.next(); pdu; pdu = this.#splitter.next())
        this.#hear(readPdu(pdu.type, pdu.body))
    } catch (error) {
      if (!(error instanceof InvalidPdu) && !(error instanceof InvalidCommand)) throw error
      this.#violated(error.message, error instanceof InvalidPdu ? error.reason : 6)
    }
    this.#waiting.tell()
  }

  #hear(pdu: Pdu): void {
    switch (pdu.type) {
      case 'rq':
        return void this.#happen('rq', { pdu, isAcceptable: isUnderstood(pdu) })
      case 'ac':
        return void this.#happen('ac', { pdu })
      case 'rj':
        return void this.#happen('rj', { pdu })
      case 'data':
        return void this.#happen('data', { pdu })
      case 'release-rq':
        return void this.#happen('release-rq', { isRequestor: this.#isRequestor })
      case 'release-rp':
        return void this.#happen('release-rp')
      case 'abort':
        return void this.#happen('abort', { pdu })
    }
  }

  // ---- what happens, by the table ----

  /** Whether the table knows what to do about it. */
  #happen(happening: Happening, facts: Facts & { pdu?: Pdu } = {}): boolean {
    const move = decideMove(this.#state, happening, facts)
    if (!move) return false
    this.#state = move.next
    this.#perform(move.action, facts.pdu)
    return true
  }

  #perform(action: Action, pdu: Pdu | undefined): void {
    switch (action) {
      case 'AE-2':
      case 'AE-7':
        this.#put(pdu!)
        return
      case 'AE-3':
        this.#received = pdu as AssociateAc
        return
      case 'AE-4':
        this.#fail(new AssociationFailed('rejected', rejectionText(pdu as Rejection)))
        this.#hangUp()
        return
      case 'AE-5':
        this.#startArtim()
        return
      case 'AE-6':
        this.#stopArtim?.()
        if (this.#state === 'awaiting-answer') this.#received = pdu as AssociateRq
        else {
          // The version, or what the application speaks, is nothing that we know.
          const isVersion = ((pdu as AssociateRq).protocolVersion & 1) === 0
          this.#put({ type: 'rj', result: 1, source: isVersion ? 2 : 1, reason: 2 })
          this.#startArtim()
        }
        return
      case 'AE-8':
        this.#put(pdu!)
        this.#startArtim()
        return
      case 'DT-2':
        this.#inbox.deliver((pdu as { pdvs: readonly Pdv[] }).pdvs)
        return
      case 'AR-1':
        this.#put({ type: 'release-rq' })
        return
      case 'AR-2':
        // Answered when whoever receives has taken what came before.
        this.#isEnding = true
        return
      case 'AR-3':
        this.#isEnding = true
        this.#hangUp()
        return
      case 'AR-4':
        this.#put({ type: 'release-rp' })
        this.#startArtim()
        return
      case 'AR-8':
        if (this.#isRequestor) this.#happen('release-answer')
        return
      case 'AR-9':
        this.#put({ type: 'release-rp' })
        return
      case 'AR-10':
        this.#isEnding = true
        this.#happen('release-answer')
        return
      case 'AA-1':
      case 'AA-7':
        this.#put({ type: 'abort', source: action === 'AA-1' ? 0 : 2, reason: action === 'AA-1' ? 0 : 2 })
        this.#startArtim()
        return
      case 'AA-2':
        this.#stopArtim?.()
        this.#socket.destroy()
        return
      case 'AA-3':
        this.#fail(new AssociationFailed('aborted', 'the peer aborted the association'))
        this.#hangUp()
        return
      case 'AA-4':
        this.#fail(new AssociationFailed('lost', 'the peer closed the connection'))
        return
      case 'AA-8':
        this.#put({ type: 'abort', source: 2, reason: this.#violation })
        this.#fail(new AssociationFailed('protocol', 'the peer sent what cannot come now'))
        this.#startArtim()
        return
      case 'AR-5':
      case 'AA-5':
        this.#stopArtim?.()
        return
      // The transport is opened by whoever hands it in, and data is written by whoever sends it.
      case 'AE-1':
      case 'DT-1':
      case 'AR-7':
      case 'AA-6':
      // Data after we asked for release: nobody wants it any more.
      case 'AR-6':
        return
    }
  }

  #violation = 2

  #violated(message: string, reason: number): void {
    this.#violation = reason
    if (this.#state !== 'closing' && this.#state !== 'idle')
      this.#failure ??= new AssociationFailed('protocol', message)
    this.#happen('invalid')
  }

  #end(): void {
    this.#happen('closed')
    this.#stopArtim?.()
    this.#state = 'idle'
    // Whoever waits for more hears that there is no more, unless the end was agreed on.
    if (!this.#isEnding) this.#fail(new AssociationFailed('lost', 'the connection was closed'))
    this.#closed.resolve()
    this.#waiting.tell()
  }

  #fail(failure: AssociationFailed): void {
    this.#failure ??= failure
    this.#waiting.tell()
  }

  #put(pdu: Pdu): void {
    if (pdu.type === 'data' || this.#socket.destroyed || this.#socket.writableEnded) return
    this.#socket.write(writePdu(pdu))
  }

  #startArtim(): void {
    this.#stopArtim?.()
    this.#stopArtim = this.#options.after(this.#options.artimMs, () => {
      this.#happen('artim')
      this.#waiting.tell()
    })
  }

  /** Closes in peace, and after a time in any case. */
  #hangUp(): void {
    this.#stopArtim?.()
    this.#stopArtim = this.#options.after(this.#options.artimMs, () => this.#socket.destroy())
    this.#socket.end(() => this.#socket.destroy())
  }

  #agree(rq: AssociateRq, ac: AssociateAc): void {
    const peer = (this.#isRequestor ? ac : rq).user.pduBytesMax
    if (peer !== 0 && peer < peerPduBytesMin) {
      this.abort()
      throw new AssociationFailed('protocol', `the peer takes no more than ${peer} bytes at a time`)
    }
    const most = peer === 0 ? framePduBytesMax : Math.min(peer, framePduBytesMax)
    this.#pduBytesPeer = most - (most % 2)
    const proposed = new Map(rq.contexts.map(context => [context.id, context]))
    for (const { id, result, transferSyntax } of ac.contexts) {
      const asked = proposed.get(id)
      if (result !== 0 || !asked) continue
      this.contexts.set(id, { id, abstractSyntax: asked.abstractSyntax, transferSyntax })
    }
  }

  // ---- waiting ----

  async #until<T>(look: () => T | undefined, { isPatient = false } = {}): Promise<T> {
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      if (this.#failure) throw this.#failure
      await this.#waiting.news(isPatient)
    }
  }

  /** Nothing came for too long. */
  #giveUp(): void {
    const seconds = this.#options.waitMs / 1000
    this.#failure ??= new AssociationFailed('silent', `nothing came from the peer for ${seconds} seconds`)
    if (!this.#happen('abort-wish')) this.#socket.destroy()
    this.#waiting.tell()
  }
}

function isUnderstood(rq: AssociateRq): boolean {
  return (rq.protocolVersion & 1) === 1 && rq.applicationContext === applicationContext
}
