// Data sets in the native DICOM model of PS3.19 as XML, made from the DICOM JSON model, which says the same things.

import { isObject, type Json, type JsonObject } from '../../core/json.ts'
import { inTagOrder } from './dicom-json.ts'
import type { Dictionary } from './dictionary/dictionary.ts'

const head =
  '<?xml version="1.0" encoding="utf-8"?>\n' +
  '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" ' +
  'xsi:schemaLocation="http://dicom.nema.org/PS3.19/models/NativeDICOM" ' +
  'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'

const nameParts = ['FamilyName', 'GivenName', 'MiddleName', 'NamePrefix', 'NameSuffix']

/** The XML of a data set in the DICOM JSON model (`showDicomJson`), whose depth is bounded. */
export function showDicomXml(shown: JsonObject, dictionary: Dictionary): string {
  const lines: string[] = []
  writeElements(shown, dictionary, 1, lines)
  return `${head}${lines.join('')}</NativeDicomModel>\n`
}

function writeElements(shown: JsonObject, dictionary: Dictionary, depth: number, lines: string[]): void {
  const indent = '  '.repeat(depth)
  for (const [tag, element] of inTagOrder(shown)) {
    const keyword = dictionary.entryOf(Number.parseInt(tag, 16))?.keyword
    const attributes = `tag="${tag}" vr="${element['vr']}"${keyword ? ` keyword="${keyword}"` : ''}`
    const inside: string[] = []
    writeValues(element, dictionary, depth + 1, inside)
    if (inside.length === 0) lines.push(`${indent}<DicomAttribute ${attributes} />\n`)
    else lines.push(`${indent}<DicomAttribute ${attributes}>\n`, ...inside, `${indent}</DicomAttribute>\n`)
  }
}

function writeValues(element: JsonObject, dictionary: Dictionary, depth: number, lines: string[]): void {
  const indent = '  '.repeat(depth)
  const bytes = element['InlineBinary']
  if (typeof bytes === 'string') lines.push(`${indent}<InlineBinary>${bytes}</InlineBinary>\n`)
  const values = (element['Value'] ?? []) as Json[]
  for (const [index, value] of values.entries()) {
    const number = `number="${index + 1}"`
    if (element['vr'] === 'SQ') {
      lines.push(`${indent}<Item ${number}>\n`)
      writeElements(value as JsonObject, dictionary, depth + 1, lines)
      lines.push(`${indent}</Item>\n`)
    } else if (isObject(value)) {
      lines.push(`${indent}<PersonName ${number}>\n`)
      writeName(value, depth + 1, lines)
      lines.push(`${indent}</PersonName>\n`)
    } else if (value === null || value === '') lines.push(`${indent}<Value ${number} />\n`)
    else lines.push(`${indent}<Value ${number}>${escaped(String(value))}</Value>\n`)
  }
}

function writeName(name: JsonObject, depth: number, lines: string[]): void {
  const indent = '  '.repeat(depth)
  for (const [group, text] of Object.entries(name)) {
    lines.push(`${indent}<${group}>\n`)
    for (const [index, part] of String(text).split('^').entries()) {
      const label = nameParts[index]
      if (label && part !== '') lines.push(`${indent}  <${label}>${escaped(part)}</${label}>\n`)
    }
    lines.push(`${indent}</${group}>\n`)
  }
}

function escaped(text: string): string {
  return text
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, '')
}
