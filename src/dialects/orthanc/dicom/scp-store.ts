// C-STORE: an instance comes in, gets a file header of ours, and is acknowledged once it is committed.

import { Refused, refuse } from '../../../core/refusal.ts'
import type { Message } from '../../../domains/dicom/network/association.ts'
import { commands, statuses } from '../../../domains/dicom/network/command.ts'
import { AssociationFailed } from '../../../domains/dicom/network/failure.ts'
import type { IncomingData } from '../../../domains/dicom/network/incoming-data.ts'
import type { Summary } from '../../../domains/dicom/summary.ts'
import { writeOpening } from '../../../domains/dicom/writing/writer.ts'
import type { House } from '../house.ts'
import { receiveFile, unstorable } from '../upload.ts'
import type { Peer, Service } from './dicom-server.ts'

export const storeScp: Service = async (house, association, message, peer) => {
  const { command, context } = message
  const status = await keep(house, message, peer)
  await association.send(context, {
    field: commands.storeRsp,
    respondsTo: command.messageId ?? 0,
    ...(command.affectedClass === undefined ? {} : { affectedClass: command.affectedClass }),
    ...(command.affectedInstance === undefined ? {} : { affectedInstance: command.affectedInstance }),
    status,
  })
}

/** Takes the instance in; the status says what became of it (contracts/orthanc.md §3.10). */
async function keep(house: House, { command, context, data }: Message, peer: Peer): Promise<number> {
  if (!data) return statuses.unprocessable
  const { affectedClass = '', affectedInstance = '' } = command
  const opening = writeOpening({
    sopClassUid: affectedClass,
    sopInstanceUid: affectedInstance,
    transferSyntax: context.transferSyntax,
  })
  try {
    await receiveFile(house, filed(opening, data), {
      remoteIp: peer.ip,
      remoteAet: peer.aet,
      calledAet: peer.calledAet,
      check: summary => checkAgainst(summary, affectedClass, affectedInstance),
    })
    return statuses.success
  } catch (error) {
    if (error instanceof AssociationFailed) throw error
    if (error instanceof Refused) {
      const fault = error.refusal.facts?.['fault']
      if (fault === 'mismatch') return statuses.mismatch
      if (unstorable.has(fault)) return statuses.unprocessable
    }
    house.kit.log.warn({ err: error, aet: peer.aet }, 'an instance could not be stored')
    return statuses.outOfResources
  }
}

/** What the command says of the instance must be what the instance says of itself. */
function checkAgainst({ sopClassUid, dicomIds }: Summary, sopClass: string, sopInstance: string): void {
  if (sopClassUid === sopClass && dicomIds.instanceUid === sopInstance) return
  refuse('bad-request', 'The command announces another class or instance than the data set has', {
    facts: { fault: 'mismatch' },
  })
}

async function* filed(opening: Uint8Array, data: IncomingData): AsyncGenerator<Uint8Array> {
  yield opening
  yield* data
}
