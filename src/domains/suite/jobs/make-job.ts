// Script → job text: includes, manual, comment and nopp blocks, then variables, line by line.

import type { Node } from '../tree/node.ts'
import { type FoundScript, findScript, type ScriptFiles } from './find-script.ts'
import { JobFault, jobVariable, substitute } from './substitute.ts'

/** The same file may be included so often before it counts as a loop; and so deep. */
const includesMax = 100
const depthMax = 50
const linesMax = 1_000_000

interface Line {
  readonly text: string
  /** Not looked at any more: it comes from a nopp block or file. */
  readonly isLiteral: boolean
  readonly where: string
}

interface Maker {
  readonly node: Node
  readonly files: ScriptFiles
  readonly counts: Map<string, number>
  readonly lines: Line[]
  /** Where the script came from: quoted includes are relative to it. */
  readonly script: string
  micro: string
  /** The block that the lines taken in so far have left open, and the comments within a nopp. */
  block: { readonly name: string; comments: number } | undefined
}

/** Moves on over a directive: an `end` within nopp closes a comment in there first. */
function followBlock(maker: Pick<Maker, 'block'>, word: string): void {
  const { block } = maker
  if (!block) {
    if (word === 'manual' || word === 'comment' || word === 'nopp') maker.block = { name: word, comments: 0 }
  } else if (word === 'end') {
    if (block.comments > 0) block.comments--
    else maker.block = undefined
  } else if (block.name === 'nopp' && word === 'comment') block.comments++
}

/** The job of a task's next run, of its own script or of the one given. Throws a JobFault that names file and line. */
export async function makeJob(node: Node, files: ScriptFiles, given?: FoundScript): Promise<string> {
  return expand(await takeIn(node, files, given ?? (await findScript(node, files))))
}

/** A script with its includes taken in, as far as its blocks let them. */
export async function expandIncludes(
  node: Node,
  files: ScriptFiles,
  script: FoundScript,
): Promise<readonly Pick<Line, 'text' | 'isLiteral'>[]> {
  return (await takeIn(node, files, script)).lines
}

async function takeIn(node: Node, files: ScriptFiles, script: FoundScript): Promise<Maker> {
  const maker: Maker = {
    node,
    files,
    counts: new Map(),
    lines: [],
    script: script.source,
    block: undefined,
    micro: jobVariable(node, 'ECF_MICRO') ?? '%',
  }
  await include(maker, script.text, { source: script.source, depth: 0, isLiteral: false })
  return maker
}

/** Takes a file's lines in, and in place of each include line the lines of that file. */
async function include(
  maker: Maker,
  text: string,
  at: { source: string; depth: number; isLiteral: boolean },
): Promise<void> {
  if (at.depth > depthMax)
    throw new JobFault('edit_failed', `Includes are nested more than ${depthMax} deep at ${at.source}`)
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  for (const [index, line] of lines.entries()) {
    const where = `${at.source}:${index + 1}`
    if (maker.lines.length >= linesMax)
      throw new JobFault('edit_failed', `The job has more than ${linesMax} lines at ${where}`)
    const word = at.isLiteral ? undefined : directiveOf(maker, line)
    // What is left out or kept as it is includes nothing.
    const wasOpen = maker.block !== undefined
    if (word !== undefined) followBlock(maker, word)
    const match =
      at.isLiteral || wasOpen
        ? undefined
        : /^(include|includeonce|includenopp)\s+(\S.*?)\s*$/.exec(line.slice(1))
    if (match && line.startsWith(maker.micro)) {
      await includeFile(maker, match[1]!, match[2]!, { ...at, where })
      continue
    }
    if (!wasOpen && word === 'ecfmicro') {
      const micro = line.slice(1).trim().split(/\s+/)[1]
      if (micro === undefined || micro.length !== 1)
        throw new JobFault('edit_failed', `ecfmicro takes one character (${where})`)
      maker.lines.push({ text: line, isLiteral: at.isLiteral, where })
      maker.micro = micro
      continue
    }
    maker.lines.push({ text: line, isLiteral: at.isLiteral, where })
  }
}

async function includeFile(
  maker: Maker,
  kind: string,
  name: string,
  at: { source: string; depth: number; where: string },
): Promise<void> {
  const path = await resolveInclude(maker, name, at)
  const count = (maker.counts.get(path) ?? 0) + 1
  maker.counts.set(path, count)
  if (kind === 'includeonce' && count > 1) return
  if (count > includesMax)
    throw new JobFault('edit_failed', `${path} is included more than ${includesMax} times (${at.where})`)
  const text = await maker.files.read(path)
  if (text === undefined)
    throw new JobFault('edit_failed', `Included file ${path} cannot be read (${at.where})`)
  await include(maker, text, { source: path, depth: at.depth + 1, isLiteral: kind === 'includenopp' })
}

async function resolveInclude(
  maker: Maker,
  name: string,
  at: { source: string; where: string },
): Promise<string> {
  const { node } = maker
  const text = substitute(node, name, { micro: maker.micro, where: at.where })
  const angled = /^<(.*)>$/.exec(text)?.[1]
  const quoted = /^"(.*)"$/.exec(text)?.[1]
  if (angled !== undefined) {
    if (angled.startsWith('/')) return angled
    const given = substitute(node, jobVariable(node, 'ECF_INCLUDE') ?? '', { where: 'ECF_INCLUDE' })
    const home = jobVariable(node, 'ECF_HOME') ?? ''
    const folders = [...given.split(':').filter(folder => folder !== ''), home]
    for (const folder of folders) {
      if ((await maker.files.read(`${folder}/${angled}`)) !== undefined) return `${folder}/${angled}`
    }
    throw new JobFault(
      'edit_failed',
      `Included file ${angled} is in none of ${folders.join(', ')} (${at.where})`,
    )
  }
  if (quoted === undefined) return text
  if (quoted.startsWith('/')) return quoted
  if (quoted.startsWith('./') || quoted.startsWith('../')) {
    const folder = maker.script.slice(0, Math.max(0, maker.script.lastIndexOf('/')))
    return `${folder}/${quoted}`
  }
  const levels = [jobVariable(node, 'ECF_HOME'), jobVariable(node, 'SUITE'), jobVariable(node, 'FAMILY')]
  return [...levels.filter(level => level !== undefined), quoted].join('/')
}

/** The directive a line begins with, `manual` for `%manual`; undefined for any other line. */
function directiveOf(maker: Maker, line: string): string | undefined {
  if (!line.startsWith(maker.micro)) return undefined
  const word = /^[a-z]+/.exec(line.slice(maker.micro.length))?.[0]
  return word !== undefined && directives.has(word) ? word : undefined
}

const directives = new Set(['manual', 'comment', 'nopp', 'end', 'ecfmicro'])

/** Drops manual and comment blocks, keeps nopp blocks as they are, and replaces variables in the rest. */
function expand(maker: Maker): string {
  const job: string[] = []
  maker.micro = jobVariable(maker.node, 'ECF_MICRO') ?? '%'
  const open: Pick<Maker, 'block'> = { block: undefined }
  let openedAt = ''
  for (const line of maker.lines) {
    const { block } = open
    if (line.isLiteral) {
      if (block?.name !== 'manual' && block?.name !== 'comment') job.push(line.text)
      continue
    }
    const word = directiveOf(maker, line.text)
    if (word !== undefined) followBlock(open, word)
    if (block) {
      // The mark that ends a block is dropped with it; within nopp everything else is kept.
      if (block.name === 'nopp' && open.block) job.push(line.text)
      else if (word === 'manual' || word === 'comment') {
        throw new JobFault('edit_failed', `${word} inside of ${block.name} (${line.where})`)
      }
      continue
    }
    if (word === 'end') throw new JobFault('edit_failed', `end without a block (${line.where})`)
    if (word === 'ecfmicro') maker.micro = line.text.slice(1).trim().split(/\s+/)[1]!
    else if (word !== undefined) openedAt = line.where
    else job.push(substitute(maker.node, line.text, { micro: maker.micro, where: line.where }))
  }
  const { block } = open
  if (block) throw new JobFault('edit_failed', `${block.name} without an end (${openedAt})`)
  return job.join('\n')
}

/** The manual of a script: its manual blocks, unexpanded. */
export function manualOf(script: string, micro: string): string {
  const lines: string[] = []
  let isInside = false
  for (const line of script.split('\n')) {
    if (line.startsWith(`${micro}manual`)) isInside = true
    else if (line.startsWith(`${micro}end`)) isInside = false
    else if (isInside) lines.push(line)
  }
  return lines.join('\n')
}
