// Where a task's script is: the order of places, and the paths in each. Reading is the caller's.

import type { Node } from '../tree/node.ts'
import { findUserVariable } from '../tree/user-variable.ts'
import { JobFault, jobVariable, substitute } from './substitute.ts'

/** Reading for jobs; what lies outside of the allowed places is as if it were not there. */
export interface ScriptFiles {
  /** The text of a file; undefined when there is none (or it may not be read). */
  read(path: string): Promise<string | undefined>
  isFolder(path: string): Promise<boolean>
  /** Standard output of a shell command. */
  output(command: string): Promise<string>
}

export interface FoundScript {
  readonly text: string
  /** The file, or the command that printed it. */
  readonly source: string
}

/** The unexpanded script of a task; throws a JobFault that lists where it was looked for. */
export async function findScript(node: Node, files: ScriptFiles): Promise<FoundScript> {
  const tried: string[] = []
  const direct = jobVariable(node, 'ECF_SCRIPT') ?? ''
  const text = await files.read(direct)
  if (text !== undefined) return { text, source: direct }
  tried.push(`ECF_SCRIPT(${direct}) does not exist`)
  const fetcher = jobVariable(node, 'ECF_FETCH')
  if (fetcher !== undefined) {
    const line = `${substitute(node, fetcher, { where: 'ECF_FETCH' })} -s ${node.name}${extensionOf(node)}`
    return { text: await files.output(line), source: line }
  }
  tried.push('variable ECF_FETCH is not defined')
  const command = jobVariable(node, 'ECF_SCRIPT_CMD')
  if (command !== undefined) {
    const line = substitute(node, command, { where: 'ECF_SCRIPT_CMD' })
    return { text: await files.output(line), source: line }
  }
  tried.push('variable ECF_SCRIPT_CMD is not defined')
  for (const variable of ['ECF_FILES', 'ECF_HOME'] as const) {
    const given = jobVariable(node, variable)
    if (given === undefined) {
      tried.push(`variable ${variable} is not defined`)
      continue
    }
    const folder = (await files.isFolder(given)) ? given : substitute(node, given, { where: variable })
    for (const path of candidates(node, folder)) {
      const found = await files.read(path)
      if (found !== undefined) return { text: found, source: path }
    }
    tried.push(`search of directory ${variable}(${folder}) failed`)
  }
  throw new JobFault('no_script', `Script for ${node.path} cannot be found: ${tried.join('; ')}`)
}

/** Whether a command may have to print the script of a task's next job. */
export function scriptIsPrinted(node: Node): boolean {
  const isSet = (name: string) => findUserVariable(node, name) !== undefined
  return (isSet('ECF_FETCH') || isSet('ECF_SCRIPT_CMD')) && !isSet('ECF_NO_SCRIPT')
}

/** /s/f/t: the whole path first, then without its first levels (or, by option, without its last ones). */
function candidates(node: Node, folder: string): string[] {
  const names = node.path.split('/').slice(1)
  const leaf = names.at(-1)!
  const paths: string[] = []
  if (jobVariable(node, 'ECF_FILES_LOOKUP') === 'prune_leaf') {
    for (let count = names.length - 1; count >= 0; count--)
      paths.push([...names.slice(0, count), leaf].join('/'))
  } else for (let from = 0; from < names.length; from++) paths.push(names.slice(from).join('/'))
  const extension = extensionOf(node)
  return paths.map(path => `${folder}/${path}${extension}`)
}

function extensionOf(node: Node): string {
  return jobVariable(node, 'ECF_EXTN') ?? '.ecf'
}
