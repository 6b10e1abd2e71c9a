// Variable substitution: `%NAME%` and `%NAME:default%`, values substituted again, `%%` for the character itself.

import { findVariable, ownVariable } from '../tree/lookup.ts'
import type { Node } from '../tree/node.ts'

/** A text that cannot be made: it names what is wrong and where. */
export class JobFault extends Error {
  override readonly name = 'JobFault'
  readonly flag: 'no_script' | 'edit_failed'

  constructor(flag: JobFault['flag'], text: string) {
    super(text)
    this.flag = flag
  }
}

const roundsMax = 1000
/** A line that grows beyond this was not meant to. */
const lengthMax = 1024 * 1024

/** Of these the generated value comes first, whatever a user wrote further up. */
const generatedFirst = new Set(['ECF_HOST', 'ECF_PORT', 'ECF_NAME', 'ECF_PASS', 'ECF_TRYNO'])

/** The value of a variable for a job of this node. */
export function jobVariable(node: Node, name: string): string | undefined {
  if (generatedFirst.has(name)) {
    if (name === 'ECF_NAME') return node.path
    if (name === 'ECF_PASS') return node.run?.password ?? ''
    if (name === 'ECF_TRYNO') return String(node.run?.tryNumber ?? 0)
    let root = node
    while (root.parent) root = root.parent
    return ownVariable(root, name) ?? findVariable(node, name)
  }
  return findVariable(node, name)
}

/** One line with all its variables replaced. Throws a JobFault that names the line. */
export function substitute(
  node: Node,
  line: string,
  options: { micro?: string; where?: string } = {},
): string {
  const micro = options.micro ?? jobVariable(node, 'ECF_MICRO') ?? '%'
  if (!line.includes(micro)) return line
  const where = options.where === undefined ? '' : ` (${options.where})`
  // `%%` stands aside until everything else is done, so that it never begins a name.
  const aside = '\0'
  let text = line
  for (let round = 0; ; round++) {
    if (round > roundsMax)
      throw new JobFault('edit_failed', `Variables refer to each other for ever in '${show(line)}'${where}`)
    if (text.length > lengthMax)
      throw new JobFault('edit_failed', `The line grows without end: '${show(line)}'${where}`)
    text = text.replaceAll(micro + micro, aside)
    const first = text.indexOf(micro)
    if (first < 0) break
    const second = text.indexOf(micro, first + 1)
    if (second < 0) throw new JobFault('edit_failed', `An odd number of ${micro} in '${show(line)}'${where}`)
    const inside = text.slice(first + 1, second)
    const colon = inside.indexOf(':')
    const name = colon < 0 ? inside : inside.slice(0, colon)
    const value = jobVariable(node, name) ?? (colon < 0 ? undefined : inside.slice(colon + 1))
    if (value === undefined)
      throw new JobFault('edit_failed', `Variable '${show(name)}' is not defined in '${show(line)}'${where}`)
    text = text.slice(0, first) + value + text.slice(second + 1)
  }
  return text.replaceAll(aside, micro)
}

function show(text: string): string {
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}
