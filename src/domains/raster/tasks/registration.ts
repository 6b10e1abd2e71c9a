// Jobs as they are registered: read from a module, a JSON file or inline, checked, and made into tasks. The server
// does it at start, to find mistakes; a worker thread does it again, to run them.

import { readFile } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { dirname, extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isObject } from '../../../core/json.ts'
import { readRenderer } from '../drawing/renderer.ts'
import type { Raster } from '../values/raster.ts'
import { readCommandTask } from './command-task.ts'
import { demoJobs } from './demo-jobs.ts'
import { checkedParameter, type Parameter, readParameter } from './parameter.ts'
import { TaskRegistry } from './registry.ts'
import type { Task } from './task.ts'
import { readWorkflow } from './workflow.ts'

/** One registration. The names of the original (`publish_raster_results`) are read too. */
export interface JobEntry {
  readonly type: 'task' | 'workflow' | 'command'
  /** A Task, a class of one, a function with inputs and outputs, a registered name, or `module#export`. */
  readonly task?: unknown
  /** The file of a workflow, or the workflow itself. */
  readonly path?: string
  readonly workflow?: object
  readonly publishRasterResults?: boolean
  /** Renderer JSON, a function of the raster, or `module#export` of either. */
  readonly resultsRenderer?: object | string | ((raster: Raster) => unknown)
}

export interface RegisteredJob {
  readonly name: string
  readonly task: Task
  readonly publishes: boolean
  /** The renderer's web form for a result; undefined means the default one. */
  readonly rendererFor: ((raster: Raster) => unknown) | undefined
}

/** Where jobs come from: data only, so that it can be sent to a worker thread. */
export interface JobSources {
  /** A module or JSON file with registrations, or these themselves. */
  readonly jobs: string | Readonly<Record<string, unknown>> | undefined
  readonly hasDemoJobs: boolean
  /** What relative paths start from. */
  readonly folder: string
  readonly rasterRoot: string | undefined
}

/** Reads and checks all registrations; throws naming the job that is wrong. */
export async function loadJobs(sources: JobSources): Promise<Map<string, RegisteredJob>> {
  // Modules of jobs lie anywhere, and the product is not among their packages.
  const authors = new URL(import.meta.url.endsWith('.ts') ? './authors.ts' : './authors.js', import.meta.url)
    .href
  const hooks = registerHooks({
    resolve: (name, context, next) =>
      name === 'switchyard/ncdjango' ? { url: authors, shortCircuit: true } : next(name, context),
  })
  try {
    return await loadAll(sources)
  } finally {
    hooks.deregister()
  }
}

async function loadAll(sources: JobSources): Promise<Map<string, RegisteredJob>> {
  const registry = new TaskRegistry({ rasterRoot: sources.rasterRoot })
  const { entries, folder } = await readEntries(sources)
  const demos = sources.hasDemoJobs ? demoJobs : {}
  const found = new Map<string, RegisteredJob>()
  // Tasks first: workflows call them by name.
  const all = [...Object.entries(demos), ...Object.entries(entries)]
  let waiting = all.sort(([, a], [, b]) => order(a) - order(b))
  while (waiting.length > 0) {
    // Workflows may call workflows that stand after them: those are tried again once more tasks are known.
    const failed: { item: (typeof waiting)[number]; error: unknown }[] = []
    for (const item of waiting) {
      try {
        found.set(item[0], await readEntry(item[0], item[1], { registry, folder }))
      } catch (error) {
        failed.push({ item, error })
        if (order(item[1]) === 0) break
      }
    }
    const first = failed[0]
    if (first && (failed.length === waiting.length || order(first.item[1]) === 0)) {
      const { message } = first.error as Error
      throw new Error(`job ${first.item[0]}: ${message}`, { cause: first.error })
    }
    waiting = failed.map(({ item }) => item)
  }
  return found
}

function order(entry: unknown): number {
  return isObject(entry) && entry['type'] === 'workflow' ? 1 : 0
}

async function readEntries(
  sources: JobSources,
): Promise<{ entries: Readonly<Record<string, unknown>>; folder: string }> {
  const { jobs, folder } = sources
  if (jobs === undefined) return { entries: {}, folder }
  if (typeof jobs !== 'string') return { entries: jobs, folder }
  const path = resolve(folder, jobs)
  const value =
    extname(path) === '.json'
      ? JSON.parse(await readFile(path, 'utf8'))
      : ((await import(pathToFileURL(path).href)) as { default?: unknown; registeredJobs?: unknown })
  const entries =
    isObject(value) && extname(path) !== '.json' ? (value['registeredJobs'] ?? value['default']) : value
  if (!isObject(entries)) throw new Error(`${path} does not export registered jobs`)
  return { entries, folder: dirname(path) }
}

interface Context {
  readonly registry: TaskRegistry
  readonly folder: string
}

async function readEntry(name: string, entry: unknown, context: Context): Promise<RegisteredJob> {
  if (!isObject(entry)) throw new Error('a registration must be an object')
  const task = await readTask(entry, context)
  context.registry.add(task)
  const renderer = entry['resultsRenderer'] ?? entry['results_renderer']
  return {
    name,
    task,
    publishes: (entry['publishRasterResults'] ?? entry['publish_raster_results']) === true,
    rendererFor:
      renderer === undefined || renderer === null ? undefined : await readRendererFor(renderer, context),
  }
}

async function readTask(entry: Readonly<Record<string, unknown>>, context: Context): Promise<Task> {
  const { type, task, path, workflow } = entry
  if (type === 'command') return readCommandTask(entry, context.folder)
  if (type === 'workflow') {
    const document =
      workflow ??
      (typeof path === 'string'
        ? JSON.parse(await readFile(resolve(context.folder, path), 'utf8'))
        : undefined)
    if (document === undefined) throw new Error('a workflow must have a path')
    return readWorkflow(document, name => context.registry.find(name))
  }
  if (type !== 'task')
    throw new Error(`${String(type)} is no type of job; there are task, workflow and command`)
  if (typeof task === 'string') {
    const known = context.registry.find(task)
    if (known) return known
    if (!task.includes('#')) throw new Error(`there is no task ${task}`)
    return asTask(await importNamed(task, context.folder))
  }
  return asTask(task)
}

function asTask(value: unknown): Task {
  const task = typeof value === 'function' ? madeOf(value) : value
  const { execute, inputs, outputs } = (
    typeof task === 'object' && task !== null ? task : {}
  ) as Partial<Task>
  if (typeof execute !== 'function' || !Array.isArray(inputs) || !Array.isArray(outputs))
    throw new Error('a task must have inputs, outputs and execute')
  const { name, allowExtraArgs, keepsFloats } = task as Task
  return {
    ...(name === undefined ? {} : { name }),
    ...(allowExtraArgs === undefined ? {} : { allowExtraArgs }),
    ...(keepsFloats === undefined ? {} : { keepsFloats }),
    inputs: inputs.map(asParameter),
    outputs: outputs.map(asParameter),
    // On the object itself: a class may have members that only its methods reach.
    execute: (args, tools) => (task as Task).execute(args, tools),
  }
}

/** A class is made an instance of; a function with `inputs` and `outputs` is a task's execute. */
function madeOf(value: unknown): unknown {
  const given = value as Partial<Task> & { prototype?: { execute?: unknown }; taskName?: string }
  if (typeof given.prototype?.execute === 'function') return new (value as new () => unknown)()
  if (!Array.isArray(given.inputs)) return new (value as new () => unknown)()
  const { inputs, outputs, allowExtraArgs, taskName } = given
  return {
    ...{ inputs, outputs, execute: value },
    ...(allowExtraArgs === undefined ? {} : { allowExtraArgs }),
    ...(taskName === undefined ? {} : { name: taskName }),
  }
}

/** As `parameters.int('x')` makes one, or as workflow files declare one. */
function asParameter(given: unknown): Parameter {
  return isObject(given) && typeof given['kind'] === 'string' ? checkedParameter(given) : readParameter(given)
}

async function importNamed(place: string, folder: string): Promise<unknown> {
  const hash = place.lastIndexOf('#')
  const module = (await import(pathToFileURL(resolve(folder, place.slice(0, hash))).href)) as Record<
    string,
    unknown
  >
  const name = place.slice(hash + 1)
  if (!Object.hasOwn(module, name)) throw new Error(`${place.slice(0, hash)} does not export ${name}`)
  return module[name]
}

async function readRendererFor(given: unknown, { folder }: Context): Promise<(raster: Raster) => unknown> {
  const value = typeof given === 'string' ? await importNamed(given, folder) : given
  if (typeof value === 'function') return value as (raster: Raster) => unknown
  readRenderer(value)
  return () => value
}
