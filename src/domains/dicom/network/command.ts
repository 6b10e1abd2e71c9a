// DIMSE command sets: DICOM PS3.7 §9.3, §10.3 and annex E. Implicit little endian, group 0000 alone.

/** Command fields. A response has the highest bit of its request's number. */
export const commands = {
  storeRq: 0x0001,
  storeRsp: 0x8001,
  getRq: 0x0010,
  getRsp: 0x8010,
  findRq: 0x0020,
  findRsp: 0x8020,
  moveRq: 0x0021,
  moveRsp: 0x8021,
  echoRq: 0x0030,
  echoRsp: 0x8030,
  eventReportRq: 0x0100,
  eventReportRsp: 0x8100,
  actionRq: 0x0130,
  actionRsp: 0x8130,
  cancelRq: 0x0fff,
} as const

export const statuses = {
  success: 0x0000,
  pending: 0xff00,
  /** Pending, and some optional keys were not looked at. */
  pendingWarning: 0xff01,
  cancelled: 0xfe00,
  noSuchClass: 0x0118,
  unrecognised: 0x0211,
  outOfResources: 0xa700,
  cannotCount: 0xa701,
  cannotPerform: 0xa702,
  unknownDestination: 0xa801,
  mismatch: 0xa900,
  someFailed: 0xb000,
  unprocessable: 0xc000,
} as const

/** Says that a data set follows; any other value than 0101 does, and this one says nothing else. */
export const hasDataSet = 0x0001
const noDataSet = 0x0101

/** Elements that commands are made of, with their place in group 0000. */
const elements = {
  affectedClass: [0x0002, 'UI'],
  requestedClass: [0x0003, 'UI'],
  field: [0x0100, 'US'],
  messageId: [0x0110, 'US'],
  respondsTo: [0x0120, 'US'],
  moveDestination: [0x0600, 'AE'],
  priority: [0x0700, 'US'],
  dataSetType: [0x0800, 'US'],
  status: [0x0900, 'US'],
  comment: [0x0902, 'LO'],
  affectedInstance: [0x1000, 'UI'],
  requestedInstance: [0x1001, 'UI'],
  eventType: [0x1002, 'US'],
  actionType: [0x1008, 'US'],
  remainingCount: [0x1020, 'US'],
  completedCount: [0x1021, 'US'],
  failedCount: [0x1022, 'US'],
  warningCount: [0x1023, 'US'],
  originatorAet: [0x1030, 'AE'],
  originatorMessageId: [0x1031, 'US'],
} as const satisfies Record<string, readonly [number, 'UI' | 'US' | 'AE' | 'LO']>

type Name = keyof typeof elements
type NumberName = { [N in Name]: (typeof elements)[N][1] extends 'US' ? N : never }[Name]
type TextName = Exclude<Name, NumberName>

/** A command; what is absent was not sent. */
export type Command = { readonly [N in NumberName]?: number } & { readonly [N in TextName]?: string } & {
  readonly field: number
}

const byElement = new Map<number, readonly [Name, string]>(
  Object.entries(elements).map(([name, [element, vr]]) => [element, [name as Name, vr]]),
)
const inOrder = Object.entries(elements) as [Name, readonly [number, string]][]

export class InvalidCommand extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'InvalidCommand'
  }
}

/** Whether a data set follows a command. */
export function isFollowed(command: Command): boolean {
  return command.dataSetType !== undefined && command.dataSetType !== noDataSet
}

/** Whether a command answers another. */
export function isResponse(command: Command): boolean {
  return (command.field & 0x8000) !== 0
}

/** The bytes of a command; `dataSetType` says that none follows unless it is given. */
export function writeCommand(command: Command): Buffer {
  const all: Record<string, number | string | undefined> = { dataSetType: noDataSet, ...command }
  const parts: Buffer[] = []
  for (const [name, [element, vr]] of inOrder) {
    const value = all[name]
    if (value === undefined) continue
    parts.push(vr === 'US' ? writeNumber(element, value as number) : writeText(element, value as string, vr))
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const head = Buffer.alloc(12)
  head.writeUInt32LE(4, 4)
  head.writeUInt32LE(length, 8)
  return Buffer.concat([head, ...parts], length + 12)
}

function writeNumber(element: number, value: number): Buffer {
  const bytes = Buffer.alloc(10)
  bytes.writeUInt16LE(element, 2)
  bytes.writeUInt32LE(2, 4)
  bytes.writeUInt16LE(value, 8)
  return bytes
}

function writeText(element: number, value: string, vr: string): Buffer {
  const text = value.length % 2 === 0 ? value : value + (vr === 'UI' ? '\0' : ' ')
  const bytes = Buffer.alloc(8 + text.length)
  bytes.writeUInt16LE(element, 2)
  bytes.writeUInt32LE(text.length, 4)
  bytes.write(text, 8, 'latin1')
  return bytes
}

/** Reads a command; elements that nobody here needs are passed over. */
export function readCommand(bytes: Buffer): Command {
  const found: Record<string, number | string> = {}
  let at = 0
  while (at < bytes.length) {
    if (bytes.length - at < 8) throw new InvalidCommand('a command is cut off')
    const group = bytes.readUInt16LE(at)
    const element = bytes.readUInt16LE(at + 2)
    const length = bytes.readUInt32LE(at + 4)
    if (group !== 0) throw new InvalidCommand(`a command holds an element of group ${group}`)
    if (length > bytes.length - at - 8)
      throw new InvalidCommand('a value of a command is longer than the command')
    const known = byElement.get(element)
    if (known) {
      const [name, vr] = known
      if (vr !== 'US') {
        found[name] = bytes.toString('latin1', at + 8, at + 8 + length).replace(/^ +|[\0 ]+$/g, '')
      } else if (length === 2) found[name] = bytes.readUInt16LE(at + 8)
      else if (length !== 0) throw new InvalidCommand(`${name} is ${length} bytes long`)
    }
    at += 8 + length
  }
  if (typeof found['field'] !== 'number') throw new InvalidCommand('a command says not which one it is')
  return found as unknown as Command
}
