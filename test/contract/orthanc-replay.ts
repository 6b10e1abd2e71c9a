// Replays recordings of the real Orthanc against our server. Values that differ from run to run (ids, UIDs, times) are
// learnt: where a recorded one stands, ours is remembered, and used in the requests that follow.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { makeDictionary } from '../../src/domains/dicom/dictionary/dictionary.ts'
import type { Element } from '../../src/domains/dicom/reading/data-set.ts'
import { readDataSet } from '../../src/domains/dicom/reading/reader.ts'
import { memorySource } from '../../src/domains/dicom/reading/source.ts'
import { readBytes, showValue, type Values, valuesOf } from '../../src/domains/dicom/reading/value.ts'
import { tagText } from '../../src/domains/dicom/tag.ts'
import { isZip } from '../../src/domains/dicom/zip/zip-reader.ts'
import { makeZipWriter } from '../../src/domains/dicom/zip/zip-writer.ts'
import { sharedPath } from '../support/shared.ts'
import { listZip, readZipMember } from '../support/zip-listing.ts'

export interface Recorded {
  readonly name: string
  readonly request: {
    readonly method: string
    readonly path?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: unknown
  }
  readonly response?: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: unknown
  }
  readonly volatile?: readonly string[]
  readonly vars?: Readonly<Record<string, string>>
}

export function readRecording(name: string): Recorded[] {
  return JSON.parse(readFileSync(sharedPath('recordings', 'orthanc', `${name}.json`), 'utf8')) as Recorded[]
}

/** Where the contract decides otherwise than the original, by the step's name. */
export interface Ours {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Members that are not compared. */
  readonly ignore?: readonly string[]
}

const dictionary = makeDictionary()

export class Replay {
  #base: string
  /** Recorded value to ours. */
  readonly #learnt = new Map<string, string>()

  readonly #waitsForJobs: boolean

  /** Unless it shall not, it waits for the end of each job that a step submits. */
  constructor(base: string, { waitsForJobs = true } = {}) {
    this.#base = base
    this.#waitsForJobs = waitsForJobs
  }

  /** Sends a recorded request; the differences between the recorded answer and ours. */
  async play(step: Recorded, ours: Ours = {}): Promise<string[]> {
    const { request } = step
    const isFiles = isSpecial(request.body, '$files_in_order')
    const until = Date.now() + (request.method === 'GET' ? 8000 : 0)
    for (;;) {
      const differences = isFiles ? await this.#playFiles(step) : await this.#playOnce(step, ours)
      // What depends on a job or on the age of a resource is asked for until it comes.
      if (differences.length === 0 || Date.now() >= until) return differences
      await sleep(100)
    }
  }

  /** Goes on with a server that was started anew elsewhere. */
  moveTo(base: string): void {
    this.#base = base
  }

  /** Tells what stands for a recorded value. */
  teach(recorded: string, ours: string): void {
    this.#learnt.set(recorded, ours)
  }

  /** Deletes everything: recordings begin anew on an empty server in the middle. */
  async empty(): Promise<void> {
    const answer = await fetch(`${this.#base}/patients`)
    for (const id of (await answer.json()) as string[]) {
      await fetch(`${this.#base}/patients/${id}`, { method: 'DELETE' })
    }
  }

  /** Learns which of our instances stands for one whose tags are asked and that no answer has shown: the most alike. */
  async learnMade(step: Recorded): Promise<void> {
    const recorded = step.vars?.['NI']
    if (recorded === undefined) return
    const wanted = this.#filled(step.response!.body, step)
    const list = await fetch(`${this.#base}/instances`)
    let least = Number.POSITIVE_INFINITY
    for (const id of (await list.json()) as string[]) {
      const tags = await fetch(`${this.#base}/instances/${id}/tags?short`)
      const { length } = this.#differences(wanted, await tags.json(), step, {})
      // Of equals the newest: a modification often changes only identifiers.
      if (length <= least) this.#learnt.set(recorded, id)
      least = Math.min(least, length)
    }
  }

  async #playFiles(step: Recorded): Promise<string[]> {
    const files = (step.request.body as { $files_in_order: string[] }).$files_in_order
    const answers: Record<string, unknown> = {}
    for (const file of files) {
      const answer = await fetch(this.#base + '/instances', { method: 'POST', body: recordedFile(file) })
      answers[file.replace(/^files\/|\.dcm$/g, '')] = await answer.json()
    }
    return this.#compare(this.#filled(step.response!.body, step), answers, step, {})
  }

  async #playOnce(step: Recorded, ours: Ours): Promise<string[]> {
    const { request, response } = step
    const body = await bodyOf(this.#filled(request.body, step))
    const answer = await fetch(this.#base + this.#filledText(request.path!, step), {
      method: request.method,
      redirect: 'manual',
      headers: { 'accept-encoding': 'identity', ...request.headers },
      ...(body === undefined ? {} : { body }),
    })
    const bytes = Buffer.from(await answer.arrayBuffer())
    const differences: string[] = []
    const status = ours.status ?? response!.status
    if (answer.status !== status) differences.push(`status: ${status} was wanted, ${answer.status} came`)
    const wanted = 'body' in ours ? ours.body : this.#filled(response!.body, step)
    const got = readAnswer(bytes, wanted, answer)
    differences.push(...this.#compare(wanted, got, step, ours))
    // The recordings were made slowly: a job that was submitted had ended when the next request came.
    if (
      this.#waitsForJobs &&
      isRecord(got) &&
      typeof got['Path'] === 'string' &&
      got['Path'].startsWith('/jobs/')
    )
      await this.#end(got['Path'])
    for (const name of [
      'content-type',
      'content-disposition',
      'www-authenticate',
      'allow',
      'content-encoding',
    ]) {
      const header = ours.headers?.[name] ?? response!.headers[name]
      if (header === undefined || (name === 'content-encoding' && header === 'identity')) continue
      const came = answer.headers.get(name) ?? ''
      if (!this.#isSame(this.#filledText(header, step), came)) {
        differences.push(`${name}: ${header} was wanted, ${came} came`)
      }
    }
    return differences
  }

  async #end(path: string): Promise<void> {
    for (let turn = 0; turn < 200; turn++) {
      const answer = await fetch(this.#base + path)
      if (answer.status !== 200) return
      const { State: state } = (await answer.json()) as { State: string }
      if (state === 'Success' || state === 'Failure') return
      await sleep(25)
    }
  }

  #filled(value: unknown, step: Recorded): unknown {
    if (typeof value === 'string') return this.#filledText(value, step)
    if (Array.isArray(value)) return value.map(item => this.#filled(item, step))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [this.#filledText(name, step), this.#filled(item, step)]),
    )
  }

  /** Replaces `${X}` by the recorded value, and that by ours where we have learnt it. */
  #filledText(text: string, step: Recorded): string {
    return text.replace(/\$\{(\w+)\}/g, (whole, name: string) => {
      const recorded = step.vars?.[name]
      return recorded === undefined
        ? (this.#learnt.get(whole) ?? whole)
        : (this.#learnt.get(recorded) ?? recorded)
    })
  }

  /** As #compare, and nothing is learnt. */
  #differences(wanted: unknown, got: unknown, step: Recorded, ours: Ours): string[] {
    const before = [...this.#learnt]
    const differences = this.#compare(wanted, got, step, ours)
    this.#learnt.clear()
    for (const [recorded, known] of before) this.#learnt.set(recorded, known)
    return differences
  }

  #compare(wanted: unknown, got: unknown, step: Recorded, ours: Ours): string[] {
    const differences: string[] = []
    const skipped = [...(step.volatile ?? []), ...(ours.ignore ?? [])].map(patternOf)
    const visit = (a: unknown, b: unknown, path: string): void => {
      if (skipped.some(pattern => pattern.test(path))) {
        this.#learn(a, b)
        return
      }
      if (typeof a === 'string' && typeof b === 'string') {
        if (!this.#isSame(a, b)) differences.push(`${path}: ${short(a)} was wanted, ${short(b)} came`)
      } else if (Array.isArray(a) && Array.isArray(b)) {
        if (a.length !== b.length)
          differences.push(`${path}: ${a.length} items were wanted, ${b.length} came: ${short(b)}`)
        else {
          for (const [index, item] of sorted(a).entries()) visit(item, sorted(b)[index], `${path}[${index}]`)
        }
      } else if (isRecord(a) && isRecord(b)) {
        for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
          // More members than the original's are fine: contracts/orthanc.md §4.3.
          if (name in a) visit(a[name], b[name], path === '' ? name : `${path}.${name}`)
        }
      } else if (a !== b) differences.push(`${path}: ${short(a)} was wanted, ${short(b)} came`)
    }
    visit(wanted, got, '')
    return differences
  }

  #learn(recorded: unknown, ours: unknown): void {
    if (typeof recorded === 'string' && typeof ours === 'string') {
      this.#learnt.set(recorded, ours)
    } else if (isRecord(recorded) && isRecord(ours)) {
      for (const name of Object.keys(recorded)) this.#learn(recorded[name], ours[name])
    } else if (Array.isArray(recorded) && Array.isArray(ours)) {
      for (const [index, item] of recorded.entries()) this.#learn(item, ours[index])
    }
  }

  /** Equal, or two values of a kind that differs from run to run. */
  #isSame(recorded: string, ours: string): boolean {
    if (recorded === ours || this.#learnt.get(recorded) === ours) return true
    for (const kind of changing) {
      if (!kind.recorded.test(recorded) || !kind.ours.test(ours)) continue
      this.#learnt.set(recorded, ours)
      return true
    }
    return recorded.includes('/') && this.#mapped(recorded) === ours
  }

  #mapped(text: string): string {
    let mapped = text
    for (const [recorded, ours] of this.#learnt) {
      if (recorded.length > 8 && mapped.includes(recorded)) mapped = mapped.replaceAll(recorded, ours)
    }
    return mapped
  }
}

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const changing: readonly { recorded: RegExp; ours: RegExp }[] = [
  { recorded: /^20261122T\d{6}(\.\d{6})?$/, ours: /^\d{8}T\d{6}(\.\d{6})?$/ },
  { recorded: /^20261122$/, ours: /^\d{8}$/ },
  { recorded: /^\d{6}\.000000$/, ours: /^\d{6}\.000000$/ },
  { recorded: new RegExp(`^${uuid}$`), ours: new RegExp(`^${uuid}$`) },
  {
    recorded: new RegExp(`^filename="${uuid}(\\.dcm)?"$`),
    ours: new RegExp(`^filename="${uuid}(\\.dcm)?"$`),
  },
  { recorded: /^1\.2\.276\.0\.7230010\.3\.1\.[234]\./, ours: /^2\.25\.\d+$/ },
  { recorded: /^1\.2\.276\.0\.7230010\.3\.0\.3\.6\.7$/, ours: /^2\.25\.\d+$/ },
  { recorded: /^OFFIS_DCMTK_367$/, ours: /^SWITCHYARD/ },
  { recorded: /^1795\d{9}$/, ours: /^\d{13}$/ },
]

/** `$zip`, `$dicom`, `$length` and the like: our answer in the form of the recorded one. */
function readAnswer(bytes: Buffer, wanted: unknown, answer: Response): unknown {
  if (isRecord(wanted)) {
    if ('$zip' in wanted) return readZip(bytes, wanted)
    if ('$dicom' in wanted) return { $dicom: readDicom(bytes), $length: bytes.length }
    if ('$sha256' in wanted) {
      return { $length: bytes.length, $sha256: createHash('sha256').update(bytes).digest('hex') }
    }
    if ('$length' in wanted) return { $length: bytes.length }
  }
  const encoding = answer.headers.get('content-encoding')
  if (isRecord(wanted) && '$encoded' in wanted) return { $encoded: encoding, $length: wanted['$length'] }
  if (typeof wanted === 'string') return bytes.toString('utf8')
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown
  } catch {
    return bytes.toString('utf8')
  }
}

function readZip(bytes: Buffer, wanted: Record<string, unknown>): Record<string, unknown> {
  if (!isZip(bytes)) return { $zip: `not a ZIP file: ${short(bytes.toString('latin1'))}` }
  const members = listZip(bytes)
  const recorded = wanted['$zip'] as { name: string }[]
  // The lengths of UIDs differ, and with them that of the directory; whether deflating gains depends on the deflater.
  const shown = members.map(({ name, size }, index) => ({
    name,
    size: name === 'DICOMDIR' ? (recorded[index] as unknown as { size: number })?.size : size,
    method: 'deflate',
  }))
  const directory = members.some(({ name }) => name === 'DICOMDIR')
    ? readZipMember(bytes, 'DICOMDIR')
    : undefined
  return {
    $zip: shown,
    $length: wanted['$length'],
    ...(directory && '$dicomdir_dcmdump' in wanted
      ? { $dicomdir_dcmdump: dumpOf(directory, wanted['$dicomdir_dcmdump'] as string[]) }
      : {}),
  }
}

/** What dcmdump says, without what depends on the lengths of UIDs; the recorded dump where it is not installed. */
function dumpOf(directory: Buffer, recorded: readonly string[]): readonly string[] {
  if (!existsSync('/usr/bin/dcmdump')) return recorded
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-dicomdir-'))
  try {
    writeFileSync(join(folder, 'DICOMDIR'), directory)
    const dump = execFileSync('dcmdump', ['-q', join(folder, 'DICOMDIR')], { encoding: 'utf8' })
    const came = comparableDump(dump.split('\n'))
    return came.join('\n') === comparableDump(recorded).join('\n') ? recorded : came
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function comparableDump(dump: readonly string[]): string[] {
  return dump
    .filter(line => /^\s*\([0-9a-f]{4},/.test(line) && !/\(0002,/.test(line))
    .map(line => line.replace(/\s*#.*$/, '').trim())
    .map(line =>
      line.replace(
        /^(\(0004,(1200|1202|1400|1420)\) up) (\d+)$/,
        (_, head, __, at) => `${head} ${at === '0' ? 0 : 'n'}`,
      ),
    )
    .map(line => line.replace(/\(Sequence with undefined length.*$/, '(Sequence)'))
}

/** A DICOM file as the recordings show one. */
function readDicom(bytes: Buffer): unknown {
  const set = readDataSet(memorySource(bytes), { dictionary })
  const { values, metaValues } = valuesOf(set, 'ISO_IR 100')
  return { meta: showElements(set.meta, metaValues), dataset: showElements(set.elements, values) }
}

function showElements(elements: readonly Element[], values: Values): Record<string, unknown> {
  return Object.fromEntries(elements.map(element => [tagText(element.tag), showOne(element, values)]))
}

function showOne(element: Element, values: Values): unknown {
  if (element.items) return element.items.map(item => showElements(item.elements, values))
  const text = showValue(element, values)
  if (text !== null) return text
  const bytes = readBytes(element, values)
  return `<${bytes.length} bytes sha1 ${createHash('sha1').update(bytes).digest('hex').slice(0, 12)}>`
}

async function bodyOf(body: unknown): Promise<Uint8Array<ArrayBuffer> | string | undefined> {
  if (body === null || body === undefined) return undefined
  if (typeof body === 'string') return body
  if (isSpecial(body, '$file')) return recordedFile((body as { $file: string }).$file)
  if (isSpecial(body, '$gzip_of'))
    return Uint8Array.from(gzipSync(recordedFile((body as { $gzip_of: string }).$gzip_of)))
  if (isSpecial(body, '$base64'))
    return Uint8Array.from(Buffer.from((body as { $base64: string }).$base64, 'base64'))
  if (isSpecial(body, '$bytes')) return new Uint8Array((body as { $bytes: number }).$bytes)
  if (isSpecial(body, '$zip_of')) return zipOf((body as { $zip_of: string[] }).$zip_of)
  return JSON.stringify(body)
}

async function zipOf(names: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  const zip = makeZipWriter({ sink: bytes => void chunks.push(bytes), now: 0, level: 0 })
  for (const name of names) {
    const path = sharedPath('recordings', 'orthanc', name)
    await zip.addBytes(
      { name },
      existsSync(path) ? readFileSync(path) : Buffer.from(name === 'empty.txt' ? '' : 'text'),
    )
  }
  await zip.finish()
  return Uint8Array.from(Buffer.concat(chunks))
}

function recordedFile(name: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(readFileSync(sharedPath('recordings', 'orthanc', name)))
}

function isSpecial(value: unknown, name: string): boolean {
  return isRecord(value) && name in value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Lists of ids and of objects with ids come in no promised order. */
function sorted(items: readonly unknown[]): readonly unknown[] {
  const key = (item: unknown): string | undefined =>
    typeof item === 'string'
      ? item
      : isRecord(item) && typeof item['ID'] === 'string' && !('Seq' in item)
        ? item['ID']
        : undefined
  if (items.some(item => key(item) === undefined)) return items
  return [...items].sort((a, b) => (key(a)! < key(b)! ? -1 : 1))
}

function patternOf(path: string): RegExp {
  if (path === '$') return /^/
  const source = path.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\\\[\*\\\]|\\\[\\?\*\\\]/g, '\\[\\d+\\]')
  return new RegExp(`^${source.replace(/\*/g, '.*')}$|(^|\\.)${source}$`)
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
