// Options about peers, under the original's names: contracts/orthanc.md §3.12.

import { type Peer, readPeer } from './peer.ts'

export interface PeerSettings {
  readonly peers: ReadonlyMap<string, Peer>
  readonly isPeersInDatabase: boolean
  readonly silenceMsMax: number
  readonly verifiesPeers: boolean
  readonly authorities: string
}

/** Reads the options about peers; `all` has the defaults in it. */
export function readPeerSettings(all: Readonly<Record<string, unknown>>): PeerSettings {
  const peers = new Map<string, Peer>()
  for (const [name, entry] of Object.entries((all['OrthancPeers'] ?? {}) as object)) {
    try {
      peers.set(name, readPeer(entry))
    } catch (error) {
      throw new Error(
        `The Orthanc option OrthancPeers has a peer ${name} that cannot be used: ${(error as Error).message}`,
      )
    }
  }
  const seconds = all['HttpTimeout']
  if (typeof seconds !== 'number' || !(seconds >= 0)) {
    throw new Error('The Orthanc option HttpTimeout must be a number of seconds')
  }
  return {
    peers,
    isPeersInDatabase: all['OrthancPeersInDatabase'] === true,
    silenceMsMax: seconds * 1000,
    verifiesPeers: all['HttpsVerifyPeers'] !== false,
    authorities: typeof all['HttpsCACertificates'] === 'string' ? all['HttpsCACertificates'] : '',
  }
}
