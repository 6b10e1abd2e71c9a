// Command templates: the arguments and environment of a Seed program (contracts/scale.md §5.5). No shell and no quoting:
// the expanded text is split at blanks, as the original does, and its users' manifests rely on that.

import type { Json } from '../../../core/json.ts'
import { pythonFloat } from '../python-text.ts'
import { environmentName, type Manifest } from './manifest.ts'

/** What a program is given: where its files were put, its values, and where to write. */
export interface ProgramInput {
  /** For each file input that was given: the file, or the directory of a multiple one. */
  readonly filePaths: ReadonlyMap<string, string>
  readonly values: ReadonlyMap<string, Json>
  readonly settings: ReadonlyMap<string, string>
  readonly outputDir: string
  readonly metadataPath: string
}

/** Who runs, for the variables that tell a program about itself. */
export interface ProgramIdentity {
  readonly jobId: number
  readonly exeNumber: number
  readonly recipeId?: number
  readonly batchId?: number
  /** Resource amounts by name, in the manifest's units. */
  readonly resources: ReadonlyMap<string, number>
}

/** The environment a program runs with. */
export function programEnvironment(
  manifest: Manifest,
  input: ProgramInput,
  identity: ProgramIdentity,
): Record<string, string> {
  const variables = new Map<string, string>()
  for (const [name, path] of input.filePaths) variables.set(environmentName(name), path)
  for (const [name, value] of input.values) variables.set(environmentName(name), valueText(value))
  for (const { name } of manifest.settings) {
    const value = input.settings.get(name)
    if (value !== undefined) variables.set(environmentName(name), value)
  }
  for (const [name, amount] of identity.resources)
    variables.set(environmentName(`ALLOCATED_${name}`), pythonFloat(amount))
  variables.set('OUTPUT_DIR', input.outputDir)
  variables.set('INPUT_METADATA', input.metadataPath)
  variables.set('SCALE_JOB_ID', String(identity.jobId))
  variables.set('SCALE_EXE_NUM', String(identity.exeNumber))
  if (identity.recipeId !== undefined) variables.set('SCALE_RECIPE_ID', String(identity.recipeId))
  if (identity.batchId !== undefined) variables.set('SCALE_BATCH_ID', String(identity.batchId))
  return Object.fromEntries(variables)
}

/** The arguments of a program: its command with everything filled in, split at blanks; a text says why there are none. */
export function programArguments(manifest: Manifest, input: ProgramInput): string[] | string {
  // The original refuses such a command only when it runs; a stored job type may therefore have one.
  if (countOf(manifest.command, '{') !== countOf(manifest.command, '}'))
    return 'the command has unequal numbers of { and }'
  const expanded = expandCommand(manifest.command, expansionsOf(manifest, input)).trim()
  return expanded === '' ? [] : expanded.split(' ')
}

/** Fills in `$NAME`, `${NAME}` and `${NAME/#/PREFIX}`; names that are not known stay as they are. */
export function expandCommand(command: string, values: ReadonlyMap<string, string>): string {
  const collapsed = command.replace(/\s+/g, ' ')
  return collapsed.replace(
    /\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_-]*)(\/#\/([^}]*))?\})/g,
    (
      whole,
      bare: string | undefined,
      braced: string | undefined,
      hasPrefix: string | undefined,
      prefix: string,
    ) => {
      const value = values.get(bare ?? braced ?? '')
      if (value === undefined) return whole
      // A prefix is only put before a value that is there: an option without its value would mislead the program.
      return hasPrefix && value !== '' ? prefix + value : value
    },
  )
}

/** A JSON value as a program reads it from its environment. */
export function valueText(value: Json): string {
  if (typeof value === 'string') return value
  if (value === true) return 'True'
  if (value === false) return 'False'
  return typeof value === 'number' ? String(value) : JSON.stringify(value)
}

function expansionsOf(manifest: Manifest, input: ProgramInput): Map<string, string> {
  const values = new Map<string, string>()
  // An optional input that was not given becomes nothing, rather than the literal text of its variable.
  for (const name of manifest.input.keys()) values.set(environmentName(name), '')
  for (const [name, path] of input.filePaths) values.set(environmentName(name), path)
  for (const [name, value] of input.values) values.set(environmentName(name), valueText(value))
  for (const { name } of manifest.settings) {
    const value = input.settings.get(name)
    if (value !== undefined) values.set(name, value)
  }
  values.set('OUTPUT_DIR', input.outputDir)
  values.set('INPUT_METADATA', input.metadataPath)
  return values
}

function countOf(text: string, character: string): number {
  return text.split(character).length - 1
}
