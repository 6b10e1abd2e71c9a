// What a finished program brought: which files belong to which output, which JSON values it wrote, and whether that is
// acceptable (contracts/scale.md §5.5). Works on names and texts; whoever calls it reads the directory.

import { isObject, type Json } from '../../../core/json.ts'
import { isOfType } from '../data.ts'
import { compilePattern } from './file-pattern.ts'
import type { FileOutput, JsonOutput, Manifest } from './manifest.ts'

/** The file in which a program writes its JSON outputs. */
export const jsonOutputsName = 'seed.outputs.json'
/** What a side-car file is called: the described file's name and this. */
export const sideCarSuffix = '.metadata.json'

/** Why outputs are not acceptable: an error's name, and what exactly. */
export interface OutputFailure {
  readonly error: 'missing-required-output' | 'unexpected-multiple-outputs' | 'unknown'
  readonly text: string
}

/** The outputs by name. */
export interface CapturedOutputs {
  readonly files: ReadonlyMap<string, readonly string[]>
  readonly json: ReadonlyMap<string, Json>
}

/** Assigns files (paths relative to the output directory) and JSON values to the manifest's outputs. */
export function captureOutputs(
  manifest: Pick<Manifest, 'fileOutputs' | 'jsonOutputs'>,
  paths: readonly string[],
  jsonText: string | undefined,
): CapturedOutputs | OutputFailure {
  const files = captureFiles(manifest.fileOutputs, paths)
  if ('error' in files) return files
  const json = captureJson(manifest.jsonOutputs, jsonText)
  if ('error' in json) return json
  return { files, json }
}

/** Whether a file may be an output at all. */
export function mayBeOutput(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return !name.includes(sideCarSuffix) && name !== jsonOutputsName && name !== 'results_manifest.json'
}

function captureFiles(
  outputs: readonly FileOutput[],
  paths: readonly string[],
): Map<string, string[]> | OutputFailure {
  const candidates = paths.filter(mayBeOutput).toSorted()
  const files = new Map<string, string[]>()
  for (const { name, pattern, multiple, required } of outputs) {
    const found = candidates.filter(compilePattern(pattern))
    if (found.length === 0 && required)
      return { error: 'missing-required-output', text: `No file matches '${pattern}' for the output ${name}` }
    if (found.length > 1 && !multiple) {
      const shown = found.slice(0, 5).join(', ')
      return {
        error: 'unexpected-multiple-outputs',
        text: `${found.length} files match '${pattern}' for the output ${name}, which takes one: ${shown}`,
      }
    }
    if (found.length > 0) files.set(name, found)
  }
  return files
}

function captureJson(
  outputs: readonly JsonOutput[],
  text: string | undefined,
): Map<string, Json> | OutputFailure {
  const values = new Map<string, Json>()
  // A program that writes no such file has no JSON outputs; the original does not call that a failure.
  if (text === undefined || outputs.length === 0) return values
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    return { error: 'unknown', text: `${jsonOutputsName} is not JSON: ${(error as Error).message}` }
  }
  if (!isObject(document)) return { error: 'unknown', text: `${jsonOutputsName} is not a JSON object` }
  for (const { name, key, type, required } of outputs) {
    const value = Object.hasOwn(document, key) ? (document[key] as Json) : undefined
    if (value === undefined) {
      if (required)
        return { error: 'unknown', text: `${jsonOutputsName} lacks '${key}' for the output ${name}` }
    } else if (isOfType(value, type)) values.set(name, value)
    else return { error: 'unknown', text: `'${key}' in ${jsonOutputsName} is not of type ${type}` }
  }
  return values
}
