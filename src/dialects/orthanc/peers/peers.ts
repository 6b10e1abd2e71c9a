// The peers of this server: who they are, clients to talk to them, and the job that sends instances to one.

import type { Kit } from '../../dialect.ts'
import { makeTextSeal, type TextSeal } from '../../sealed-text.ts'
import { codes, fail } from '../errors.ts'
import { addTalk, type House } from '../house.ts'
import { RemoteBook } from '../remote-book.ts'
import { keepPeer, openPeer, type Peer } from './peer.ts'
import { PeerClient } from './peer-client.ts'
import type { PeerSettings } from './peer-settings.ts'
import { peerStoreKind, peerStoreTalk } from './peer-store-job.ts'

export class Peers {
  readonly book: RemoteBook<Peer>
  readonly #kit: Kit
  #seal: TextSeal | undefined
  readonly #settings: PeerSettings

  constructor(kit: Kit, settings: PeerSettings) {
    this.#kit = kit
    this.#settings = settings
    this.book = new RemoteBook(kit, {
      collection: 'orthanc.peer',
      configured: settings.peers,
      isInDatabase: settings.isPeersInDatabase,
      read: body => openPeer(body, this.#seal!),
      write: peer => keepPeer(peer, this.#seal!),
    })
  }

  /** Reads what clients changed. */
  async open(): Promise<void> {
    const key = await this.#kit.secret('orthanc-peers')
    this.#seal = makeTextSeal(key, bytes => this.#kit.random(bytes))
    await this.book.open()
  }

  /** Names the kinds of jobs, before the engine recovers those that were left. */
  register(house: House): void {
    addTalk(house, peerStoreKind, peerStoreTalk(house))
  }

  /** The peer with this name, else the error of a code. */
  need(name: string, code: number = codes.inexistentItem): Peer {
    return this.book.find(name) ?? fail(code, `No peer with symbolic name: ${name}`)
  }

  /** A client to a peer; close it. */
  client(name: string, options: { connectionsMax?: number } = {}): PeerClient {
    return new PeerClient(name, this.need(name, codes.unknownResource), { ...this.#settings, ...options })
  }
}
