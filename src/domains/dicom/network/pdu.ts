// PDUs of the upper layer, as bytes and as objects: DICOM PS3.8 §9.3. What a peer sends is checked against the length of
// what it sends; anything that does not add up is an InvalidPdu, which ends the association and nothing else.

export const pduTypes = {
  associateRq: 1,
  associateAc: 2,
  associateRj: 3,
  data: 4,
  releaseRq: 5,
  releaseRp: 6,
  abort: 7,
} as const

export const applicationContext = '1.2.840.10008.3.1.1.1'

export class InvalidPdu extends Error {
  /** The reason of an A-ABORT: 1 unrecognised PDU, 5 unrecognised parameter, 6 invalid parameter. */
  readonly reason: number
  constructor(message: string, reason = 6) {
    super(message)
    this.name = 'InvalidPdu'
    this.reason = reason
  }
}

export interface ProposedContext {
  /** Odd, 1 to 255. */
  readonly id: number
  readonly abstractSyntax: string
  readonly transferSyntaxes: readonly string[]
}

/** 0 acceptance, 1 user rejection, 2 no reason, 3 abstract syntax not supported, 4 transfer syntaxes not supported. */
export type ContextResult = 0 | 1 | 2 | 3 | 4

export interface AnsweredContext {
  readonly id: number
  readonly result: number
  readonly transferSyntax: string
}

export interface Role {
  readonly sopClass: string
  readonly isScu: boolean
  readonly isScp: boolean
}

/** How many operations may be under way at a time; 0 for any number. */
export interface OperationsWindow {
  /** Those that whoever asked for the association invokes. */
  readonly invoked: number
  /** Those that it performs. */
  readonly performed: number
}

export interface UserInformation {
  /** The longest P-DATA that the sender of this takes, 0 for any. */
  readonly pduBytesMax: number
  readonly implementationClass: string
  readonly implementationVersion: string
  readonly roles: readonly Role[]
  /** Absent: one at a time, in both directions. */
  readonly window?: OperationsWindow
}

export interface AssociateRq {
  readonly type: 'rq'
  readonly protocolVersion: number
  readonly called: string
  readonly calling: string
  readonly applicationContext: string
  readonly contexts: readonly ProposedContext[]
  readonly user: UserInformation
}

export interface AssociateAc {
  readonly type: 'ac'
  readonly called: string
  readonly calling: string
  readonly contexts: readonly AnsweredContext[]
  readonly user: UserInformation
}

export interface Rejection {
  /** 1 permanent, 2 transient. */
  readonly result: number
  /** 1 the user, 2 the service provider (ACSE), 3 the service provider (presentation). */
  readonly source: number
  readonly reason: number
}

export interface Pdv {
  readonly context: number
  readonly isCommand: boolean
  readonly isLast: boolean
  readonly bytes: Uint8Array
}

export type Pdu =
  | AssociateRq
  | AssociateAc
  | ({ readonly type: 'rj' } & Rejection)
  | { readonly type: 'data'; readonly pdvs: readonly Pdv[] }
  | { readonly type: 'release-rq' }
  | { readonly type: 'release-rp' }
  | { readonly type: 'abort'; readonly source: number; readonly reason: number }

// ---- reading ----

/** Reads the body of a PDU, all of it. */
export function readPdu(type: number, body: Buffer): Pdu {
  switch (type) {
    case pduTypes.associateRq:
      return readAssociate(body, 'rq') as AssociateRq
    case pduTypes.associateAc:
      return readAssociate(body, 'ac') as AssociateAc
    case pduTypes.associateRj:
      need(body, 4)
      return { type: 'rj', result: body[1]!, source: body[2]!, reason: body[3]! }
    case pduTypes.data:
      return { type: 'data', pdvs: readPdvs(body) }
    case pduTypes.releaseRq:
      need(body, 4)
      return { type: 'release-rq' }
    case pduTypes.releaseRp:
      need(body, 4)
      return { type: 'release-rp' }
    case pduTypes.abort:
      need(body, 4)
      return { type: 'abort', source: body[2]!, reason: body[3]! }
    default:
      throw new InvalidPdu(`a PDU of the unknown type ${type}`, 1)
  }
}

function need(bytes: Buffer, length: number, at = 0): void {
  if (bytes.length - at < length) throw new InvalidPdu('a PDU is shorter than its content')
}

function readPdvs(body: Buffer): Pdv[] {
  const pdvs: Pdv[] = []
  let at = 0
  while (at < body.length) {
    need(body, 6, at)
    const length = body.readUInt32BE(at)
    if (length < 2) throw new InvalidPdu('a PDV without a header')
    need(body, length, at + 4)
    const control = body[at + 5]!
    pdvs.push({
      context: body[at + 4]!,
      isCommand: (control & 1) !== 0,
      isLast: (control & 2) !== 0,
      bytes: body.subarray(at + 6, at + 4 + length),
    })
    at += 4 + length
  }
  return pdvs
}

interface Item {
  readonly type: number
  readonly body: Buffer
}

/** Items of type (1), reserved (1), length (2). Their number is bounded by that of the bytes. */
function* itemsOf(body: Buffer): Generator<Item> {
  let at = 0
  while (at < body.length) {
    need(body, 4, at)
    const length = body.readUInt16BE(at + 2)
    need(body, length, at + 4)
    yield { type: body[at]!, body: body.subarray(at + 4, at + 4 + length) }
    at += 4 + length
  }
}

function readAssociate(body: Buffer, type: 'rq' | 'ac'): AssociateRq | AssociateAc {
  need(body, 68)
  const contexts: (ProposedContext & AnsweredContext)[] = []
  const seen = new Set<number>()
  let application = ''
  let user: UserInformation | undefined
  for (const item of itemsOf(body.subarray(68))) {
    if (item.type === 0x10) application = uidOf(item.body)
    else if (item.type === (type === 'rq' ? 0x20 : 0x21)) {
      const context = readContext(item.body)
      if (seen.has(context.id)) throw new InvalidPdu(`the presentation context ${context.id} comes twice`)
      seen.add(context.id)
      contexts.push(context)
    } else if (item.type === 0x50) user = readUser(item.body)
  }
  const names = { called: aetOf(body, 4), calling: aetOf(body, 20) }
  const rest = { contexts, user: user ?? noInformation }
  if (type === 'ac') return { type, ...names, ...rest }
  return {
    type,
    protocolVersion: body.readUInt16BE(0),
    applicationContext: application,
    ...names,
    ...rest,
  }
}

const noInformation: UserInformation = {
  pduBytesMax: 0,
  implementationClass: '',
  implementationVersion: '',
  roles: [],
}

function readContext(body: Buffer): ProposedContext & AnsweredContext {
  need(body, 4)
  const transferSyntaxes: string[] = []
  let abstractSyntax = ''
  for (const item of itemsOf(body.subarray(4))) {
    if (item.type === 0x30) abstractSyntax = uidOf(item.body)
    else if (item.type === 0x40) transferSyntaxes.push(uidOf(item.body))
  }
  const id = body[0]!
  if (id % 2 === 0) throw new InvalidPdu(`the presentation context ${id} is even`)
  return { id, result: body[2]!, abstractSyntax, transferSyntaxes, transferSyntax: transferSyntaxes[0] ?? '' }
}

/** Extended negotiation and user identity are passed over: nothing of ours needs them. */
function readUser(body: Buffer): UserInformation {
  const roles: Role[] = []
  let found = noInformation
  for (const item of itemsOf(body)) {
    if (item.type === 0x51) {
      need(item.body, 4)
      found = { ...found, pduBytesMax: item.body.readUInt32BE(0) }
    } else if (item.type === 0x52) found = { ...found, implementationClass: uidOf(item.body) }
    else if (item.type === 0x55)
      found = { ...found, implementationVersion: item.body.toString('latin1').trim() }
    else if (item.type === 0x53) {
      need(item.body, 4)
      const window = { invoked: item.body.readUInt16BE(0), performed: item.body.readUInt16BE(2) }
      found = { ...found, window }
    } else if (item.type === 0x54) roles.push(readRole(item.body))
  }
  return { ...found, roles }
}

function readRole(body: Buffer): Role {
  need(body, 2)
  const length = body.readUInt16BE(0)
  need(body, length + 2, 2)
  const at = 2 + length
  return { sopClass: uidOf(body.subarray(2, at)), isScu: body[at] === 1, isScp: body[at + 1] === 1 }
}

function uidOf(bytes: Buffer): string {
  // Some pad UIDs here as in data sets, though the standard does not.
  return bytes.toString('latin1').replace(/[\0 ]+$/, '')
}

function aetOf(body: Buffer, at: number): string {
  return body
    .toString('latin1', at, at + 16)
    .replace(/\0/g, ' ')
    .trim()
}

// ---- writing ----

/** The bytes of a PDU that is no P-DATA; those are framed where they are sent. */
export function writePdu(pdu: Exclude<Pdu, { type: 'data' }>): Buffer {
  switch (pdu.type) {
    case 'rq':
      return writeAssociate(pduTypes.associateRq, pdu, [
        item(0x10, Buffer.from(pdu.applicationContext, 'latin1')),
        ...pdu.contexts.map(context =>
          item(
            0x20,
            Buffer.of(context.id, 0, 0, 0),
            item(0x30, Buffer.from(context.abstractSyntax, 'latin1')),
            ...context.transferSyntaxes.map(uid => item(0x40, Buffer.from(uid, 'latin1'))),
          ),
        ),
      ])
    case 'ac':
      return writeAssociate(pduTypes.associateAc, pdu, [
        item(0x10, Buffer.from(applicationContext, 'latin1')),
        ...pdu.contexts.map(context =>
          item(
            0x21,
            Buffer.of(context.id, 0, context.result, 0),
            item(0x40, Buffer.from(context.transferSyntax, 'latin1')),
          ),
        ),
      ])
    case 'rj':
      return framed(pduTypes.associateRj, Buffer.of(0, pdu.result, pdu.source, pdu.reason))
    case 'release-rq':
      return framed(pduTypes.releaseRq, Buffer.alloc(4))
    case 'release-rp':
      return framed(pduTypes.releaseRp, Buffer.alloc(4))
    case 'abort':
      return framed(pduTypes.abort, Buffer.of(0, 0, pdu.source, pdu.reason))
  }
}

function writeAssociate(
  type: number,
  { called, calling, user }: Pick<AssociateRq, 'called' | 'calling' | 'user'>,
  items: readonly Buffer[],
): Buffer {
  const head = Buffer.alloc(68)
  head.writeUInt16BE(1, 0)
  head.write(called.slice(0, 16).padEnd(16), 4, 'latin1')
  head.write(calling.slice(0, 16).padEnd(16), 20, 'latin1')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(user.pduBytesMax)
  const information = item(
    0x50,
    item(0x51, length),
    item(0x52, Buffer.from(user.implementationClass, 'latin1')),
    ...(user.window ? [item(0x53, writeWindow(user.window))] : []),
    ...user.roles.map(writeRole),
    item(0x55, Buffer.from(user.implementationVersion.slice(0, 16), 'latin1')),
  )
  return framed(type, Buffer.concat([head, ...items, information]))
}

function writeWindow({ invoked, performed }: OperationsWindow): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16BE(invoked)
  bytes.writeUInt16BE(performed, 2)
  return bytes
}

function writeRole(role: Role): Buffer {
  const uid = Buffer.from(role.sopClass, 'latin1')
  const length = Buffer.alloc(2)
  length.writeUInt16BE(uid.length)
  return item(0x54, length, uid, Buffer.of(role.isScu ? 1 : 0, role.isScp ? 1 : 0))
}

function item(type: number, ...parts: readonly Buffer[]): Buffer {
  const head = Buffer.of(type, 0, 0, 0)
  head.writeUInt16BE(
    parts.reduce((sum, part) => sum + part.length, 0),
    2,
  )
  return Buffer.concat([head, ...parts])
}

function framed(type: number, body: Buffer): Buffer {
  const head = Buffer.of(type, 0, 0, 0, 0, 0)
  head.writeUInt32BE(body.length, 2)
  return Buffer.concat([head, body])
}

/** What one fragment costs beside its bytes: the PDU's head (6) and the PDV's (6). */
const fragmentHead = 12

/**
 * Writes bytes as P-DATA with one PDV each, none of whose PDUs is longer than `pduBytesMax`. `isLast` says whether the
 * final fragment ends the command or data set.
 */
export function frameData(
  bytes: Uint8Array,
  facts: { context: number; isCommand: boolean; isLast: boolean; pduBytesMax: number },
): Buffer {
  const most = facts.pduBytesMax - 6
  const count = Math.max(1, Math.ceil(bytes.length / most))
  const framedBytes = Buffer.allocUnsafe(bytes.length + count * fragmentHead)
  let at = 0
  for (let index = 0; index < count; index++) {
    const from = index * most
    const length = Math.min(most, bytes.length - from)
    framedBytes.writeUInt16BE(pduTypes.data << 8, at)
    framedBytes.writeUInt32BE(length + 6, at + 2)
    framedBytes.writeUInt32BE(length + 2, at + 6)
    framedBytes[at + 10] = facts.context
    framedBytes[at + 11] = (facts.isCommand ? 1 : 0) | (facts.isLast && index === count - 1 ? 2 : 0)
    framedBytes.set(bytes.subarray(from, from + length), at + 12)
    at += length + fragmentHead
  }
  return framedBytes
}
