// What a definition says again and again: names, labels, triggers. Each is kept once while a text is read, so that
// a suite of a hundred thousand similar tasks costs neither the time nor the memory of as many copies.

import type { Part } from '../tree/attribute.ts'

/** Texts longer than this are hardly ever repeated. */
const lengthMax = 80

/** Slots for texts, a power of two. A text pushes out the one that was in its slot, so memory stays bounded. */
const slots = 4096

/** Parsed expressions that are remembered at the same time. */
const conditionsMax = 4096

/** Finds what came before in the same text. Lives as long as one reading does. */
export class Repetition {
  private readonly texts: (string | undefined)[] = new Array(slots).fill(undefined)
  private repeated = 0
  private hasOwnConditions = false
  private readonly conditions = new Map<string, readonly Part[]>()

  /** The part of `text` between two offsets; the same string as last time when it was there before. */
  take(text: string, from: number, to: number): string {
    const length = to - from
    if (length > lengthMax) return text.slice(from, to)
    let hash = length
    for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
    const slot = (hash ^ (hash >>> 15)) & (slots - 1)
    const known = this.texts[slot]
    if (known !== undefined && known.length === length && isAt(text, from, known)) return known
    const taken = text.slice(from, to)
    this.texts[slot] = taken
    return taken
  }

  /** The parts that an expression of one line has; nobody changes them, so nodes share them. */
  condition(text: string, read: (text: string) => readonly Part[]): readonly Part[] {
    if (this.hasOwnConditions) return read(text)
    let parts = this.conditions.get(text)
    if (parts) {
      this.repeated++
      return parts
    }
    parts = read(text)
    if (this.conditions.size >= conditionsMax) {
      this.conditions.clear()
      // Hardly one came twice: looking for them costs more than it saves.
      this.hasOwnConditions = this.repeated < conditionsMax / 8
      this.repeated = 0
    }
    this.conditions.set(text, parts)
    return parts
  }
}

function isAt(text: string, from: number, known: string): boolean {
  for (let i = 0; i < known.length; i++) {
    if (text.charCodeAt(from + i) !== known.charCodeAt(i)) return false
  }
  return true
}
