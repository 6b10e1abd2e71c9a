// Data sets in the DICOM JSON model (PS3.18 annex F): tags as eight digits, VR, and lists of values. Compressed
// pixels and very long values are left out.

import type { Json, JsonObject } from '../../core/json.ts'
import type { DataSet, Element } from './reading/data-set.ts'
import { readLittleEndian, showValue, type Values, valuesOf } from './reading/value.ts'
import { groupOf } from './tag.ts'

const numberVrs = new Set(['DS', 'FD', 'FL', 'IS', 'SL', 'SS', 'UL', 'US'])
const singleVrs = new Set(['LT', 'ST', 'UR', 'UT'])
/** Longer values are left out: a text has to hold all of it. */
const inlineBytesMax = 16 * 1024 * 1024

/** A data set in the DICOM JSON model (PS3.18 annex F). `defaultTerm`: the character set where it names none. */
export function showDicomJson(set: DataSet, defaultTerm: string): JsonObject {
  return showElements(set.elements, valuesOf(set, defaultTerm).values)
}

/**
 * The text of a data set in this model, tags in ascending order as PS3.18 F.2.2 demands: objects of JavaScript put names
 * like 52009229, which look like array indexes, before all others.
 */
export function writeDicomJson(shown: JsonObject): string {
  const members = inTagOrder(shown).map(([tag, attribute]) => {
    if (attribute['vr'] !== 'SQ' || attribute['Value'] === undefined)
      return `"${tag}":${JSON.stringify(attribute)}`
    const items = (attribute['Value'] as JsonObject[]).map(writeDicomJson)
    return `"${tag}":{"Value":[${items.join(',')}],"vr":"SQ"}`
  })
  return `{${members.join(',')}}`
}

/** The attributes of a data set in this model, in the order of their tags. */
export function inTagOrder(shown: JsonObject): [tag: string, attribute: JsonObject][] {
  const attributes = Object.entries(shown) as [string, JsonObject][]
  return attributes.sort(([a], [b]) => (a < b ? -1 : 1))
}

function showElements(elements: readonly Element[], values: Values): JsonObject {
  const shown: JsonObject = {}
  for (const element of elements) {
    // Group lengths are about the bytes of a file, which this is not.
    if (element.tag % 0x10000 === 0 && groupOf(element.tag) !== 0) continue
    if (element.fragments) continue
    shown[element.tag.toString(16).toUpperCase().padStart(8, '0')] = showElement(element, values)
  }
  return shown
}

function showElement(element: Element, values: Values): JsonObject {
  const { vr } = element
  // What is empty is there without a value: PS3.18, F.2.5.
  if (element.items?.length === 0) return { vr: 'SQ' }
  if (element.items) {
    return { Value: element.items.map(item => showElements(item.elements, values)), vr: 'SQ' }
  }
  const text = showValue(element, values)
  if (text === null) {
    if (element.length === 0 || element.length > inlineBytesMax) return { vr }
    return { InlineBinary: Buffer.from(readLittleEndian(element, values)).toString('base64'), vr }
  }
  if (text === '') return { vr }
  const parts = singleVrs.has(vr) ? [text] : text.split('\\')
  return { Value: parts.map(part => showPart(part, vr)), vr }
}

function showPart(part: string, vr: string): Json {
  if (vr === 'PN') {
    const [alphabetic, ideographic, phonetic] = part.split('=')
    return {
      ...(alphabetic ? { Alphabetic: alphabetic } : {}),
      ...(ideographic ? { Ideographic: ideographic } : {}),
      ...(phonetic ? { Phonetic: phonetic } : {}),
    }
  }
  if (vr === 'AT') return part.replace(',', '').toUpperCase()
  if (!numberVrs.has(vr)) return part
  const number = Number(part)
  return part.trim() === '' ? null : Number.isFinite(number) ? number : part
}
