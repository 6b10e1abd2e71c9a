// The peers of this server: who they are, clients to talk to them, and the job that sends instances to one.

import type { Kit } from '../../dialect.ts'
import { codes, fail } from '../errors.ts'
import type { House } from '../house.ts'
import { RemoteBook } from '../remote-book.ts'
import { keepPeer, type Peer, readPeer } from './peer.ts'
import { PeerClient } from './peer-client.ts'
import type { PeerSettings } from './peer-settings.ts'
import { peerStoreKind, peerStoreTalk } from './peer-store-job.ts'

export class Peers {
  readonly book: RemoteBook<Peer>
  readonly #settings: PeerSettings

  constructor(kit: Kit, settings: PeerSettings) {
    this.#settings = settings
    this.book = new RemoteBook(kit, {
      collection: 'orthanc.peer',
      configured: settings.peers,
      isInDatabase: settings.isPeersInDatabase,
      read: readPeer,
      write: keepPeer,
    })
  }

  /** Names the kinds of jobs, before the engine recovers those that were left. */
  register(house: House): void {
    house.kit.talk(peerStoreKind, peerStoreTalk(house))
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
