// Checks a JSON value against a small structural description and says, in the words Scale's clients know, what is wrong and where.
// It covers only what the documents of this room need: members, lists, enumerations, patterns, and places with alternatives.

import { isObject } from '../../core/json.ts'
import { pythonText } from './python-text.ts'

/** The description of one place in a document. */
export interface Shape {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  readonly oneOfWords?: readonly string[]
  readonly pattern?: RegExp
  readonly minimum?: number
  readonly minItems?: number
  readonly items?: Shape
  readonly required?: readonly string[]
  readonly members?: Readonly<Record<string, Shape>>
  /** What members that are not listed must look like; `false` forbids them, absent allows anything. */
  readonly others?: false | Shape
  /** The value must fit one of these; every alternative's faults are reported when none fits. */
  readonly alternatives?: readonly Shape[]
}

/** One thing wrong: where, with which value, and the sentence. */
export interface Fault {
  readonly path: readonly (string | number)[]
  readonly value: unknown
  readonly text: string
  /** Filled when the place offers alternatives and none of them fitted. */
  readonly alternatives?: readonly Fault[]
}

/** A document with more faults than this is simply bad; the rest is not collected. */
const faultCountMax = 100

/** Lists what is wrong with `value`; an empty list means it fits. */
export function findFaults(value: unknown, shape: Shape): Fault[] {
  const faults: Fault[] = []
  collect(value, shape, [], faults)
  return faults
}

/** A member of an object that is its own, never one inherited from the language. */
export function member(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** The value at a place, as `['files']['src'][0]`. */
export function placeText(path: readonly (string | number)[]): string {
  return path.map(step => (typeof step === 'number' ? `[${step}]` : `['${step}']`)).join('')
}

/** A fault as a sentence with its place, for documents whose errors are one text. */
export function faultText(fault: Fault): string {
  return `${fault.text}\n\nOn instance${placeText(fault.path)}:\n    ${pythonText(fault.value)}`
}

// One path is used for the whole walk, and copied only into faults: documents are large, and mostly right.
function collect(value: unknown, shape: Shape, path: (string | number)[], faults: Fault[]): void {
  if (faults.length >= faultCountMax) return
  if (shape.alternatives) {
    collectAlternatives(value, shape.alternatives, path, faults)
    return
  }
  const add = (text: string): void => {
    faults.push({ path: [...path], value, text })
  }
  if (shape.type && !hasType(value, shape.type)) {
    add(`${pythonText(value)} is not of type '${shape.type}'`)
    return
  }
  if (shape.oneOfWords && !(typeof value === 'string' && shape.oneOfWords.includes(value)))
    add(`${pythonText(value)} is not one of ${pythonText(shape.oneOfWords)}`)
  if (shape.pattern && typeof value === 'string' && !shape.pattern.test(value))
    add(`${pythonText(value)} does not match '${shape.pattern.source}'`)
  if (shape.minimum !== undefined && typeof value === 'number' && value < shape.minimum)
    add(`${value} is less than the minimum of ${shape.minimum}`)
  if (Array.isArray(value)) {
    if (shape.minItems !== undefined && value.length < shape.minItems)
      add(`${pythonText(value)} is too short`)
    if (shape.items)
      for (const [index, item] of value.entries()) collectAt(item, shape.items, path, index, faults)
  } else if (isObject(value)) collectMembers(value, shape, path, faults)
}

function collectAt(
  value: unknown,
  shape: Shape,
  path: (string | number)[],
  step: string | number,
  faults: Fault[],
): void {
  path.push(step)
  collect(value, shape, path, faults)
  path.pop()
}

function collectMembers(
  value: Readonly<Record<string, unknown>>,
  shape: Shape,
  path: (string | number)[],
  faults: Fault[],
): void {
  for (const name of shape.required ?? [])
    if (!Object.hasOwn(value, name))
      faults.push({ path: [...path], value, text: `'${name}' is a required property` })
  const unexpected: string[] = []
  for (const name of Object.keys(value)) {
    const described = shape.members && Object.hasOwn(shape.members, name) ? shape.members[name] : undefined
    if (described) collectAt(value[name], described, path, name, faults)
    else if (shape.others === false) unexpected.push(name)
    else if (shape.others) collectAt(value[name], shape.others, path, name, faults)
  }
  if (unexpected.length === 0) return
  const names = unexpected.slice(0, 10).map(pythonText).join(', ')
  const verb = unexpected.length === 1 ? 'was' : 'were'
  faults.push({
    path: [...path],
    value,
    text: `Additional properties are not allowed (${names} ${verb} unexpected)`,
  })
}

function collectAlternatives(
  value: unknown,
  alternatives: readonly Shape[],
  path: (string | number)[],
  faults: Fault[],
): void {
  // Asked first without words: in a good document two of three alternatives do not fit, and nobody wants to know why.
  if (alternatives.some(alternative => fits(value, alternative))) return
  const all: Fault[] = []
  for (const alternative of alternatives) collect(value, alternative, path, all)
  const text = `${pythonText(value)} is not valid under any of the given schemas`
  faults.push({ path: [...path], value, text, alternatives: all })
}

function fits(value: unknown, shape: Shape): boolean {
  if (shape.alternatives) return shape.alternatives.some(alternative => fits(value, alternative))
  if (shape.type && !hasType(value, shape.type)) return false
  if (shape.oneOfWords && !(typeof value === 'string' && shape.oneOfWords.includes(value))) return false
  if (shape.pattern && typeof value === 'string' && !shape.pattern.test(value)) return false
  if (shape.minimum !== undefined && typeof value === 'number' && value < shape.minimum) return false
  if (Array.isArray(value)) {
    if (shape.minItems !== undefined && value.length < shape.minItems) return false
    const { items } = shape
    return !items || value.every(item => fits(item, items))
  }
  return !isObject(value) || membersFit(value, shape)
}

function membersFit(value: Readonly<Record<string, unknown>>, shape: Shape): boolean {
  for (const name of shape.required ?? []) if (!Object.hasOwn(value, name)) return false
  for (const name of Object.keys(value)) {
    const described = shape.members && Object.hasOwn(shape.members, name) ? shape.members[name] : undefined
    const wanted = described ?? shape.others
    if (wanted === false || (wanted && !fits(value[name], wanted))) return false
  }
  return true
}

function hasType(value: unknown, type: NonNullable<Shape['type']>): boolean {
  switch (type) {
    case 'object':
      return isObject(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'number':
      return typeof value === 'number'
    default:
      return typeof value === type
  }
}
