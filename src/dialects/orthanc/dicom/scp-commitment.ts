// Storage commitment as it comes in: a modality asks us to vouch for instances, or reports about what we asked.

import { commands } from '../../../domains/dicom/network/command.ts'
import { identifierBytesMax } from '../../../domains/dicom/network/identifier.ts'
import { readCommitment, reportCommitment, takeReport, vouchFor } from './commitment.ts'
import type { Service } from './dicom-server.ts'

const requestBytesMax = 16 * identifierBytesMax
const processingFailure = 0x0110

/** Requests that are accepted are answered at once; the report follows on an association of its own. */
export const actionScp: Service = async (house, association, message, peer) => {
  const { command, context } = message
  const respond = (status: number): Promise<void> =>
    association.send(context, {
      field: commands.actionRsp,
      respondsTo: command.messageId ?? 0,
      affectedClass: command.requestedClass ?? '',
      affectedInstance: command.requestedInstance ?? '',
      actionType: command.actionType ?? 1,
      status,
    })
  const body = await message.data?.whole(requestBytesMax)
  const { modality } = peer
  if (!body || !modality || command.actionType !== 1) return respond(processingFailure)
  let asked: ReturnType<typeof readCommitment>
  try {
    asked = readCommitment(house, context, body)
  } catch {
    return respond(processingFailure)
  }
  if (asked.transaction === '') return respond(processingFailure)
  await respond(0)
  const caller = { modality, localAet: house.settings.dicomAet, timeout: undefined }
  vouchFor(house, asked.success)
    .then(found => reportCommitment(house, caller, { transaction: asked.transaction, ...found }))
    // The modality may ask again: the standard leaves that to it.
    .catch(error =>
      house.kit.log.warn({ err: error, aet: peer.aet }, 'a storage commitment could not be reported'),
    )
}

export const eventReportScp: Service = async (house, association, message, peer) => {
  const { command, context } = message
  const body = await message.data?.whole(requestBytesMax)
  let status = processingFailure
  if (body) {
    try {
      const isKnown = await takeReport(house, peer.aet, readCommitment(house, context, body))
      if (isKnown) status = 0
    } catch (error) {
      house.kit.log.warn({ err: error, aet: peer.aet }, 'a storage commitment report cannot be read')
    }
  }
  await association.send(context, {
    field: commands.eventReportRsp,
    respondsTo: command.messageId ?? 0,
    affectedClass: command.affectedClass ?? '',
    affectedInstance: command.affectedInstance ?? '',
    ...(command.eventType === undefined ? {} : { eventType: command.eventType }),
    status,
  })
}
