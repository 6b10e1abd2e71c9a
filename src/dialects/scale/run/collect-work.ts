// Collects what a program left in its output directory: matches files to outputs, reads values and side-cars, and puts
// the files into their workspaces, synced, before anybody hears of them. Runs on a worker thread.

import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, normalize } from 'node:path'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import type { JsonObject } from '../../../core/json.ts'
import type { Work } from '../../../core/work.ts'
import { builtInNumber } from '../../../domains/recipe/seed/errors.ts'
import type { FileOutput, JsonOutput } from '../../../domains/recipe/seed/manifest.ts'
import { guessMediaType } from '../../../domains/recipe/seed/media-type.ts'
import {
  captureOutputs,
  jsonOutputsName,
  mayBeOutput,
  sideCarSuffix,
} from '../../../domains/recipe/seed/outputs.ts'
import { readSideCar, type SourceFacts, wellKnownText } from '../../../domains/recipe/seed/side-car.ts'
import type { CapturedFile, Description } from '../files/files.ts'
import { copyDurably } from './move-file.ts'

/** What collecting needs to know. */
export interface CollectInput {
  /** The directory of the run; its outputs are in `output`. */
  readonly folder: string
  /** The output directory as a gzipped tar, where the program ran in a container. */
  readonly archive?: string
  readonly fileOutputs: readonly (FileOutput & {
    readonly workspace?: { readonly id: number; readonly folder: string }
  })[]
  readonly jsonOutputs: readonly JsonOutput[]
  /** Where products go, relative to their workspace. */
  readonly targetPath: string
  readonly inherited: SourceFacts
  /** The inputs of a single file: the program may describe these in `<INPUT>.metadata.json`. */
  readonly enrichable: readonly string[]
  readonly metaData: JsonObject
  readonly filesMax: number
  readonly metadataBytesMax: number
}

/** An end that the catalogue of errors has a name for; its exit code is the error's id. */
class CollectFailure extends Error {
  readonly exitCode: number
  constructor(error: string, text: string) {
    super(text)
    this.exitCode = builtInNumber(error)
  }
}

export const collect: Work = async (given, tools) => {
  const input = given as unknown as CollectInput
  const from = join(input.folder, 'output')
  if (input.archive !== undefined) await unpack(input.archive, from, input.filesMax)
  const paths = await listFiles(from, input.filesMax)
  const text = await readText(join(from, jsonOutputsName), input.metadataBytesMax)
  const outputs = captureOutputs(input, paths, text)
  if ('error' in outputs) throw new CollectFailure(outputs.error, outputs.text)
  const files: Record<string, CapturedFile[]> = {}
  for (const [name, found] of outputs.files) {
    const declared = input.fileOutputs.find(output => output.name === name)!
    const kept: CapturedFile[] = []
    for (const path of found) {
      tools.signal.throwIfAborted()
      kept.push(await keep(input, declared, path))
    }
    files[name] = kept
  }
  const described: Record<string, Description> = {}
  for (const name of input.enrichable) {
    const description = await describe(join(from, `${name}${sideCarSuffix}`), input.metadataBytesMax)
    if (description) described[name] = description
  }
  // What was collected stays where it lies until this end is written down: a killed server collects once more.
  return {
    detail: {
      captured: { json: Object.fromEntries(outputs.json), files, described } as unknown as JsonObject,
    },
  }
}

async function describe(path: string, bytesMax: number): Promise<Description | undefined> {
  const text = await readText(path, bytesMax)
  const sideCar = text === undefined ? undefined : readSideCar(text)
  if (!sideCar) return undefined
  const geometry = sideCar.geometry && wellKnownText(sideCar.geometry)
  return { facts: sideCar.facts, metaData: sideCar.metaData, ...(geometry !== undefined && { geometry }) }
}

async function keep(
  input: CollectInput,
  output: CollectInput['fileOutputs'][number],
  path: string,
): Promise<CapturedFile> {
  if (!output.workspace)
    throw new CollectFailure('filesystem-io', `the output ${output.name} has no workspace on this machine`)
  const source = join(input.folder, 'output', path)
  const sideCarText = await readText(`${source}${sideCarSuffix}`, input.metadataBytesMax)
  const sideCar = sideCarText === undefined ? undefined : readSideCar(sideCarText)
  const target = join(input.targetPath, path)
  const { size } = await stat(source)
  await copyDurably(source, join(output.workspace.folder, target))
  const { mediaType } = output
  return {
    name: basename(path),
    path: target,
    workspaceId: output.workspace.id,
    sizeBytes: size,
    mediaType: mediaType === 'application/octet-stream' ? guessMediaType(path) : mediaType,
    facts: { ...input.inherited, ...sideCar?.facts },
    geometry: sideCar?.geometry ? (wellKnownText(sideCar.geometry) ?? null) : null,
    metaData: sideCar?.metaData ?? input.metaData,
  }
}

// Only plain files: what a container could do with links to lead us astray is not unpacked at all.
async function unpack(archive: string, folder: string, filesMax: number): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const reader = extract()
  let count = 0
  const [source, gunzip] = [createReadStream(archive), createGunzip()]
  // Its streams are not Node's own, so the pieces are joined by hand: an error anywhere ends the reading.
  source.on('error', error => reader.destroy(error))
  gunzip.on('error', error => reader.destroy(error))
  source.pipe(gunzip).pipe(reader)
  for await (const entry of reader) {
    const { name, type } = entry.header
    const path = normalize(name).replace(/^output_data\//, '')
    if (type === 'file' && !path.startsWith('..') && !path.startsWith('/')) {
      if (++count > filesMax)
        throw new CollectFailure(
          'filesystem-io',
          `the program left more than ${filesMax} files in its output directory`,
        )
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeEntry(entry as AsyncIterable<Uint8Array>, join(folder, path))
    } else entry.resume()
  }
}

async function writeEntry(entry: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    for await (const chunk of entry) await file.write(chunk)
  } finally {
    await file.close()
  }
}

async function listFiles(root: string, filesMax: number): Promise<string[]> {
  const found: string[] = []
  const open = ['']
  for (let folder = open.pop(); folder !== undefined; folder = open.pop())
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      // Links are not followed: a program could point one at a file of the server.
      if (entry.isDirectory()) open.push(path)
      else if (entry.isFile() && mayBeOutput(path)) found.push(path)
      if (found.length + open.length > filesMax)
        throw new CollectFailure(
          'filesystem-io',
          `the program left more than ${filesMax} files in its output directory`,
        )
    }
  return found
}

async function readText(path: string, bytesMax: number): Promise<string | undefined> {
  const facts = await stat(path).catch(() => undefined)
  if (!facts?.isFile()) return undefined
  if (facts.size > bytesMax)
    throw new CollectFailure('invalid-results-manifest', `${basename(path)} has more than ${bytesMax} bytes`)
  return readFile(path, 'utf8')
}
