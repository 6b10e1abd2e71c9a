// How a job type or a recipe is to be run here: mounts, output workspaces, priority, settings
// (contracts/scale.md §6.6 and §7.3). Reads, checks against a manifest, and lays a recipe's over a job type's.

import { isObject, type JsonObject } from '../../../core/json.ts'
import { type Fault, faultText, findFaults, member, type Shape } from '../json-shape.ts'
import { type Problem, problem, type Reading, read, unreadable } from '../problem.ts'
import { pythonNames, pythonText } from '../python-text.ts'
import type { Manifest } from './manifest.ts'

/** Where a mount comes from. */
export type MountSource =
  | { readonly type: 'host'; readonly hostPath: string }
  | {
      readonly type: 'volume'
      readonly driver: string
      readonly driverOptions: Readonly<Record<string, string>>
    }

/** A configuration; what was not said is absent. */
export interface Configuration {
  readonly mounts: ReadonlyMap<string, MountSource>
  readonly defaultWorkspace?: string
  readonly outputWorkspaces: ReadonlyMap<string, string>
  readonly priority?: number
  readonly settings: ReadonlyMap<string, string>
}

/** The priority of a job for which nobody says one; 1 is the most urgent. */
export const defaultPriority = 100

/** A configuration that says nothing. */
export const emptyConfiguration: Configuration = {
  mounts: new Map(),
  outputWorkspaces: new Map(),
  settings: new Map(),
}

const text: Shape = { type: 'string' }
const shape: Shape = {
  type: 'object',
  members: {
    version: text,
    mounts: {
      type: 'object',
      others: {
        alternatives: [
          {
            type: 'object',
            required: ['type', 'host_path'],
            members: { type: { type: 'string', oneOfWords: ['host'] }, host_path: text },
            others: false,
          },
          {
            type: 'object',
            required: ['type'],
            members: {
              type: { type: 'string', oneOfWords: ['volume'] },
              driver: text,
              driver_opts: { type: 'object', others: text },
            },
            others: false,
          },
        ],
      },
    },
    output_workspaces: {
      type: 'object',
      members: { default: text, outputs: { type: 'object', others: text } },
      others: false,
    },
    priority: { type: 'integer' },
    settings: { type: 'object', others: text },
  },
  others: false,
}

/** Reads a configuration document. */
export function readConfiguration(document: JsonObject): Reading<Configuration> {
  const version = member(document, 'version') ?? '7'
  if (version !== '6' && version !== '7') {
    const shown = typeof version === 'string' ? version : pythonText(version)
    return unreadable('INVALID_VERSION', `Invalid configuration version: ${shown}`, ['version'])
  }
  const faults = findFaults(document, shape)
  if (faults.length > 0)
    return {
      ok: false,
      problems: faults.map(fault =>
        problem('INVALID_CONFIGURATION', `Invalid configuration: ${wordsOf(fault)}`, fault.path),
      ),
    }
  const priority = member(document, 'priority') as number | undefined
  if (priority !== undefined && priority < 1)
    return unreadable('INVALID_PRIORITY', 'Invalid priority: the lowest number, and most urgent, is 1', [
      'priority',
    ])
  const workspaces = objectAt(document, 'output_workspaces')
  const mounts = Object.entries(objectAt(document, 'mounts') as Record<string, JsonObject>)
  const defaultWorkspace = member(workspaces, 'default') as string | undefined
  return read({
    mounts: new Map(mounts.map(([name, mount]) => [name, readMount(mount)])),
    ...(defaultWorkspace && { defaultWorkspace }),
    outputWorkspaces: new Map(Object.entries(objectAt(workspaces, 'outputs') as Record<string, string>)),
    ...(priority !== undefined && { priority }),
    settings: new Map(Object.entries(objectAt(document, 'settings') as Record<string, string>)),
  })
}

/** A configuration as clients read it: defaults filled in, secret settings masked. */
export function showConfiguration(
  configuration: Configuration,
  secrets: ReadonlySet<string> = new Set(),
): JsonObject {
  const settings = [...configuration.settings].map(([name, value]) => [
    name,
    secrets.has(name) ? '*****' : value,
  ])
  return {
    mounts: Object.fromEntries([...configuration.mounts].map(([name, mount]) => [name, showMount(mount)])),
    output_workspaces: {
      default: configuration.defaultWorkspace ?? '',
      outputs: Object.fromEntries(configuration.outputWorkspaces),
    },
    priority: configuration.priority ?? defaultPriority,
    settings: Object.fromEntries(settings),
  }
}

/** A configuration as it is stored: only what was said, secrets in clear. */
export function storeConfiguration(configuration: Configuration): JsonObject {
  const { priority, ...shown } = showConfiguration(configuration) as { priority: number } & JsonObject
  return configuration.priority === undefined ? shown : { ...shown, priority }
}

/** Whether it says nothing. */
export function isEmptyConfiguration(configuration: Configuration): boolean {
  const { mounts, defaultWorkspace, outputWorkspaces, priority, settings } = configuration
  const isSaid = defaultWorkspace !== undefined || priority !== undefined
  return !isSaid && mounts.size + outputWorkspaces.size + settings.size === 0
}

/** One configuration over another: a recipe's over a job type's. Only what it says overrides. */
export function overlayConfiguration(under: Configuration, over: Configuration): Configuration {
  const defaultWorkspace = over.defaultWorkspace ?? under.defaultWorkspace
  const priority = over.priority ?? under.priority
  if (isEmptyConfiguration(over)) return under
  return {
    mounts: new Map([...under.mounts, ...over.mounts]),
    outputWorkspaces: new Map([...under.outputWorkspaces, ...over.outputWorkspaces]),
    settings: new Map([...under.settings, ...over.settings]),
    ...(defaultWorkspace !== undefined && { defaultWorkspace }),
    ...(priority !== undefined && { priority }),
  }
}

/** The workspace in which an output's files are kept. */
export function workspaceOf(configuration: Configuration, output: string): string | undefined {
  return configuration.outputWorkspaces.get(output) ?? configuration.defaultWorkspace
}

/** Checks a configuration against the program it is for; `workspace` tells whether one exists and is in use. */
export function checkConfiguration(
  configuration: Configuration,
  manifest: Pick<Manifest, 'mounts' | 'settings' | 'fileOutputs'>,
  workspace: (name: string) => 'active' | 'deprecated' | undefined,
): { errors: Problem[]; warnings: Problem[] } {
  const errors: Problem[] = []
  const warnings: Problem[] = []
  compareNames('mount', configuration.mounts, manifest.mounts, warnings)
  compareNames('setting', configuration.settings, manifest.settings, warnings)
  const { defaultWorkspace, outputWorkspaces } = configuration
  for (const name of new Set([
    ...(defaultWorkspace ? [defaultWorkspace] : []),
    ...outputWorkspaces.values(),
  ])) {
    const found = workspace(name)
    if (found === undefined) errors.push(problem('INVALID_WORKSPACE', `No workspace named '${name}'`))
    else if (found === 'deprecated')
      warnings.push(problem('DEPRECATED_WORKSPACE', `Workspace '${name}' is deprecated`))
  }
  const homeless = manifest.fileOutputs.filter(output => !workspaceOf(configuration, output.name))
  if (homeless.length > 0) {
    const names = pythonNames(homeless.map(output => output.name))
    errors.push(problem('MISSING_WORKSPACE', `Missing workspace for outputs '${names}'`))
  }
  return { errors, warnings }
}

function compareNames(
  what: 'mount' | 'setting',
  configured: ReadonlyMap<string, unknown>,
  declared: readonly { readonly name: string }[],
  warnings: Problem[],
): void {
  const names = new Set(declared.map(({ name }) => name))
  const word = what.toUpperCase()
  for (const name of configured.keys())
    if (!names.has(name)) warnings.push(problem(`UNKNOWN_${word}`, `Unknown ${what} '${name}' ignored`))
  for (const name of names)
    if (!configured.has(name))
      warnings.push(problem(`MISSING_${word}`, `Missing configuration for ${what} '${name}'`))
}

function readMount(mount: JsonObject): MountSource {
  if (mount['type'] === 'host') return { type: 'host', hostPath: String(mount['host_path']) }
  const options = isObject(mount['driver_opts']) ? (mount['driver_opts'] as Record<string, string>) : {}
  return { type: 'volume', driver: String(member(mount, 'driver') ?? ''), driverOptions: options }
}

function showMount(mount: MountSource): JsonObject {
  return mount.type === 'host'
    ? { type: 'host', host_path: mount.hostPath }
    : { type: 'volume', driver: mount.driver, driver_opts: { ...mount.driverOptions } }
}

function wordsOf(fault: Fault): string {
  return fault.alternatives?.[0] ? faultText(fault.alternatives[0]) : faultText(fault)
}

function objectAt(document: JsonObject, name: string): JsonObject {
  return (member(document, name) as JsonObject | undefined) ?? {}
}
