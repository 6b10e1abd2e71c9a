// A job's document as work for the container executor: words split, parameters put in, environment made. Done just
// before each attempt, because only then the job's number, its token and our address are known.

import type { Json, JsonObject } from '../../core/json.ts'
import { splitWords } from './command-words.ts'
import type { JobDocument, StorageDocument, TaskDocument } from './document.ts'
import { environmentOf } from './environment.ts'
import { isMpi, underMpirun } from './mpi.ts'
import { isStoredImage, isWebUrl } from './objects-needed.ts'
import { substitute } from './parameters.ts'
import type { Grant } from './resources.ts'
import type { ToldJob } from './spec.ts'

const home = '/home/user'

/** Where a stored object's bytes are, once it was found. */
export interface FoundObject {
  readonly hash: string
}

export interface CompileFacts {
  readonly jobId: number
  readonly grant: Grant
  readonly url: string
  readonly token: string
  /** Undoes the seal of a stored secret. */
  readonly openSecret: (text: string) => string
  /** The bytes of objects by their names; absent ones were not found. */
  readonly objects: ReadonlyMap<string, FoundObject>
}

/** The executor's spec for one attempt. */
export function compileJob(told: ToldJob, facts: CompileFacts): JsonObject {
  const { document, parameters = new Map<string, string>() } = told
  const { policies } = document
  const put = (text: string) => substitute(text, parameters)
  return {
    tasks: orderedTasks(document).map((task, taskNum) =>
      compileTask(task, { told, facts, taskNum, mounts: mountsOf(document) }),
    ),
    nodes: facts.grant.nodes,
    nodeVariable: 'PROMINENCE_NODE_NUM',
    files: (document.inputs ?? []).map(({ filename, content, executable = false }) => ({
      path: baseName(filename),
      content: content.replace(/\s+/g, ''),
      executable,
    })),
    stage: {
      fetch: (document.artifacts ?? []).map(({ url, executable }) => fetchOf(put(url), executable, facts)),
      collect: [
        ...collectOf('outputFiles', document.outputFiles, put),
        ...collectOf('outputDirs', document.outputDirs, put),
      ],
    },
    ...(document.storage === undefined ? {} : { volumes: volumesOf(document.storage) }),
    inside: true,
    taskRetries: policies?.maximumTaskRetries ?? 0,
    ignoreTaskFailures: policies?.ignoreTaskFailures ?? policies?.ignoreTaskTailures ?? false,
    succeedOnTaskFailure: policies?.reportJobSuccessOnTaskFailure ?? false,
  }
}

/** The last part of a path; people write directories with a slash at the end. */
export function baseName(path: string): string {
  let end = path.length
  while (end > 1 && path[end - 1] === '/') end--
  return path.slice(path.lastIndexOf('/', end - 1) + 1, end)
}

/** Sidecars first, then the others in document order. */
function orderedTasks({ tasks }: JobDocument): TaskDocument[] {
  return [
    ...tasks.filter(({ type }) => type === 'sidecar'),
    ...tasks.filter(({ type }) => type !== 'sidecar'),
  ]
}

/** MPI tasks use all nodes at once; others the first one, or each of them where that is wanted. */
function placeOf(task: TaskDocument, { policies }: JobDocument): 'first' | 'each' | 'together' {
  if (isMpi(task)) return 'together'
  return policies?.runSerialTasksOnAllNodes && task.type !== 'sidecar' ? 'each' : 'first'
}

function compileTask(
  task: TaskDocument,
  at: { told: ToldJob; facts: CompileFacts; taskNum: number; mounts: Json[] },
): JsonObject {
  const { told, facts, taskNum, mounts } = at
  const parameters = told.parameters ?? new Map<string, string>()
  const ids = new Map([['PROMINENCE_JOB_ID', String(facts.jobId)]])
  if (told.workflow !== undefined) ids.set('PROMINENCE_WORKFLOW_ID', String(told.workflow.n))
  const words = splitWords(substitute(task.cmd ?? '', new Map([...parameters, ...ids])))
  if (!words.ok) throw new Error(`cmd cannot be split into words: ${words.fault}`)
  const argv = wrap(task, words.words, facts.grant)
  const stored = isStoredImage(task.image) ? facts.objects.get(task.image) : undefined
  return {
    image: task.image,
    ...(stored === undefined ? {} : { imageBlob: stored.hash }),
    ...(task.imageSha256 ? { imageSha256: plainSha256(task.imageSha256) } : {}),
    ...(task.imagePullCredential === undefined
      ? {}
      : { credential: credentialOf(task.imagePullCredential, facts) }),
    ...(argv.length === 0 ? {} : { argv }),
    // Singularity runs what it is told, udocker hands it to the entry point: contracts/prominence.md §3.2.
    entrypoint: argv.length > 0 && task.runtime === 'singularity' ? 'none' : 'image',
    env: environmentOf(task, {
      jobId: facts.jobId,
      workflowId: told.workflow?.n,
      grant: facts.grant,
      taskNum,
      url: facts.url,
      token: facts.token,
      parameters,
    }),
    ...(task.workdir === undefined ? {} : { workdir: substitute(task.workdir, ids) }),
    ...(task.stdout === undefined ? {} : { mergeInto: task.stdout }),
    mounts,
    sidecar: task.type === 'sidecar',
    onNodes: placeOf(task, told.document),
  }
}

function plainSha256(digest: string): string {
  return digest.replace(/^sha256:/, '').toLowerCase()
}

function credentialOf(
  { username, token }: NonNullable<TaskDocument['imagePullCredential']>,
  { openSecret }: CompileFacts,
): JsonObject {
  return { username, token: openSecret(token) }
}

/** MPI tasks run under the image's mpirun; an app of a Singularity image is a script at a known place. */
function wrap(task: TaskDocument, words: readonly string[], grant: Grant): string[] {
  if (isMpi(task)) return underMpirun(task, words, grant)
  if (task.app !== undefined) return [`/scif/apps/${task.app}/scif/runscript`, ...words]
  return [...words]
}

function mountsOf(document: JobDocument): Json[] {
  const mounts: Json[] = []
  for (const { mountpoint } of document.artifacts ?? []) {
    if (mountpoint === undefined) continue
    const colon = mountpoint.indexOf(':')
    mounts.push({ from: mountpoint.slice(0, colon), to: mountpoint.slice(colon + 1) })
  }
  return mounts
}

function fetchOf(url: string, executable: boolean | undefined, { objects }: CompileFacts): JsonObject {
  const shared = { executable: executable ?? false, unpack: true }
  if (isWebUrl(url)) return { url, ...shared }
  const found = objects.get(url)
  // An object that was removed since: the fetch of what has no bytes fails, and the job tells so.
  return { name: baseName(url), blob: found?.hash ?? '', ...shared }
}

function collectOf(
  member: 'outputFiles' | 'outputDirs',
  names: readonly string[] = [],
  put: (text: string) => string,
): Json[] {
  const as = member === 'outputFiles' ? 'file' : 'tgz'
  return names.map(name => ({ output: `${member}:${name}`, path: put(name), as }))
}

/** The provider's name is that of a volume which the operator has declared to stand in for it. */
function volumesOf({ onedata, directory = '', mountpoint }: StorageDocument): Json[] {
  return [
    {
      name: onedata.provider,
      to: mountpoint || `${home}/${onedata.provider}`,
      ...(directory === '' ? {} : { below: directory.replace(/^\/+/, '') }),
    },
  ]
}
