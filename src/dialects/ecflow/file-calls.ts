// What people ask of a task's files: its script, the job made of it, its manual, and what its last run printed.

import { createReadStream } from 'node:fs'
import { refuse } from '../../core/refusal.ts'
import {
  type EditedScript,
  editableScript,
  editedPath,
  readEdited,
  withVariables,
  writeEdited,
} from '../../domains/suite/jobs/edit-script.ts'
import { findScript } from '../../domains/suite/jobs/find-script.ts'
import { makeJob } from '../../domains/suite/jobs/make-job.ts'
import { JobFault, jobVariable } from '../../domains/suite/jobs/substitute.ts'
import {
  addAlias,
  demandEditable,
  nextAlias,
  refuseBusy,
  submitEdited,
} from '../../domains/suite/planner/run-edited.ts'
import { findNode } from '../../domains/suite/tree/find.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import type { Answer } from './answer.ts'
import { bodyObject, type Call, mayLooseFlag, mayText, needText } from './call.ts'
import { AnswerError } from './errors.ts'
import { changeBy } from './history.ts'
import type { Parts } from './parts.ts'

/** How many lines of a script, job or output are shown. */
const linesMax = 10_000

/** How much of an output is shown at once when a part of it is asked for. */
const partBytesMax = 16 * 1024 * 1024

function taskAt(parts: Parts, path: string, what: string): Node {
  const node = findNode(parts.keeper.living.root, path)
  if (!node || node.kind === 'root') refuse('not-found', `Path ${path} not found`)
  if (node.kind !== 'task' && node.kind !== 'alias')
    refuse('bad-field', `Option ${what} is only valid for tasks`)
  return node
}

/**
 * A task's script and the job that was made of it: the last lines of each. `content`: ours, for the client's --edit_script
 * and --checkJobGenOnly. `edit`: below the variables it uses; `pre_process`: with its includes, too; `job`: the job as it
 * would be made now.
 */
export async function showScript(
  parts: Parts,
  call: Call,
  at: { path: string; secrets: boolean },
): Promise<Answer> {
  const node = taskAt(parts, at.path, 'script')
  const content = call.query.get('content')
  if (content !== null) return showScriptAs(parts, node, { content, secrets: at.secrets })
  const { text } = await findTaskScript(parts, node)
  const job = (await parts.folders.readText(jobVariable(node, 'ECF_JOB') ?? '')) ?? ''
  parts.count('file_ecf')
  return { status: 200, value: { script: lastLines(text), job: lastLines(tellable(node, job, at)) } }
}

/** A job has its password in it, with which anybody could speak for it while it runs. */
function tellable(node: Node, job: string, at: { secrets: boolean }): string {
  const password = node.run?.password ?? ''
  return at.secrets || password === '' ? job : job.replaceAll(password, '***')
}

async function findTaskScript(parts: Parts, node: Node): Promise<{ text: string; source: string }> {
  const files = parts.folders.forJobs(command => parts.printed(node, command))
  try {
    return await findScript(node, files)
  } catch (error) {
    if (error instanceof JobFault) throw new AnswerError(404, error.message)
    throw error
  }
}

async function showScriptAs(
  parts: Parts,
  node: Node,
  at: { content: string; secrets: boolean },
): Promise<Answer> {
  const { content } = at
  if (content !== 'edit' && content !== 'pre_process' && content !== 'job')
    refuse('bad-field', 'content: expected edit, pre_process or job', { field: 'content' })
  const script = await findTaskScript(parts, node)
  const files = parts.folders.forJobs(command => parts.printed(node, command))
  try {
    const value =
      content === 'job'
        ? { script: script.text, job: tellable(node, await makeJob(node, files, script), at) }
        : { script: await editableScript(node, files, { script, expanded: content === 'pre_process' }) }
    parts.count(content === 'job' ? 'node_check_job_gen_only' : 'edit_script')
    return { status: 200, value }
  } catch (error) {
    if (error instanceof JobFault) throw new AnswerError(400, error.message)
    throw error
  }
}

/** Writes a task's script; with an action, what is given is for one run of the task, or for none. */
export async function updateScript(parts: Parts, call: Call, path: string): Promise<Answer> {
  const body = bodyObject(call)
  const script = needText(body, 'script')
  const action = mayText(body, 'action')
  if (action !== undefined) return useEditedScript(parts, call, { path, action, script, body })
  const node = taskAt(parts, path, 'script')
  const { source } = await findTaskScript(parts, node)
  if (!(await parts.folders.replace(source, script)))
    throw new AnswerError(404, `There is no script of ${path} to be replaced`)
  await changeBy(parts, call, { path, text: `edit_script ${path} submit_file` }, () => {})
  parts.count('edit_script')
  return { status: 200, value: { path, message: 'Script updated successfully' } }
}

/** Ours, for the client's --edit_script: a script that somebody edited, for one run or for none. */
async function useEditedScript(
  parts: Parts,
  call: Call,
  of: { path: string; action: string; script: string; body: Record<string, unknown> },
): Promise<Answer> {
  const { path, action, body } = of
  if (action !== 'pre_process_file' && action !== 'submit' && action !== 'submit_file') {
    refuse('bad-field', 'action: expected pre_process_file, submit or submit_file', { field: 'action' })
  }
  const isAlias = mayLooseFlag(body, 'create_alias')
  const isRun = !mayLooseFlag(body, 'no_run')
  if ((isAlias || !isRun) && (action !== 'submit_file' || !isAlias))
    refuse('bad-field', 'create_alias goes with submit_file, and no_run with create_alias', {
      field: 'create_alias',
    })
  const node = taskAt(parts, path, 'script')
  const given = readEdited(node, of.script)
  const edited = action === 'submit' ? { ...given, script: (await findTaskScript(parts, node)).text } : given
  parts.count('edit_script')
  const job = await makeEditedJob(parts, node, edited)
  if (action === 'pre_process_file')
    return { status: 200, value: { path, message: 'Script pre-processed', job } }
  // One at a time of a task: its file is that of the run that is written down right after it.
  const made = await parts.edits.run(path, async () => {
    const { keeper, folders } = parts
    await keeper.settled()
    const task = demandEditable(keeper.living, path)
    const name = isAlias ? nextAlias(task) : undefined
    if (name === undefined) refuseBusy(task)
    const file = name === undefined ? editedPath(task) : editedPath(task).replace(/\.usr$/, `/${name}.usr`)
    await folders.writeJob(file, writeEdited(task, edited)).catch(error => {
      throw new AnswerError(400, `The script cannot be kept: ${(error as Error).message}`)
    })
    const words = [action, ...(isAlias ? ['create_alias'] : []), ...(isRun ? [] : ['no_run'])]
    await changeBy(parts, call, { path, text: `edit_script ${path} ${words.join(' ')}` }, living => {
      if (name === undefined) submitEdited(living, path)
      else addAlias(living, path, { name, variables: edited.variables, isRun })
    })
    return name === undefined ? path : `${path}/${name}`
  })
  return { status: 200, value: { path: made, message: isRun ? 'Script submitted' : 'Alias created' } }
}

/** The job as it would be made now; what is wrong with the script is told before anything is submitted. */
async function makeEditedJob(parts: Parts, node: Node, edited: EditedScript): Promise<string> {
  const files = parts.folders.forJobs(command => parts.printed(node, command))
  try {
    const script = { text: edited.script, source: editedPath(node) }
    return await makeJob(withVariables(node, edited.variables), files, script)
  } catch (error) {
    if (error instanceof JobFault) throw new AnswerError(400, error.message)
    throw error
  }
}

/** Output of the last run: its last lines as JSON, the part that `offset` and `limit` (bytes) name, or all of it as text. */
export async function showOutput(parts: Parts, call: Call, path: string): Promise<Answer> {
  const node = taskAt(parts, path, 'jobout')
  parts.count('file_jobout')
  const { query, request } = call
  if (query.has('offset') || query.has('limit')) return showOutputPart(parts, call, node)
  if (prefersText(request.headers.accept)) return showWholeOutput(parts, node)
  const job = jobVariable(node, 'ECF_JOB') ?? ''
  const output = await parts.folders.readText(await outputPath(parts, node))
  if (output === undefined) throw noOutput(node)
  const kill = (await parts.folders.readText(`${job}.kill`)) ?? ''
  const status = (await parts.folders.readText(`${job}.stat`)) ?? ''
  return {
    status: 200,
    value: { job_output: lastLines(output), kill_output: lastLines(kill), status_output: lastLines(status) },
  }
}

/** Where the output is: ECF_JOBOUT, or beside the job when a job command wrote it there. */
async function outputPath(parts: Parts, node: Node): Promise<string> {
  const main = jobVariable(node, 'ECF_JOBOUT') ?? ''
  if (await parts.folders.find(main)) return main
  return `${jobVariable(node, 'ECF_HOME') ?? ''}${node.path}.${node.run?.tryNumber ?? 0}`
}

function noOutput(node: Node): AnswerError {
  const main = jobVariable(node, 'ECF_JOBOUT') ?? ''
  return new AnswerError(404, `There is no output of ${node.path} yet (ECF_JOBOUT=${main})`)
}

/** A part for those who follow a growing output: they go on at `next_offset`. Characters are never cut in two. */
async function showOutputPart(parts: Parts, call: Call, node: Node): Promise<Answer> {
  const offset = readBytes(call, 'offset', 0)
  const limit = Math.min(readBytes(call, 'limit', partBytesMax), partBytesMax)
  const part = await parts.folders.readPart(await outputPath(parts, node), { from: offset, lengthMax: limit })
  if (!part) throw noOutput(node)
  const bytes = part.bytes.subarray(0, wholeCharacters(part.bytes))
  return {
    status: 200,
    value: {
      job_output: bytes.toString('utf8'),
      offset,
      next_offset: offset + bytes.length,
      size: part.sizeBytes,
    },
  }
}

/** The length up to which no character is begun and not ended; all of it where that is no UTF-8 anyway. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length - 1); back++) {
    const byte = bytes[bytes.length - back]!
    if (byte < 0x80) return bytes.length
    if (byte < 0xc0) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return length > back ? bytes.length - back : bytes.length
  }
  return bytes.length
}

function readBytes(call: Call, name: string, usual: number): number {
  const text = call.query.get(name)
  if (text === null) return usual
  if (!/^\d{1,15}$/.test(text)) refuse('bad-field', `${name}: expected a number of bytes`, { field: name })
  return Number(text)
}

/** The file as it is, streamed; ranges of it may be asked for. */
async function showWholeOutput(parts: Parts, node: Node): Promise<Answer> {
  const file = await parts.folders.find(await outputPath(parts, node))
  if (!file) throw noOutput(node)
  return {
    status: 200,
    thing: {
      sizeBytes: file.sizeBytes,
      mediaType: 'text/plain; charset=utf-8',
      open: ({ from, to }) => createReadStream(file.path, { start: from, end: to - 1 }),
    },
  }
}

function prefersText(accept: string | undefined): boolean {
  return accept !== undefined && /(?:^|,)\s*text\/plain\s*(?:;|,|$)/i.test(accept)
}

/** The last lines of a text, found from its end. */
function lastLines(text: string): string {
  let at = text.endsWith('\n') ? text.length - 1 : text.length
  for (let lines = 0; lines < linesMax; lines++) {
    at = text.lastIndexOf('\n', at - 1)
    if (at < 0) return text
    if (at === 0) return lines + 1 < linesMax ? text : text.slice(1)
  }
  return text.slice(at + 1)
}
