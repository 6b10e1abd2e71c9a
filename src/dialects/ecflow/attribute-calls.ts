// What people ask of the attributes of nodes: to see, add, change and delete them.

import { refuse } from '../../core/refusal.ts'
import { addAttribute } from '../../domains/suite/planner/add-attribute.ts'
import type { AttributeEdit } from '../../domains/suite/planner/attribute-edit.ts'
import { changeAttribute } from '../../domains/suite/planner/change-attribute.ts'
import { deleteAllAttributes, deleteAttribute } from '../../domains/suite/planner/delete-attributes.ts'
import { changeClock, clockEdits } from '../../domains/suite/planner/edit-clock.ts'
import type { Living } from '../../domains/suite/planner/living.ts'
import { demandNode } from '../../domains/suite/planner/user-commands.ts'
import { showAttributes } from '../../domains/suite/shapes/attributes-json.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import type { Answer } from './answer.ts'
import { bodyObject, type Call, kindOf, mayLooseFlag, mayScalar, mayText, needText } from './call.ts'
import { changeBy } from './history.ts'
import { nodeAt } from './node-calls.ts'
import type { Parts } from './parts.ts'

/** The attributes of a node; its password only where `secrets` are shown. */
export function showNodeAttributes(parts: Parts, at: { path: string; secrets: boolean }): Answer {
  return { status: 200, value: showAttributes(nodeAt(parts, at.path), { secrets: at.secrets }) }
}

function readEdit(body: Record<string, unknown>): AttributeEdit {
  const type = needText(body, 'type')
  const name = mayText(body, 'name')
  const value = readValue(body, type)
  const oldValue = mayScalar(body, 'old_value')
  const min = mayScalar(body, 'min')
  const max = mayScalar(body, 'max')
  return {
    type,
    ...(name === undefined ? {} : { name }),
    ...(value === undefined ? {} : { value }),
    ...(oldValue === undefined ? {} : { oldValue }),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  }
}

function readValue(body: Record<string, unknown>, type: string): string | undefined {
  const { value } = body
  if (typeof value !== 'boolean') return mayScalar(body, 'value')
  if (type !== 'event')
    refuse('bad-field', `The member 'value' must be a string or a number, not ${kindOf(value)}`, {
      field: 'value',
    })
  return String(value)
}

async function alter(
  parts: Parts,
  call: Call,
  at: { verb: string; path: string; edit: AttributeEdit },
  fn: (living: Living, node: Node, edit: AttributeEdit) => void,
): Promise<void> {
  const { path, edit } = at
  const facts = [edit.type, edit.name, edit.oldValue, edit.value].filter(it => it)
  const text = `alter ${at.verb} ${facts.join(' ')} ${path}`
  await changeBy(parts, call, { path, text }, living => fn(living, demandNode(living, path), edit))
}

/** Adds an attribute to a node. */
export async function addNodeAttribute(parts: Parts, call: Call, path: string): Promise<Answer> {
  const edit = readEdit(bodyObject(call))
  await alter(parts, call, { verb: 'add', path, edit }, addAttribute)
  parts.count('alter_cmd')
  return {
    status: 201,
    value: { path, message: 'Attribute added successfully' },
    location: `/v1/suites${path}/attributes`,
  }
}

/** Changes an attribute of a node, or a suite's clock. */
export async function updateNodeAttribute(parts: Parts, call: Call, path: string): Promise<Answer> {
  const edit = readEdit(bodyObject(call))
  const type = clockEdits.find(it => it === edit.type)
  // Ours: the original has the clock's changes on the command line only.
  const change: typeof changeAttribute = type
    ? (living, node) => changeClock(living, node, { ...edit, type }, parts.localMinute())
    : changeAttribute
  await alter(parts, call, { verb: 'change', path, edit }, change)
  parts.count('alter_cmd')
  return { status: 200, value: { path, message: 'Attribute changed successfully' } }
}

/** Deletes an attribute of a node, or all of a type. */
export async function removeNodeAttribute(parts: Parts, call: Call, path: string): Promise<Answer> {
  const body = bodyObject(call)
  const edit = readEdit(body)
  // Ours: all of a type, as the original's command line does without a name.
  const drop: typeof deleteAttribute = mayLooseFlag(body, 'all')
    ? (living, node) => deleteAllAttributes(living, node, edit.type)
    : deleteAttribute
  await alter(parts, call, { verb: 'delete', path, edit }, drop)
  parts.count('alter_cmd')
  return { status: 204 }
}
