// Replays recordings of the real ncdjango against our server. Uuids are learnt from the answers to submissions, and
// used in the requests that follow; images are compared by their sampled pixels.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { PNG } from 'pngjs'
import { sharedPath } from '../support/shared.ts'

export interface Recorded {
  readonly name: string
  readonly request: {
    readonly method: string
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: unknown
  }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: unknown
  }
  readonly volatile?: readonly string[]
  readonly note?: string
}

/** Where the contract decides otherwise: another answer, or none that is compared. */
export interface Ours {
  readonly status?: number
  /** A function makes it of the recorded one. */
  readonly body?: unknown
}

export function readRecording(name: string): Recorded[] {
  return JSON.parse(readFileSync(sharedPath('recordings', 'ncdjango', `${name}.json`), 'utf8')) as Recorded[]
}

export class Replay {
  readonly #base: string
  readonly #token: string
  readonly #learnt = new Map<string, string>()

  constructor(base: string, token = '') {
    this.#base = base
    this.#token = token
  }

  /** Takes a name of the recording for what we call it. */
  learn(recorded: string, ours: string): void {
    this.#learnt.set(recorded, ours)
  }

  /** Sends a recorded request; the differences between the recorded answer and ours. */
  async play(step: Recorded, ours: Ours = {}): Promise<string[]> {
    const recorded = step.response.body as { status?: string; uuid?: string } | null
    const isResult = step.request.method === 'GET' && recorded?.status !== undefined
    const until = Date.now() + 30_000
    for (;;) {
      const differences = await this.#playOnce(step, ours)
      // A job is looked at until it is where it was when the recording was made.
      if (!isResult || differences.length === 0 || Date.now() > until) return differences
      await sleep(30)
    }
  }

  async #playOnce(step: Recorded, ours: Ours): Promise<string[]> {
    const { request, response } = step
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [
        name,
        value
          .replace('<session cookie>', `sessionid=${this.#token}; csrftoken=tok`)
          .replace('<csrf token>', 'tok'),
      ]),
    )
    const { body } = bodyOf(request.body, headers)
    const answer = await fetch(this.#base + this.#filled(request.path), {
      method: request.method,
      headers,
      redirect: 'manual',
      ...(body === undefined ? {} : { body: typeof body === 'string' ? this.#filled(body) : body }),
    })
    const bytes = Buffer.from(await answer.arrayBuffer())
    const differences: string[] = []
    const status = ours.status ?? response.status
    if (answer.status !== status)
      differences.push(`status ${status} was wanted, ${answer.status} came: ${bytes.subarray(0, 300)}`)
    if (ours.status === undefined) {
      const location = answer.headers.get('location')
      if (response.headers['Location'] !== undefined && location !== null)
        this.#learnt.set(response.headers['Location'], location)
      for (const name of ['Content-Type', 'Vary', 'Allow', 'Location']) {
        const wanted = response.headers[name]
        // The pages that the original sends for errors of maps are ours in JSON: contracts/ncdjango.md §2.2.
        if (wanted === undefined || (name === 'Content-Type' && status >= 400 && wanted.startsWith('text/')))
          continue
        const came = answer.headers.get(name)
        if (came !== this.#filled(wanted)) differences.push(`${name}: ${wanted} was wanted, ${came} came`)
      }
    }
    if (answer.headers.get('content-type')?.startsWith('image/')) {
      differences.push(...compareImage(wantedOf(ours, response.body), bytes))
      return differences
    }
    const wanted = wantedOf(ours, response.body)
    if (status >= 400 && typeof wanted === 'string') return differences
    const got = bytes.length === 0 ? '' : (JSON.parse(bytes.toString('utf8')) as unknown)
    if (request.method === 'POST' && isRecord(wanted) && isRecord(got) && typeof wanted['uuid'] === 'string')
      this.#learnt.set(wanted['uuid'], String(got['uuid']))
    this.#compare(wanted, got, '', new Set(step.volatile ?? []), differences)
    return differences
  }

  #filled(text: string): string {
    let filled = text
    for (const [recorded, ours] of this.#learnt) filled = filled.replaceAll(recorded, ours)
    return filled
  }

  #compare(wanted: unknown, got: unknown, path: string, skipped: ReadonlySet<string>, into: string[]): void {
    const full = `response.body${path.replace(/\[\d+\]/g, '[]')}`
    if (full === 'response.body.outputs' || (path === '' && !skipped.has('response.body'))) {
      // Looked at all the same, with our uuids in place of theirs.
    } else if (!path.endsWith('.imageData') && (skipped.has(full) || skipped.has('response.body'))) return
    if (path.endsWith('.imageData')) {
      into.push(...comparePictures(wanted as string, got as string).map(text => `${path}: ${text}`))
    } else if (typeof wanted === 'string' && typeof got === 'string') {
      if (this.#filled(wanted) !== got) into.push(`${path}: ${wanted} was wanted, ${got} came`)
    } else if (typeof wanted === 'number' && typeof got === 'number') {
      if (Math.abs(wanted - got) > 1e-9 * Math.max(1, Math.abs(wanted)))
        into.push(`${path}: ${wanted} was wanted, ${got} came`)
    } else if (Array.isArray(wanted) && Array.isArray(got)) {
      if (wanted.length !== got.length)
        into.push(`${path}: ${JSON.stringify(wanted)} was wanted, ${JSON.stringify(got)} came`)
      else
        for (const [index, item] of wanted.entries())
          this.#compare(item, got[index], `${path}[${index}]`, skipped, into)
    } else if (isRecord(wanted) && isRecord(got)) {
      for (const name of Object.keys(wanted))
        this.#compare(wanted[name], got[name], `${path}.${name}`, skipped, into)
    } else if (wanted !== got)
      into.push(`${path}: ${JSON.stringify(wanted)} was wanted, ${JSON.stringify(got)} came`)
  }
}

function wantedOf(ours: Ours, recorded: unknown): unknown {
  if (!('body' in ours)) return recorded
  return typeof ours.body === 'function' ? ours.body(recorded) : ours.body
}

/** A recorded body as it is sent: forms with files are recorded by their parts. */
function bodyOf(recorded: unknown, headers: Record<string, string>): { body: string | FormData | undefined } {
  if (recorded === null || recorded === undefined || recorded === '') return { body: undefined }
  if (typeof recorded === 'string') return { body: recorded }
  if (!isRecord(recorded) || !isRecord(recorded['multipart'])) return { body: JSON.stringify(recorded) }
  const form = new FormData()
  for (const [name, part] of Object.entries(recorded['multipart'])) {
    const { filename, base64 } = part as { filename: string; base64: string }
    form.append(name, new Blob([Buffer.from(base64, 'base64')]), filename)
  }
  delete headers['Content-Type'] // The boundary is the form's own.
  return { body: form }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

interface RecordedImage {
  readonly image: {
    width: number
    height: number
    pixels_rgba: [number, number, [number, number, number, number]][]
  }
}

function compareImage(wanted: unknown, bytes: Buffer): string[] {
  const { image } = wanted as RecordedImage
  if (bytes.subarray(0, 3).toString() === 'GIF') {
    const size = [bytes.readUInt16LE(6), bytes.readUInt16LE(8)]
    return size[0] === image.width && size[1] === image.height ? [] : [`a GIF of ${size} came`]
  }
  const png = PNG.sync.read(bytes)
  if (png.width !== image.width || png.height !== image.height)
    return [`an image of ${image.width} × ${image.height} was wanted, ${png.width} × ${png.height} came`]
  const wrong: string[] = []
  for (const [x, y, colour] of image.pixels_rgba) {
    const came = [...png.data.subarray((y * png.width + x) * 4, (y * png.width + x) * 4 + 4)]
    const isClear = colour[3] === 0 && came[3] === 0
    if (!isClear && came.join() !== colour.join())
      wrong.push(`pixel ${x},${y}: ${colour} was wanted, ${came} came`)
  }
  return wrong.length > 6 ? [...wrong.slice(0, 6), `and ${wrong.length - 6} more`] : wrong
}

function comparePictures(wanted: string, got: string): string[] {
  const [a, b] = [PNG.sync.read(Buffer.from(wanted, 'base64')), PNG.sync.read(Buffer.from(got, 'base64'))]
  if (a.width !== b.width || a.height !== b.height) return ['the picture has another size']
  let count = 0
  let first = ''
  for (let at = 0; at < a.data.length; at += 4) {
    const [x, y] = [a.data.subarray(at, at + 4).join(), b.data.subarray(at, at + 4).join()]
    if (x === y) continue
    if (count++ === 0) first = `pixel ${at / 4}: ${x} was wanted, ${y} came`
  }
  return count === 0 ? [] : [`${count} pixels differ; ${first}`]
}
