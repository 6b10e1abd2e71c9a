// What an edit of an attribute says, and what is said when it cannot be: one sentence for each kind of mistake.

import { refuse } from '../../../core/refusal.ts'
import { isName, nameRule, readInteger } from '../language/name.ts'
import type { Node } from '../tree/node.ts'
import type { Living } from './living.ts'

/** Texts of one edit, as the wire gave them. Which ones are needed depends on the type. */
export interface AttributeEdit {
  readonly type: string
  readonly name?: string
  readonly value?: string
  readonly oldValue?: string
  readonly min?: string
  readonly max?: string
}

/** What every edit leaves behind: it is written down, the planner knows, and who looks at it is woken. */
export function finishEdit(living: Living, node: Node, edit: AttributeEdit): void {
  living.touch(node)
  living.setFlag(node, 'message', true)
  living.enrolNode(node)
  if (edit.name !== undefined) living.wakeReaders(node, edit.name)
  else living.wakeDependents(node)
  living.mark(node)
}

/** A text that the edit has to bring. */
export function need(edit: AttributeEdit, member: keyof AttributeEdit): string {
  const value = edit[member]
  const field = member === 'oldValue' ? 'old_value' : member
  if (value === undefined) refuse('bad-field', `The member '${field}' is missing`, { field })
  return value
}

/** The edit's name, which has to be one that nodes could have. */
export function needName(edit: AttributeEdit): string {
  const name = need(edit, 'name')
  if (!isName(name))
    refuse('bad-field', `name: expected ${nameRule}, not '${name.slice(0, 60)}'`, { field: 'name' })
  return name
}

/** The edit's value. */
export function needValue(edit: AttributeEdit): string {
  return need(edit, 'value')
}

/** A text of the edit as an integer; `field` is named where it is none. */
export function needInteger(edit: AttributeEdit, field: string, text: string): number {
  const value = readInteger(text.trim())
  if (value === undefined)
    refuse('bad-field', `${field}: expected an integer for ${edit.type}, not '${text.slice(0, 40)}'`, {
      field,
    })
  return value
}

/** Whether the edit sets an event, or clears it. */
export function readSwitch(edit: AttributeEdit): boolean {
  const value = needValue(edit)
  if (value === 'set' || value === 'true') return true
  if (value === 'clear' || value === 'false') return false
  return refuse('bad-field', "'value' for an event must be one of set, true, clear, false", {
    field: 'value',
  })
}

/** Refuses to add what is there already under the same name. */
export function refuseDuplicate(
  list: readonly { name: string }[] | undefined,
  name: string,
  edit: AttributeEdit,
): void {
  if (!list?.some(it => it.name === name)) return
  refuse('bad-field', `Add ${edit.type} failed: a ${edit.type} of name '${name}' is there already`, {
    field: 'name',
  })
}

/** The attribute that was looked for; refuses when it was not found. */
export function demand<T>(item: T | undefined, node: Node, edit: AttributeEdit): T {
  if (item === undefined) refuseMissing(node, edit)
  return item
}

/** Says that the node has no such attribute. */
export function refuseMissing(node: Node, edit: AttributeEdit): never {
  const what = edit.name ?? edit.value ?? ''
  return refuse(
    'not-found',
    `Could not find ${edit.type}${what === '' ? '' : ` '${what.slice(0, 60)}'`} on ${node.path}`,
  )
}

/** Says that the edit's type is none that this can be done with. */
export function refuseType(edit: AttributeEdit): never {
  return refuse('bad-field', `type: '${edit.type.slice(0, 40)}' is no type of attribute for this`, {
    field: 'type',
  })
}
