// Reads DICOM files into trees of offsets: bounded depth and count, no recursion, no values copied. Files without a
// header (preamble and meta group) are read too. Large values are stepped over, so that a file needs only its headers.

import { promisify } from 'node:util'
import { inflateRaw, inflateRawSync } from 'node:zlib'
import { refuse } from '../../../core/refusal.ts'
import { type Dictionary, longVrs, settleVr, vrs } from '../dictionary/dictionary.ts'
import { isPrivate, isPrivateCreator, type Tag, tags } from '../tag.ts'
import { type DataSet, type Element, type Fragment, find, type Item } from './data-set.ts'
import { type ByteSource, memorySource } from './source.ts'
import { layoutOf, syntaxes } from './syntax.ts'
import { isTextVr } from './value.ts'

export interface ReadOptions {
  readonly dictionary: Dictionary
  /** `all`: the whole tree. `top`: items of sequences are walked but not kept, for reading a few top-level tags. */
  readonly keep?: 'all' | 'top'
  readonly depthMax?: number
  readonly elementsMax?: number
  /** How many bytes a deflated data set may inflate to. */
  readonly inflatedBytesMax?: number
}

const undefinedLength = 0xffffffff
/** Longer tails of zeros are not taken for padding. */
const paddingBytesMax = 1024 * 1024
const defaults = { depthMax: 1024, elementsMax: 500_000, inflatedBytesMax: 256 * 1024 * 1024 }

/** Reads a file. Refuses, with the fault `not-dicom`, whatever is not one, is cut off, or passes a limit. */
export function readDataSet(file: ByteSource, options: ReadOptions): DataSet {
  const opening = readOpening(file, options)
  if (!opening.isDeflated) return finish(opening, file, opening.fileDataSetAt, options)
  const packed = file.read(opening.fileDataSetAt, file.sizeBytes - opening.fileDataSetAt)
  try {
    const maxOutputLength = options.inflatedBytesMax ?? defaults.inflatedBytesMax
    return finish(opening, memorySource(inflateRawSync(packed, { maxOutputLength })), 0, options)
  } catch (error) {
    return refuseInflation(file, error)
  }
}

/** As readDataSet, but inflates on zlib's own threads: for the main thread. */
export async function readDataSetAsync(file: ByteSource, options: ReadOptions): Promise<DataSet> {
  const opening = readOpening(file, options)
  if (!opening.isDeflated) return finish(opening, file, opening.fileDataSetAt, options)
  const packed = file.read(opening.fileDataSetAt, file.sizeBytes - opening.fileDataSetAt)
  const maxOutputLength = options.inflatedBytesMax ?? defaults.inflatedBytesMax
  let inflated: Uint8Array
  try {
    inflated = await promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw)(packed, {
      maxOutputLength,
    })
  } catch (error) {
    return refuseInflation(file, error)
  }
  return finish(opening, memorySource(inflated), 0, options)
}

/** Refuses bytes that are not a DICOM file. */
export function refuseNotDicom(sizeBytes: number, why: string): never {
  refuse('bad-request', `Cannot parse an invalid DICOM file (size: ${sizeBytes} bytes): ${why}`, {
    facts: { fault: 'not-dicom', sizeBytes, why },
  })
}

function refuseInflation(file: ByteSource, error: unknown): never {
  if (error instanceof Error && 'code' in error) {
    const tooLarge = error.code === 'ERR_BUFFER_TOO_LARGE'
    refuseNotDicom(file.sizeBytes, tooLarge ? 'it inflates to more than allowed' : 'it cannot be inflated')
  }
  throw error
}

interface Opening {
  readonly meta: readonly Element[]
  readonly file: ByteSource
  readonly transferSyntax: string
  readonly isExplicit: boolean
  readonly isLittleEndian: boolean
  readonly isDeflated: boolean
  readonly fileDataSetAt: number
}

/** Reads what comes before the data set: preamble and meta group, or the guess that replaces them. */
function readOpening(file: ByteSource, options: ReadOptions): Opening {
  if (file.sizeBytes === 0)
    refuse('bad-request', 'Received an empty DICOM file', { facts: { fault: 'empty' } })
  const head = file.window(0, 132)
  const hasPreamble = head.length >= 132 && ascii(head, 128, 4) === 'DICM'
  const metaAt = hasPreamble ? 132 : 0
  const first = file.window(metaAt, 8)
  const hasMeta = first.length >= 8 && first[0] === 2 && first[1] === 0 && isVr(first[4]!, first[5]!)
  if (!hasPreamble && !hasMeta) return guessOpening(file, first)
  const walk = makeWalk(file, options, { isExplicit: true, isLittleEndian: true })
  const meta = hasMeta ? walk({ at: metaAt, whileGroup: 2 }) : { elements: [], end: metaAt }
  const syntax = find(meta.elements, tags.TransferSyntaxUID)
  if (!syntax) {
    const guess = guessOpening(file, file.window(meta.end, 8))
    return { ...guess, meta: meta.elements, fileDataSetAt: meta.end }
  }
  const uid = ascii(
    file.read(syntax.valueAt, Math.min(syntax.length, 64)),
    0,
    Math.min(syntax.length, 64),
  ).replace(/[\0 ]+$/, '')
  const layout = { ...layoutOf(uid) }
  const next = file.window(meta.end, 8)
  // Some writers announce one layout and use the other: the first element tells.
  if (next.length >= 8 && !layout.isDeflated && layout.isLittleEndian) {
    layout.isExplicit = layout.isExplicit ? isVr(next[4]!, next[5]!) : vrs.has(vrText(next[4]!, next[5]!))
  }
  return { meta: meta.elements, file, transferSyntax: uid, ...layout, fileDataSetAt: meta.end }
}

/** Files without a header: little or big endian and explicit or not, told from their first element. */
function guessOpening(file: ByteSource, first: Uint8Array): Opening {
  const opening = { meta: [], file, isDeflated: false, fileDataSetAt: 0 }
  if (first.length < 8) refuseNotDicom(file.sizeBytes, 'it is too short')
  const little = first[0]! + first[1]! * 256
  const big = first[0]! * 256 + first[1]!
  if (isVr(first[4]!, first[5]!)) {
    if (little <= big || big === 0) {
      return { ...opening, transferSyntax: syntaxes.explicitLittle, isExplicit: true, isLittleEndian: true }
    }
    return { ...opening, transferSyntax: syntaxes.explicitBig, isExplicit: true, isLittleEndian: false }
  }
  // Only a small, even group with a length that fits can be the beginning of an implicit data set.
  const length = first[4]! + first[5]! * 0x100 + first[6]! * 0x10000 + first[7]! * 0x1000000
  if (little > 0x00ff || little % 2 === 1 || length > file.sizeBytes)
    refuseNotDicom(file.sizeBytes, 'there is no header')
  return { ...opening, transferSyntax: syntaxes.implicitLittle, isExplicit: false, isLittleEndian: true }
}

function finish(opening: Opening, source: ByteSource, at: number, options: ReadOptions): DataSet {
  const { isExplicit, isLittleEndian } = opening
  const { elements } = makeWalk(source, options, { isExplicit, isLittleEndian })({ at })
  if (elements.length === 0 && opening.meta.length === 0)
    refuseNotDicom(source.sizeBytes, 'it holds no element')
  return { ...opening, source, metaSource: opening.file, elements, dataSetAt: at }
}

// ---- the walk ----

interface Frame {
  /** A data set or item holds elements; a sequence holds items. */
  readonly kind: 'set' | 'item' | 'sequence'
  readonly isExplicit: boolean
  readonly isLittleEndian: boolean
  /** Where it ends, or Infinity when a delimiter says so. */
  readonly end: number
  readonly elements: Element[]
  readonly items: Item[]
  /** The header that opened it. */
  readonly tag: Tag
  readonly vr: string
  readonly at: number
  readonly valueAt: number
  /** Its VR was written as UN. */
  readonly isUnknown: boolean
  /** The creators of private blocks seen so far, by the tag of their element. */
  creators: Map<Tag, string> | undefined
  pixelRepresentation: number | undefined
}

interface Layout {
  readonly isExplicit: boolean
  readonly isLittleEndian: boolean
}

function makeWalk(source: ByteSource, options: ReadOptions, layout: Layout) {
  const { dictionary } = options
  const depthMax = options.depthMax ?? defaults.depthMax
  const elementsMax = options.elementsMax ?? defaults.elementsMax
  const size = source.sizeBytes
  const fail = (why: string): never => refuseNotDicom(size, why)

  let bytes: Uint8Array = new Uint8Array(0)
  let base = 0
  function need(at: number, length: number): number {
    if (at + length > size) fail(`it ends within the header at ${at}`)
    if (at < base || at + length > base + bytes.length) {
      bytes = source.window(at, length)
      base = at
      if (bytes.length < length) fail(`it ends within the header at ${at}`)
    }
    return at - base
  }
  function u16(i: number, little: boolean): number {
    return little ? bytes[i]! | (bytes[i + 1]! << 8) : (bytes[i]! << 8) | bytes[i + 1]!
  }
  function u32(i: number, little: boolean): number {
    return little
      ? (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)) >>> 0
      : ((bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!) >>> 0
  }

  return function walk({ at: from, whileGroup }: { at: number; whileGroup?: number }) {
    const top = frame('set', layout, size, { tag: 0, vr: 'SQ', at: from, valueAt: from })
    const stack: Frame[] = [top]
    let count = 0
    let at = from
    // The last byte that is not zero, once somebody had to look.
    let lastWrittenAt = -1

    function frame(
      kind: Frame['kind'],
      how: Layout,
      end: number,
      head: { tag: Tag; vr: string; at: number; valueAt: number; isUnknown?: boolean },
    ): Frame {
      const { isExplicit, isLittleEndian } = how
      return {
        kind,
        isExplicit,
        isLittleEndian,
        end,
        elements: [],
        items: [],
        isUnknown: false,
        ...head,
        creators: undefined,
        pixelRepresentation: undefined,
      }
    }

    /** Closes the innermost frame at `valueEnd`; the next thing begins at `end`. */
    function close(valueEnd: number, end: number): void {
      const done = stack.pop()!
      const parent = stack[stack.length - 1]!
      const isOpen = done.end === Number.POSITIVE_INFINITY
      const { at: start, valueAt } = done
      if (done.kind === 'item') {
        if (options.keep !== 'top')
          parent.items.push({ at: start, valueAt, end, isOpen, elements: done.elements })
      } else if (options.keep !== 'top' || stack.length === 1) {
        const { tag, vr, items, isUnknown } = done
        const length = valueEnd - valueAt
        const element = { tag, vr, at: start, valueAt, end, length, isOpen, items }
        parent.elements.push(isUnknown ? { ...element, isUnknown } : element)
      }
      at = end
    }

    function push(next: Frame): void {
      if (stack.length >= depthMax) fail(`its sequences are nested more than ${depthMax} deep`)
      const outer = stack[stack.length - 1]!.end
      if (next.end !== Number.POSITIVE_INFINITY && next.end > Math.min(outer, size)) {
        fail(`the length of what begins at ${next.at} passes its surroundings`)
      }
      stack.push(next)
      at = next.valueAt
    }

    /** Steps over the pieces of encapsulated pixel data. */
    function readFragments(
      open: { tag: Tag; vr: string; at: number; valueAt: number },
      little: boolean,
    ): Element {
      const fragments: Fragment[] = []
      let next = open.valueAt
      for (;;) {
        const i = need(next, 8)
        const tag = u16(i, little) * 0x10000 + u16(i + 2, little)
        const length = u32(i + 4, little)
        if (tag === tags.SequenceEnd) {
          return { ...open, end: next + 8, length: next - open.valueAt, isOpen: true, fragments }
        }
        if (tag !== tags.Item || length === undefinedLength) fail(`there is no fragment at ${next}`)
        if (next + 8 + length > size) fail(`the fragment at ${next} is cut off`)
        if (++count > elementsMax) fail(`it holds more than ${elementsMax} elements`)
        fragments.push({ valueAt: next + 8, length })
        next += 8 + length
      }
    }

    /** Files that were rounded up to whole blocks end in zeros, which are no elements. */
    function isPaddingToEnd(from: number): boolean {
      if (size - from > paddingBytesMax || from <= lastWrittenAt) return false
      const end = source.read(from, size - from).findLastIndex(byte => byte !== 0)
      if (end >= 0) lastWrittenAt = from + end
      return end < 0
    }

    function creatorOf(within: Frame, tag: Tag): string | undefined {
      const block = Math.floor((tag % 0x10000) / 0x100)
      return within.creators?.get(Math.floor(tag / 0x10000) * 0x10000 + block)
    }

    /**
     * A value written as unknown is read as what the dictionary says, unless that is a sequence. Of a private one it
     * is believed only that it is text.
     */
    function knownVr(tag: Tag, within: Frame): string {
      const known = dictionary.entryOf(tag, creatorOf(within, tag))?.vr ?? 'UN'
      const vr = settleVr(known, tag, within.pixelRepresentation)
      return vr === 'SQ' || (isPrivate(tag) && !isTextVr(vr)) ? 'UN' : vr
    }

    for (;;) {
      const within = stack[stack.length - 1]!
      if (at >= within.end) {
        if (at > within.end) fail(`an element passes the end of what holds it at ${within.end}`)
        if (stack.length === 1) break
        close(at, at)
        continue
      }
      const little = within.isLittleEndian
      if (stack.length === 1 && size - at < 8 && isPadding(source.read(at, size - at))) break
      let i = need(at, 8)
      const group = u16(i, little)
      const tag: Tag = group * 0x10000 + u16(i + 2, little)
      if (stack.length === 1 && whileGroup !== undefined && group !== whileGroup) break
      if (stack.length === 1 && tag === 0 && isPaddingToEnd(at)) break
      if (++count > elementsMax) fail(`it holds more than ${elementsMax} elements`)
      const start = at

      if (within.kind === 'sequence') {
        const length = u32(i + 4, little)
        if (tag === tags.SequenceEnd) {
          if (within.end !== Number.POSITIVE_INFINITY) {
            at += 8 // A delimiter in a sequence of known length says nothing; it is stepped over.
            continue
          }
          close(start, start + 8)
          continue
        }
        if (tag !== tags.Item) fail(`there is no item at ${start}`)
        const end = length === undefinedLength ? Number.POSITIVE_INFINITY : start + 8 + length
        push(frame('item', within, end, { tag, vr: '', at: start, valueAt: start + 8 }))
        continue
      }
      if (tag === tags.ItemEnd && within.kind === 'item') {
        if (within.end === Number.POSITIVE_INFINITY) close(start, start + 8)
        else at += 8
        continue
      }
      if (group === 0xfffe) fail(`there is a delimiter at ${start} where an element should be`)

      let vr: string
      let length: number
      let valueAt: number
      if (within.isExplicit) {
        const isUpper = isVr(bytes[i + 4]!, bytes[i + 5]!)
        vr = isUpper ? vrText(bytes[i + 4]!, bytes[i + 5]!) : 'UN'
        if (isUpper && (longVrs.has(vr) || !vrs.has(vr))) {
          i = need(at, 12)
          length = u32(i + 8, little)
          valueAt = at + 12
          if (!vrs.has(vr)) vr = 'UN'
        } else {
          length = u16(i + 6, little)
          valueAt = at + 8
        }
      } else {
        vr = settleVr(dictionary.vrOf(tag, creatorOf(within, tag)), tag, within.pixelRepresentation)
        length = u32(i + 4, little)
        valueAt = at + 8
      }

      if (length === undefinedLength) {
        const head = { tag, vr, at: start, valueAt }
        if (isFragmented(head)) {
          const element = readFragments(head, little)
          within.elements.push(element)
          at = element.end
          continue
        }
        if (vr !== 'SQ' && vr !== 'UN') fail(`the element at ${start} has no length`)
        // An open UN holds a sequence in implicit little endian, whatever surrounds it.
        const isUnknown = vr === 'UN' && within.isExplicit
        const how = isUnknown ? { isExplicit: false, isLittleEndian: true } : within
        push(frame('sequence', how, Number.POSITIVE_INFINITY, { ...head, vr: 'SQ', isUnknown }))
        continue
      }
      const isUnknown = vr === 'UN' && within.isExplicit
      if (isUnknown) vr = knownVr(tag, within)
      const end = valueAt + length
      if (end > size) fail(`the value at ${valueAt} is cut off`)
      if (vr === 'SQ') {
        push(frame('sequence', within, end, { tag, vr, at: start, valueAt }))
        continue
      }
      if (isPrivateCreator(tag)) {
        const creator = ascii(source.read(valueAt, Math.min(length, 64)), 0, Math.min(length, 64))
        within.creators ??= new Map()
        within.creators.set(tag, creator.replace(/[\0 ]+$/, ''))
      } else if (tag === tags.PixelRepresentation && length === 2) {
        within.pixelRepresentation = u16(need(valueAt, 2), little)
      }
      if (options.keep !== 'top' || stack.length === 1) {
        const element = { tag, vr, at: start, valueAt, end, length, isOpen: false }
        within.elements.push(isUnknown ? { ...element, isUnknown } : element)
      }
      at = end
    }
    return { elements: top.elements as readonly Element[], end: at }
  }
}

/** Pixel data of undefined length is a list of fragments, as is any other value of bytes. */
function isFragmented(head: { tag: Tag; vr: string }): boolean {
  return head.vr !== 'SQ' && (head.tag === tags.PixelData || head.vr === 'OB' || head.vr === 'OW')
}

function isPadding(bytes: Uint8Array): boolean {
  return bytes.every(byte => byte === 0)
}

function isVr(a: number, b: number): boolean {
  return a >= 65 && a <= 90 && b >= 65 && b <= 90
}

const vrTexts = new Map<number, string>([...vrs].map(vr => [vr.charCodeAt(0) * 256 + vr.charCodeAt(1), vr]))
function vrText(a: number, b: number): string {
  return vrTexts.get(a * 256 + b) ?? String.fromCharCode(a, b)
}

function ascii(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length))
}
