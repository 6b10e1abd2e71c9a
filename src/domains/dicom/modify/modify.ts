// Modifies and anonymizes data sets. Elements that nobody asks to change are copied byte for byte; sequences are opened
// only where something inside them changes. The order of what is done is that of contracts/orthanc.md §3.5 and §3.6.

import { refuse } from '../../../core/refusal.ts'
import { type Dictionary, settleVr } from '../dictionary/dictionary.ts'
import { type Level, levels } from '../levels.ts'
import { type DataSet, type Element, find, type Item } from '../reading/data-set.ts'
import { type Layout, layoutOf, syntaxes } from '../reading/syntax.ts'
import { isTextVr, numberOf, readText, textOf, type Values, valuesOf } from '../reading/value.ts'
import { creatorTagOf, elementOf, groupOf, isPrivate, type Tag, tags } from '../tag.ts'
import { isKnownTerm, makeDecoder } from '../text/decode.ts'
import { type Encoder, makeEncoder } from '../text/encode.ts'
import { encodeValue } from '../writing/encode-value.ts'
import { openSequence, type Piece, putPiece, type SequencePiece } from '../writing/piece.ts'
import { transferElement } from '../writing/transfer.ts'
import { addCreator, isWriterOwned, type PieceWriter, readPiece } from '../writing/value-piece.ts'
import { type FileParts, lengthOf } from '../writing/writer.ts'
import { mappedPatientId, mappedUid } from './mapped-uids.ts'
import type { Modification } from './modification.ts'
import { applyPaths } from './path-changes.ts'
import { isWithin } from './profiles.ts'
import { recodePieces } from './recode.ts'
import type { TagPath } from './tag-path.ts'

/** The identifying element of each level. */
export const levelTags: Readonly<Record<Level, Tag>> = {
  patient: tags.PatientID,
  study: tags.StudyInstanceUID,
  series: tags.SeriesInstanceUID,
  instance: tags.SOPInstanceUID,
}

/** The class that files get whose tags name none. */
const noClass = '1.2.276.0.7230010.3.1.0.1'
const referencedFrameOfReference = 0x30060010
const rtReferencedStudy = 0x30060012
const referencedInstance = 0x00081155

/** Modifies data sets one by one; `parent` is what elements are inherited from. */
export type Modifier = (set: DataSet, parent?: DataSet) => FileParts

/** Makes a modifier. Refuses unknown character sets; what a value cannot be is refused when a file is modified. */
export function makeModifier(change: Modification, { dictionary }: { dictionary: Dictionary }): Modifier {
  const rules = makeRules(change)
  return (set, parent) => new Pass(set, change, rules, dictionary).run(parent)
}

interface Rules {
  readonly keeps: ReadonlySet<Tag>
  readonly keptCreators: ReadonlySet<Tag>
  readonly removes: ReadonlySet<Tag>
  readonly clears: ReadonlySet<Tag>
  readonly newUids: ReadonlySet<Tag>
  readonly replaces: ReadonlyMap<Tag, unknown>
  readonly inherits: ReadonlySet<Tag>
}

function makeRules(change: Modification): Rules {
  const keeps = new Set(change.keeps)
  const charset = change.replaces.find(([tag]) => tag === tags.SpecificCharacterSet)?.[1]
  const unknown =
    typeof charset === 'string'
      ? charset.split('\\').find(term => term !== '' && !isKnownTerm(term.trim()))
      : undefined
  if (unknown !== undefined) {
    refuse('bad-field', `Unknown specific character set: ${unknown}`, {
      field: 'SpecificCharacterSet',
      facts: { fault: 'out-of-range' },
    })
  }
  return {
    keeps,
    keptCreators: new Set(change.keeps.filter(isPrivate).map(creatorTagOf)),
    removes: new Set(change.removes),
    clears: new Set(change.clears),
    newUids: new Set(change.newUids),
    replaces: new Map(change.replaces),
    inherits: new Set(change.inherits?.tags),
  }
}

/** Where the walk is: the sequences around it, outermost first. */
interface Place {
  readonly tag: Tag
  readonly item: number
}

class Pass {
  readonly #set: DataSet
  readonly #change: Modification
  readonly #rules: Rules
  readonly #dictionary: Dictionary
  readonly #values: Values
  readonly #layout: Layout
  /** What the own identifiers of this file become, where the caller says so: references follow. */
  readonly #known = new Map<string, string>()

  constructor(set: DataSet, change: Modification, rules: Rules, dictionary: Dictionary) {
    this.#set = set
    this.#change = change
    this.#rules = rules
    this.#dictionary = dictionary
    this.#values = valuesOf(set, change.defaultTerm).values
    this.#layout = {
      isExplicit: set.isExplicit,
      isLittleEndian: set.isLittleEndian,
      isDeflated: set.isDeflated,
    }
    for (const level of ['study', 'series', 'instance'] as const) {
      const replaced = rules.replaces.get(levelTags[level])
      const old = this.#text(levelTags[level])
      if (typeof replaced === 'string' && old !== undefined) this.#known.set(old, replaced)
    }
  }

  run(parent: DataSet | undefined): FileParts {
    const write = this.#writer()
    const pieces = this.#walk(this.#set.elements, [], write)
    if (this.#rules.replaces.has(tags.SpecificCharacterSet)) recodePieces(pieces, this.#values, write.encoder)
    if (parent) this.#inherit(parent, pieces, write.encoder)
    for (const [tag, value] of this.#change.replaces) {
      if (isWriterOwned(tag)) continue
      putPiece(pieces, readPiece(tag, value, write))
      addCreator(tag, pieces, write)
    }
    this.#putIdentifiers(pieces, write)
    applyPaths(pieces, this.#change, write)
    this.#mendGroupLengths(pieces)
    return this.#file(pieces)
  }

  #text(tag: Tag): string | undefined {
    return textOf(this.#set.elements, tag, this.#values)
  }

  #writer(): PieceWriter {
    const { replaces } = this.#rules
    const { defaultTerm, privateCreator } = this.#change
    const replaced = replaces.get(tags.SpecificCharacterSet)
    const { terms } = typeof replaced === 'string' ? makeDecoder(replaced, defaultTerm) : this.#values.decoder
    const pixelRepresentation = numberOf(this.#set.elements, tags.PixelRepresentation, this.#values)
    return {
      dictionary: this.#dictionary,
      encoder: makeEncoder(terms),
      isLittleEndian: this.#layout.isLittleEndian,
      readsBinary: true,
      ...(privateCreator === undefined ? {} : { privateCreator }),
      ...(pixelRepresentation === undefined ? {} : { pixelRepresentation }),
    }
  }

  /** The elements of the top or of an item, as far as they stay. */
  #walk(elements: readonly Element[], within: readonly Place[], write: PieceWriter): Piece[] {
    const pieces: Piece[] = []
    for (const element of elements) {
      const piece =
        within.length === 0 ? this.#treatTop(element, write) : this.#treatInner(element, within, write)
      if (piece) pieces.push(piece)
    }
    return pieces
  }

  #treatTop(element: Element, write: PieceWriter): Piece | undefined {
    const { tag } = element
    const { keeps, keptCreators, removes, clears, newUids, replaces, inherits } = this.#rules
    if (inherits.has(tag)) return undefined
    if (!keeps.has(tag)) {
      if (this.#change.removesPrivate && isPrivate(tag) && !keptCreators.has(tag)) return undefined
      if (clears.has(tag)) return emptied(element)
      if (removes.has(tag) || this.#isInRange(tag)) return undefined
      const isOwn =
        tag === tags.StudyInstanceUID || tag === tags.SeriesInstanceUID || tag === tags.SOPInstanceUID
      if (newUids.has(tag) && !isOwn && !replaces.has(tag)) return this.#mapped(element, [], write)
    }
    return this.#opened(element, [], write)
  }

  #treatInner(element: Element, within: readonly Place[], write: PieceWriter): Piece | undefined {
    const { tag } = element
    if (this.#isKeptPath(within, tag)) return copied(element)
    const { removes, clears, newUids, replaces } = this.#rules
    if (this.#change.removesPrivate && isPrivate(tag)) return undefined
    if (removes.has(tag) || this.#isInRange(tag)) return undefined
    if (clears.has(tag)) return isTextVr(element.vr) ? emptied(element) : undefined
    if (tag === tags.StudyInstanceUID || tag === tags.SeriesInstanceUID || tag === tags.SOPInstanceUID) {
      return this.#mapped(element, within, write)
    }
    if (newUids.has(tag)) return this.#mapped(element, within, write)
    // Names of the patient inside public sequences say as much as the one at the top.
    if ((tag === tags.PatientName || tag === tags.PatientID) && !within.some(place => isPrivate(place.tag))) {
      if (element.length === 0) return copied(element)
      const value = tag === tags.PatientID ? this.#newPatientId() : replaces.get(tag)
      if (typeof value === 'string') return readPiece(tag, value, write)
    }
    return this.#opened(element, within, write)
  }

  /** A sequence whose items are treated too, when this is an anonymization; anything else as it is. */
  #opened(element: Element, within: readonly Place[], write: PieceWriter): Piece {
    const { items, tag } = element
    if (!this.#change.isAnonymization || !items || this.#isKeptPath(within, tag)) return copied(element)
    const inner = element.isUnknown ? { ...write, isLittleEndian: true } : write
    let isSame = true
    const treated = items.map((item, index) => {
      const pieces = this.#walk(item.elements, [...within, { tag, item: index }], inner)
      isSame &&= isUntouched(pieces, item)
      return { isOpen: item.isOpen, pieces }
    })
    if (isSame) return copied(element)
    return { ...openSequence({ ...element, items }), items: treated }
  }

  #isInRange(tag: Tag): boolean {
    return this.#change.removeRanges.some(range => isWithin(tag, range)) && !this.#rules.keeps.has(tag)
  }

  /** Whether a path that is kept leads here, or to something around this. */
  #isKeptPath(within: readonly Place[], tag: Tag): boolean {
    return this.#change.keepPaths.some(path => leadsTo(path, within, tag))
  }

  /** The same element with its new UIDs; several values are mapped one by one, empty ones stay. */
  #mapped(element: Element, within: readonly Place[], write: PieceWriter): Piece {
    const { tag } = element
    if (element.items || element.fragments || this.#isKeptReference(tag, within)) return copied(element)
    const values = isTextVr(element.vr) ? this.#values : { ...this.#values, decoder: plainDecoder }
    const old = readText(element, values)
    const text = old
      .split('\\')
      .map(one => (one.trim() === '' ? one : this.#mapUid(one.trim())))
      .join('\\')
    if (text === old) return copied(element)
    const options = { encoder: write.encoder, isLittleEndian: write.isLittleEndian }
    return { tag, vr: element.vr, bytes: encodeValue(tag, 'UI', text, options) }
  }

  /** References to what keeps its identifier stay as they are. */
  #isKeptReference(tag: Tag, within: readonly Place[]): boolean {
    if (within.length === 0) return false
    const { keeps } = this.#rules
    if (keeps.has(tag)) return true
    if (tag !== referencedInstance) return false
    const isStudy =
      within.length === 2 &&
      within[0]!.tag === referencedFrameOfReference &&
      within[1]!.tag === rtReferencedStudy
    return keeps.has(isStudy ? tags.StudyInstanceUID : tags.SOPInstanceUID)
  }

  #mapUid(old: string): string {
    return this.#known.get(old) ?? mappedUid(this.#change.seed, old)
  }

  #newPatientId(): string | undefined {
    if (this.#change.level !== 'patient') return undefined
    const replaced = this.#rules.replaces.get(tags.PatientID)
    if (typeof replaced === 'string') return replaced
    return mappedPatientId(this.#change.seed, this.#text(tags.PatientID) ?? '')
  }

  /** New identifiers for the level and those below. */
  #putIdentifiers(pieces: Piece[], write: PieceWriter): void {
    const { level, isAnonymization } = this.#change
    const { keeps, replaces } = this.#rules
    for (const each of levels.slice(levels.indexOf(level))) {
      const tag = levelTags[each]
      if (keeps.has(tag) || replaces.has(tag)) continue
      if (each === 'patient') {
        const id = isAnonymization ? this.#newPatientId() : undefined
        if (id !== undefined) putPiece(pieces, readPiece(tag, id, write))
      } else {
        const old = this.#text(tag)
        if (old === undefined) {
          refuse('bad-request', `The file has no ${this.#dictionary.nameOf(tag)}`, {
            field: this.#dictionary.nameOf(tag),
            facts: { fault: 'no-identifiers' },
          })
        }
        putPiece(pieces, readPiece(tag, this.#mapUid(old), write))
      }
    }
  }

  /** Takes the elements of the parent's modules over, in the character set of this file. */
  #inherit(parent: DataSet, pieces: Piece[], encoder: Encoder): void {
    const { values } = valuesOf(parent, this.#change.defaultTerm)
    for (const tag of this.#rules.inherits) {
      const element = find(parent.elements, tag)
      if (!element) continue
      putPiece(pieces, transferElement(element, values, encoder, this.#layout))
    }
  }

  /** Group lengths are retired, but where they stand they must be true. */
  #mendGroupLengths(pieces: Piece[]): void {
    for (const [index, piece] of pieces.entries()) {
      if (elementOf(piece.tag) !== 0 || groupOf(piece.tag) <= 2) continue
      const group = pieces.filter(
        other => groupOf(other.tag) === groupOf(piece.tag) && elementOf(other.tag) !== 0,
      )
      const bytes = new Uint8Array(4)
      const length = lengthOf(group, this.#layout)
      new DataView(bytes.buffer).setUint32(0, length, this.#layout.isLittleEndian)
      pieces[index] = { tag: piece.tag, vr: 'UL', bytes }
    }
  }

  #file(pieces: readonly Piece[]): FileParts {
    const { transferSyntax, isExplicit, source, meta, metaSource } = this.#set
    const metaValues = { source: metaSource, isLittleEndian: true, decoder: plainDecoder }
    const text = (tag: Tag): string | undefined => {
      const piece = pieces.find(other => other.tag === tag)
      if (!piece) return undefined
      if ('copy' in piece) return readText(piece.copy, this.#values)
      return 'bytes' in piece ? readPlain(piece.bytes) : undefined
    }
    const sopInstanceUid = text(tags.SOPInstanceUID) ?? ''
    const metaClass = find(meta, tags.MediaStorageSOPClassUID)
    // Some files announce one layout and use another: what is written announces what it uses.
    const isTrue = layoutOf(transferSyntax).isExplicit === isExplicit
    return {
      sopClassUid: text(tags.SOPClassUID) ?? (metaClass ? readText(metaClass, metaValues) : noClass),
      sopInstanceUid,
      transferSyntax: isTrue
        ? transferSyntax
        : isExplicit
          ? syntaxes.explicitLittle
          : syntaxes.implicitLittle,
      pieces,
      source,
    }
  }
}

const plainDecoder = makeDecoder(undefined, 'ISO_IR 100')

function copied(element: Element): Piece {
  return { tag: element.tag, copy: element }
}

function emptied(element: Element): Piece {
  const { tag } = element
  if (element.items) return { tag, items: [], isOpen: false } satisfies SequencePiece
  return { tag, vr: settleVr(element.vr, tag, 0), bytes: new Uint8Array(0) }
}

/** Whether all elements of an item are copied. */
function isUntouched(pieces: readonly Piece[], item: Item): boolean {
  return pieces.length === item.elements.length && pieces.every(piece => 'copy' in piece)
}

/** Whether a path stands for this place, or for a sequence that holds it. */
function leadsTo(path: TagPath, within: readonly Place[], tag: Tag): boolean {
  if (path.within.length > within.length) return false
  const isPrefix = path.within.every(
    (step, index) =>
      step.tag === within[index]!.tag && (step.item === null || step.item === within[index]!.item),
  )
  return isPrefix && path.tag === (within[path.within.length]?.tag ?? tag)
}

function readPlain(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
}
