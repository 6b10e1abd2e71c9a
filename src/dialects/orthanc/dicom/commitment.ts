// Storage commitment: asking a modality to vouch for instances (N-ACTION), and its reports about them (N-EVENT-REPORT).
// DICOM PS3.4 annex J. Reports are kept, the oldest go when there are too many.

import type { Json, JsonObject } from '../../../core/json.ts'
import type { OpenContext } from '../../../domains/dicom/network/association.ts'
import { type Command, commands } from '../../../domains/dicom/network/command.ts'
import { readIdentifier, writeIdentifier } from '../../../domains/dicom/network/identifier.ts'
import type { Role } from '../../../domains/dicom/network/pdu.ts'
import { commitmentInstance, sopClasses } from '../../../domains/dicom/network/sop-classes.ts'
import { type Element, find } from '../../../domains/dicom/reading/data-set.ts'
import { syntaxes } from '../../../domains/dicom/reading/syntax.ts'
import { textOf, valuesOf } from '../../../domains/dicom/reading/value.ts'
import type { Tag } from '../../../domains/dicom/tag.ts'
import { makeUid } from '../../../domains/dicom/uid.ts'
import { padded } from '../../../domains/dicom/writing/encode-value.ts'
import type { Piece } from '../../../domains/dicom/writing/piece.ts'
import { codes, OrthancError } from '../errors.ts'
import { defaultTerm, type House } from '../house.ts'
import { type Caller, callModality, networkError } from './dial.ts'
import { instanceFile } from './instance-data.ts'
import { answerFrom, failedWith, refused } from './service-client.ts'

const collection = 'orthanc.commitment'
/** How many reports are kept, as StorageCommitmentReportsSize of the original. */
const reportsMax = 100

export interface Reference {
  readonly sopClass: string
  readonly sopInstance: string
}

export interface Failed extends Reference {
  /** 0112 no such instance, 0119 class and instance conflict … */
  readonly reason: number
}

interface Report {
  readonly remoteAet: string
  readonly isComplete: boolean
  readonly expected: readonly Reference[]
  readonly success: readonly Reference[]
  readonly failures: readonly Failed[]
  readonly startedAt: number
}

const commitmentTags = {
  TransactionUID: 0x00081195,
  FailedSOPSequence: 0x00081198,
  ReferencedSOPSequence: 0x00081199,
  ReferencedSOPClassUID: 0x00081150,
  ReferencedSOPInstanceUID: 0x00081155,
  FailureReason: 0x00081197,
} as const satisfies Record<string, Tag>

/** A new id for asking a modality to commit itself. */
export function newTransaction(house: House): string {
  return makeUid(house.kit.random)
}

/** Asks a modality to vouch for instances that it was sent. The report comes later, by itself. */
export async function askCommitment(
  house: House,
  caller: Caller,
  transaction: string,
  instances: readonly string[],
): Promise<void> {
  const references: Reference[] = []
  for (const id of instances) {
    const instance = await house.archive.browse.get('instance', id)
    if (instance) references.push(instanceFile(instance))
  }
  await askCommitmentOf(house, caller, transaction, references)
}

/** Asks a modality whether it keeps these instances for good; it answers over an association of its own. */
export async function askCommitmentOf(
  house: House,
  caller: Caller,
  transaction: string,
  references: readonly Reference[],
): Promise<void> {
  // The report may come before the answer: what is expected is known first.
  await keepReport(house, transaction, {
    remoteAet: caller.modality.aet,
    isComplete: false,
    expected: references.map(({ sopClass, sopInstance }) => ({ sopClass, sopInstance })),
    success: [],
    failures: [],
    startedAt: house.kit.clock.now(),
  })
  await tell(house, caller, 'Storage commitment', context => ({
    command: {
      field: commands.actionRq,
      requestedClass: sopClasses.commitment,
      requestedInstance: commitmentInstance,
      actionType: 1,
    },
    data: writeReport(house, context, { transaction, success: references, failures: [] }),
  }))
}

/** Sends the report about instances that a modality asked us to vouch for. */
export async function reportCommitment(
  house: House,
  caller: Caller,
  report: { transaction: string; success: readonly Reference[]; failures: readonly Failed[] },
): Promise<void> {
  // We are the provider of this service, though we open the association.
  const roles = [{ sopClass: sopClasses.commitment, isScu: false, isScp: true }]
  const tellReport = (context: OpenContext) => ({
    command: {
      field: commands.eventReportRq,
      affectedClass: sopClasses.commitment,
      affectedInstance: commitmentInstance,
      eventType: report.failures.length > 0 ? 2 : 1,
    },
    data: writeReport(house, context, report),
  })
  await tell(house, caller, 'Storage commitment report', tellReport, roles)
}

/** One command over an association of its own, and the peer's agreement. */
async function tell(
  house: House,
  caller: Caller,
  what: string,
  make: (context: OpenContext) => { command: Command; data: Buffer },
  roles: readonly Role[] = [],
): Promise<void> {
  const transferSyntaxes = [syntaxes.explicitLittle, syntaxes.implicitLittle]
  const association = await callModality(caller, house.settings.network, {
    proposals: [{ abstractSyntax: sopClasses.commitment, transferSyntaxes }],
    roles,
  })
  try {
    const context = association.contextFor(sopClasses.commitment)
    if (!context) throw refused(what, caller)
    const { command, data } = make(context)
    await association.send(context, { ...command, messageId: 1 }, data)
    const { status } = (await answerFrom(association, 1)).command
    if (status !== 0) throw failedWith(what, caller, status)
    await association.release()
  } catch (error) {
    association.abort()
    throw networkError(`${what} to`, caller.modality.aet, error)
  }
}

function writeReport(
  house: House,
  context: OpenContext,
  report: { transaction: string; success: readonly Reference[]; failures: readonly Failed[] },
): Buffer {
  const uid = (tag: Tag, text: string): Piece => ({
    tag,
    vr: 'UI',
    bytes: padded(Buffer.from(text, 'latin1'), 0),
  })
  const item = ({ sopClass, sopInstance, reason }: Reference & { reason?: number }) => ({
    isOpen: false,
    pieces: [
      uid(commitmentTags.ReferencedSOPClassUID, sopClass),
      uid(commitmentTags.ReferencedSOPInstanceUID, sopInstance),
      ...(reason === undefined
        ? []
        : [
            { tag: commitmentTags.FailureReason, vr: 'US', bytes: Uint8Array.of(reason & 0xff, reason >> 8) },
          ]),
    ],
  })
  const sequence = (tag: Tag, list: readonly Reference[]): Piece[] =>
    list.length === 0 ? [] : [{ tag, isOpen: false, items: list.map(item) }]
  return writeIdentifier(
    [[commitmentTags.TransactionUID, report.transaction]],
    { dictionary: house.dictionary, transferSyntax: context.transferSyntax, terms: [defaultTerm(house)] },
    [
      ...sequence(commitmentTags.FailedSOPSequence, report.failures),
      ...sequence(commitmentTags.ReferencedSOPSequence, report.success),
    ],
  )
}

/** A request or a report as it came. */
export function readCommitment(
  house: House,
  context: OpenContext,
  bytes: Uint8Array,
): { transaction: string; success: Reference[]; failures: Failed[] } {
  const set = readIdentifier(bytes, { dictionary: house.dictionary, transferSyntax: context.transferSyntax })
  const { values } = valuesOf(set, defaultTerm(house))
  const reference = (elements: readonly Element[]): Reference => ({
    sopClass: textOf(elements, commitmentTags.ReferencedSOPClassUID, values) ?? '',
    sopInstance: textOf(elements, commitmentTags.ReferencedSOPInstanceUID, values) ?? '',
  })
  const items = (tag: Tag) => find(set.elements, tag)?.items ?? []
  return {
    transaction: textOf(set.elements, commitmentTags.TransactionUID, values) ?? '',
    success: items(commitmentTags.ReferencedSOPSequence).map(item => reference(item.elements)),
    failures: items(commitmentTags.FailedSOPSequence).map(item => ({
      ...reference(item.elements),
      reason: Number(textOf(item.elements, commitmentTags.FailureReason, values) ?? 0x0110),
    })),
  }
}

/** Which of these instances are here, by class and instance. */
export async function vouchFor(
  house: House,
  references: readonly Reference[],
): Promise<{ success: Reference[]; failures: Failed[] }> {
  const success: Reference[] = []
  const failures: Failed[] = []
  for (const reference of references) {
    let reason = 0x0112
    for await (const instance of house.archive.browse.having(
      'instance',
      '0008,0018',
      reference.sopInstance,
    )) {
      reason = instanceFile(instance).sopClass === reference.sopClass ? 0 : 0x0119
      break
    }
    if (reason === 0) success.push(reference)
    else failures.push({ ...reference, reason })
  }
  return { success, failures }
}

// ---- reports that are kept ----

async function keepReport(house: House, transaction: string, report: Report): Promise<void> {
  const { records, engine } = house.kit
  const surplus: string[] = []
  const count = await records.count({ collection })
  if (count >= reportsMax) {
    const page = await records.list({ collection, limit: count - reportsMax + 1 })
    surplus.push(...page.items.map(record => record.id))
  }
  await engine.write(tx => {
    for (const id of surplus) if (id !== transaction) tx.record({ drop: { collection, id } })
    tx.record({ put: { collection, id: transaction, body: report as unknown as Json } })
  })
}

/** A report has come; one about a transaction that nobody here began is refused. */
export async function takeReport(
  house: House,
  remoteAet: string,
  { transaction, success, failures }: ReturnType<typeof readCommitment>,
): Promise<boolean> {
  const before = await findReport(house, transaction)
  if (!before) return false
  await keepReport(house, transaction, { ...before, remoteAet, isComplete: true, success, failures })
  return true
}

async function findReport(house: House, transaction: string): Promise<Report | undefined> {
  const record = await house.kit.records.get(collection, transaction)
  return record && (record.body as unknown as Report)
}

const reasons: Readonly<Record<number, string>> = {
  272: 'Processing failure',
  274: 'No such object instance',
  281: 'Class/Instance conflict',
  290: 'Referenced SOP Class not supported',
  305: 'Duplicate transaction UID',
  531: 'Resource limitation',
}

/** A report as clients are shown it; undefined when there is none. */
export async function showReport(house: House, transaction: string): Promise<JsonObject | undefined> {
  const report = await findReport(house, transaction)
  if (!report) return undefined
  const show = ({ sopClass, sopInstance }: Reference): JsonObject => ({
    SOPClassUID: sopClass,
    SOPInstanceUID: sopInstance,
  })
  const status = !report.isComplete ? 'Pending' : report.failures.length === 0 ? 'Success' : 'Failure'
  if (status === 'Pending') return { Status: status, RemoteAET: report.remoteAet }
  return {
    Status: status,
    RemoteAET: report.remoteAet,
    Success: report.success.map(show),
    Failures: report.failures.map(failure => ({
      ...show(failure),
      Description: reasons[failure.reason] ?? 'Unknown failure reason',
      FailureReason: failure.reason,
    })),
  }
}

/** Deletes here what a peer has vouched for: the report must be there and say that all is well. */
export async function removeVouched(house: House, transaction: string): Promise<void> {
  const report = await findReport(house, transaction)
  if (!report) throw new OrthancError(codes.unknownResource)
  if (!report.isComplete || report.failures.length > 0) {
    throw new OrthancError(
      codes.badSequence,
      'Cannot remove DICOM instances after failure of storage commitment transaction',
    )
  }
  for (const { sopInstance } of report.success) {
    const doomed: string[] = []
    for await (const instance of house.archive.browse.having('instance', '0008,0018', sopInstance))
      doomed.push(instance.id)
    for (const id of doomed) await house.archive.remove('instance', id)
  }
}
