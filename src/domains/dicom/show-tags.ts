// Data sets as JSON in the three forms that clients ask for: full, short, and simplified.

import type { Json, JsonObject } from '../../core/json.ts'
import type { Dictionary } from './dictionary/dictionary.ts'
import type { DataSet, Element } from './reading/data-set.ts'
import { isLongerThan, readAscii, showValue, type Values, valuesOf } from './reading/value.ts'
import { creatorTagOf, isPrivate, isPrivateCreator, type Tag, tags, tagText } from './tag.ts'

export type TagForm = 'full' | 'short' | 'simplified'

export interface ShowOptions {
  readonly dictionary: Dictionary
  readonly form: TagForm
  /** The term of the encoding for files that name none. */
  readonly defaultTerm: string
  /** Tags whose text is shown however long it is. */
  readonly ignoreLength?: ReadonlySet<Tag>
  /** Longest text shown; longer ones are `TooLong`. 0: without limit. */
  readonly lengthMax?: number
}

/** Shows the data set, without its meta group. */
export function showTags(set: DataSet, options: ShowOptions): JsonObject {
  return showElements(set.elements, valuesOf(set, options.defaultTerm).values, options)
}

/** Shows the meta group. */
export function showHeader(set: DataSet, options: ShowOptions): JsonObject {
  const shown = showElements(set.meta, valuesOf(set, options.defaultTerm).metaValues, options)
  delete shown[options.form === 'simplified' ? 'FileMetaInformationVersion' : '0002,0001'] // bytes are left out here
  return shown
}

/** Shows some elements of a data set; the depth of nesting was bounded when it was read. */
export function showElements(elements: readonly Element[], values: Values, options: ShowOptions): JsonObject {
  const shown: JsonObject = {}
  const creators = new Map<Tag, string>()
  const seen = new Set<Tag>()
  for (const element of elements) {
    const { tag } = element
    // Of a tag that is there twice, the first one counts everywhere.
    if (tag === tags.DataSetTrailingPadding || seen.has(tag)) continue
    seen.add(tag)
    if (isPrivateCreator(tag) && element.vr !== 'UN') creators.set(tag, showValue(element, values) ?? '')
    const creator = isPrivate(tag) && !element.items ? creators.get(creatorTagOf(tag)) : undefined
    const entry = options.dictionary.entryOf(tag, creator)
    const name = entry?.keyword ?? options.dictionary.nameOf(tag, creator)
    const key = options.form === 'simplified' ? name : tagText(tag)
    shown[key] = showElement(element, name, creator, values, options)
  }
  return shown
}

function showElement(
  element: Element,
  name: string,
  creator: string | undefined,
  values: Values,
  options: ShowOptions,
): Json {
  const typed = (type: string, value: Json): Json => {
    if (options.form !== 'full') return value
    return {
      Name: name,
      ...(creator === undefined ? {} : { PrivateCreator: creator }),
      Type: type,
      Value: value,
    }
  }
  if (element.items) {
    const items = element.items.map(item => showElements(item.elements, values, options))
    return typed('Sequence', items)
  }
  if (element.fragments || element.tag === tags.PixelData) return typed('Null', null)
  const lengthMax = options.lengthMax ?? 256
  const isLimited = lengthMax > 0 && !options.ignoreLength?.has(element.tag)
  // A text of so many bytes cannot be short enough in any character set: do not even read it.
  if (isLimited && element.length > lengthMax * 16) {
    return showLong(element, typed)
  }
  const isUnknownCreator = element.vr === 'UN' && isPrivateCreator(element.tag)
  const text = isUnknownCreator ? readAscii(element, values) : showValue(element, values)
  if (text === null) return typed('Null', null)
  if (isLimited && isLongerThan(text, lengthMax)) return typed('TooLong', null)
  return typed('String', text)
}

function showLong(element: Element, typed: (type: string, value: Json) => Json): Json {
  const isBytes = /^O.$|^UN$/.test(element.vr)
  return isBytes ? typed('Null', null) : typed('TooLong', null)
}
