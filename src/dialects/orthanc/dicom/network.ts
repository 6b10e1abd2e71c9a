// The DICOM network of this dialect: who is known, what was asked, and the port that others call.

import type { Kit } from '../../dialect.ts'
import { addTalk, type House } from '../house.ts'
import { DicomServer } from './dicom-server.ts'
import { Modalities } from './modalities.ts'
import { moveKind, moveTalk } from './move-job.ts'
import type { NetworkSettings } from './network-settings.ts'
import { Queries } from './queries.ts'
import { storeKind, storeTalk } from './store-job.ts'

export class Network {
  readonly modalities: Modalities
  readonly queries: Queries
  readonly #settings: NetworkSettings
  /** The port that is listened on; undefined while none is. */
  port: number | undefined
  #server: DicomServer | undefined

  constructor(kit: Kit, settings: NetworkSettings) {
    this.#settings = settings
    this.modalities = new Modalities(kit, settings)
    this.queries = new Queries(settings.queriesMax)
  }

  /** Names the kinds of jobs, before the engine recovers those that were left. */
  register(house: House): void {
    addTalk(house, storeKind, storeTalk(house))
    addTalk(house, moveKind, moveTalk(house))
  }

  /** Reads what is kept, and opens the port. */
  async open(house: House): Promise<void> {
    await this.modalities.open()
    if (!this.#settings.listens) return
    const server = new DicomServer(house)
    try {
      this.port = await server.listen()
      this.#server = server
      house.kit.log.info({ host: this.#settings.host, port: this.port }, 'the DICOM port is open')
    } catch (error) {
      const { host, port, isPortAsked } = this.#settings
      if (isPortAsked)
        throw new Error(`The DICOM port ${port} on ${host} cannot be opened: ${(error as Error).message}`)
      house.kit.log.warn(
        { err: error, host, port },
        'the DICOM port cannot be opened; nothing is taken there',
      )
    }
  }

  async close(): Promise<void> {
    await this.#server?.close()
  }
}
