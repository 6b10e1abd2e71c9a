// Scripts that people edit for one run: with the variables they use written above them, and how that comes back.

import { refuse } from '../../../core/refusal.ts'
import { isName } from '../language/name.ts'
import type { Variable } from '../tree/attribute.ts'
import { Node } from '../tree/node.ts'
import type { FoundScript, ScriptFiles } from './find-script.ts'
import { expandIncludes } from './make-job.ts'
import { jobVariable } from './substitute.ts'

/** What a script is edited as: the values that were written above it, and the script. */
export interface EditedScript {
  readonly variables: readonly Variable[]
  readonly script: string
}

/** Of a run itself, and not to be edited. */
const ownNames = new Set([
  ...['ECF_HOST', 'ECF_PORT', 'ECF_NAME', 'ECF_PASS', 'ECF_TRYNO', 'ECF_JOB', 'ECF_JOBOUT', 'ECF_SCRIPT'],
  ...['TASK', 'FAMILY', 'FAMILY1', 'SUITE'],
])

const variablesMax = 10_000

/** A script below the variables that it and its includes use; `expanded`: with its includes taken in. */
export async function editableScript(
  node: Node,
  files: ScriptFiles,
  at: { script: FoundScript; expanded: boolean },
): Promise<string> {
  const lines = await expandIncludes(node, files, at.script)
  const micro = microOf(node)
  const used = usedVariables(node, lines, micro)
  const above = used.map(([name, value]) => `${name} = ${value.replaceAll('\n', ' ')}`)
  const script = at.expanded ? `${lines.map(line => line.text).join('\n')}\n` : at.script.text
  if (above.length === 0) return script
  const [begin, end] = marks(micro)
  return `${begin}\n${above.join('\n')}\n${end}\n${script}`
}

function marks(micro: string): readonly [string, string] {
  return [`${micro}comment - ecf user variables`, `${micro}end - ecf user variables`]
}

function microOf(node: Node): string {
  return jobVariable(node, 'ECF_MICRO') ?? '%'
}

/** By name; `NAME:default` where only the default holds. A value's own variables are used, too. */
function usedVariables(
  node: Node,
  lines: readonly { readonly text: string; readonly isLiteral: boolean }[],
  firstMicro: string,
): [string, string][] {
  const found = new Map<string, string>()
  const look = (text: string, micro: string): void => {
    const waiting = [text]
    for (let line = waiting.pop(); line !== undefined; line = waiting.pop()) {
      if (!line.includes(micro)) continue
      const parts = line.replaceAll(micro + micro, '').split(micro)
      for (let index = 1; index < parts.length; index += 2) {
        const part = parts[index]!
        const [name = ''] = part.split(':', 1)
        if (
          !isName(name) ||
          ownNames.has(name) ||
          found.has(part) ||
          found.has(name) ||
          found.size >= variablesMax
        )
          continue
        const value = jobVariable(node, name)
        // A default with a sign of equality would be taken for the end of the name.
        const shown = part.includes('=') ? name : part
        if (value !== undefined) {
          found.set(shown, value)
          waiting.push(value)
        } else if (part !== name) found.set(shown, part.slice(name.length + 1))
      }
    }
  }
  let micro = firstMicro
  let isLeftOut = false
  for (const { text, isLiteral } of lines) {
    if (isLiteral) continue
    const word = text.startsWith(micro) ? /^[a-z]+/.exec(text.slice(micro.length))?.[0] : undefined
    if (word === 'manual' || word === 'comment' || word === 'nopp') isLeftOut = true
    else if (word === 'end') isLeftOut = false
    else if (word === 'ecfmicro') micro = text.slice(1).trim().split(/\s+/)[1] ?? micro
    else if (!isLeftOut) look(text, micro)
  }
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1))
}

/**
 * What somebody made of such a text. A value that is left empty is none: the task's own holds. Refuses a line that is no
 * variable, and a head without an end.
 */
export function readEdited(node: Node, text: string): EditedScript {
  const [begin, end] = marks(microOf(node))
  if (!text.startsWith(begin)) return { variables: [], script: text }
  const values = new Map<string, string>()
  let at = text.indexOf('\n') + 1
  for (let number = 2; ; number++) {
    if (at === 0) refuse('bad-field', `script: '${begin}' without '${end}'`, { field: 'script' })
    const until = text.indexOf('\n', at)
    const line = (until < 0 ? text.slice(at) : text.slice(at, until)).trim()
    at = until + 1
    if (line.startsWith(end)) break
    if (line === '') continue
    const sign = line.indexOf('=')
    // `NAME:default` names NAME.
    const name = line.slice(0, Math.max(0, sign)).trim().split(':', 1)[0]!
    if (!isName(name))
      refuse('bad-field', `script, line ${number}: expected NAME = VALUE, found '${line.slice(0, 100)}'`, {
        field: 'script',
      })
    const value = line.slice(sign + 1).trim()
    if (value !== '') values.set(name, value)
    if (values.size > variablesMax)
      refuse('bad-field', `script: more than ${variablesMax} variables`, { field: 'script' })
  }
  const script = at === 0 ? '' : text.slice(at)
  return { variables: [...values].map(([name, value]) => ({ name, value })), script }
}

/** The text that `readEdited` reads back: what is kept for a run. */
export function writeEdited(node: Node, edited: EditedScript): string {
  const [begin, end] = marks(microOf(node))
  const lines = edited.variables.map(({ name, value }) => `${name} = ${value}\n`)
  return `${begin}\n${lines.join('')}${end}\n${edited.script}`
}

/** The task as it would be with these variables: for making its job, not for the tree. */
export function withVariables(task: Node, variables: readonly Variable[]): Node {
  const shadow = new Node(task.kind, task.name, task.parent)
  shadow.run = task.run
  Object.assign(shadow.own, task.attributes)
  const given = new Set(variables.map(({ name }) => name))
  const kept = (task.attributes?.variables ?? []).filter(({ name }) => !given.has(name))
  shadow.own.variables = [...kept, ...variables.map(it => ({ ...it }))]
  return shadow
}

/** Where the edited script of a task's run is kept. */
export function editedPath(task: Node): string {
  return `${jobVariable(task, 'ECF_HOME') ?? ''}${task.path}.usr`
}
