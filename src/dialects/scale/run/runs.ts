// What a run of a program is: its input data, its files, its command line and environment, and the directories it sees.
// Everything follows from what is stored, so that a run can be shown long after it has ended.

import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { JsonObject } from '../../../core/json.ts'
import { type Data, emptyData, fitData, readData } from '../../../domains/recipe/data.ts'
import { programArguments, programEnvironment } from '../../../domains/recipe/seed/command.ts'
import {
  type Configuration,
  emptyConfiguration,
  overlayConfiguration,
  readConfiguration,
} from '../../../domains/recipe/seed/configuration.ts'
import { mebibytes, resourcesFor } from '../../../domains/recipe/seed/resources.ts'
import { mergeSources } from '../../../domains/recipe/seed/side-car.ts'
import type { JobType, JobTypeRevision } from '../catalog/things.ts'
import { type FileEntry, sourceFactsOf } from '../files/file-entry.ts'
import { readRecipe } from '../instances/recipe-record.ts'
import { type RecipeSpec, type StoredSource, stepOf } from '../instances/recipe-spec.ts'
import type { JobRow } from '../instances/rows.ts'
import type { World } from '../world.ts'
import { doesNothing, type ImagePlan, planImage } from './image.ts'

/** The directories of a run as its program sees them. */
export interface RunFolders {
  readonly input: string
  readonly output: string
}

/** Where each file of an input goes: relative to the input directory. */
export interface StagedFile {
  readonly input: string
  readonly file: FileEntry
  readonly path: string
}

/** A run, described. */
export interface Run {
  readonly row: JobRow
  readonly number: number
  readonly type: JobType
  readonly revision: JobTypeRevision
  readonly image: ImagePlan | string
  readonly configuration: Configuration
  readonly data: Data
  readonly files: ReadonlyMap<number, FileEntry>
  readonly staged: readonly StagedFile[]
  readonly inputBytes: number
  readonly resources: ReadonlyMap<string, number>
  readonly args: readonly string[] | string
  readonly env: Readonly<Record<string, string>>
  /** What is wrong with the input, when it does not fit the program. */
  readonly problems: readonly string[]
}

const emptySpec: RecipeSpec = {
  recipe: null,
  eventId: 0,
  eventAt: 0,
  batch: null,
  input: { files: {}, json: {} },
  steps: {},
}

export class Runs {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** A job's input data, as far as what it comes from is complete. */
  async inputOf(row: JobRow): Promise<Data> {
    return (await this.#gather(row)).data
  }

  /** The input of the recipe, or sub-recipe, that a job belongs to; undefined for a single job. */
  async recipeInputOf(row: JobRow): Promise<Data | undefined> {
    const recipe = await this.#world.archive.recipe(row.recipe)
    if (!recipe) return undefined
    const spec = await this.specOf(row)
    const record = await readRecipe(this.#world.kit.records, recipe.root)
    const stored = record?.recipes.find(({ id }) => id === recipe.id)
    if (stored?.input) return this.follow(stored.input, spec)
    const reading = readData(spec.input as unknown as JsonObject)
    return reading.ok ? reading.value : emptyData
  }

  /** Notes of a job how large its input is, and by what and when it was sensed. */
  measured(row: JobRow, files: readonly FileEntry[]): void {
    row.inputBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
    row.source = mergeSources(files.map(sourceFactsOf))
    if (files.length > 0 && this.#world.instances.jobs.get(row.id) === row)
      this.#world.instances.amend({ job: row })
  }

  /** The directory of a run on this machine. */
  folderOf(row: JobRow, attempt: number): string {
    return join(this.#folder, `${row.id}-${row.main}-${attempt}`)
  }

  /** Whether runs of a job have directories of their own. */
  mayHaveFolder(row: JobRow): boolean {
    const revision = this.#world.catalog.jobTypeRevision(row.typeId, row.revision)
    return revision === undefined || !doesNothing(revision.image)
  }

  /** Removes the directory of a run whose end, and whose outputs, are written down. */
  async clear(row: JobRow): Promise<void> {
    await rm(this.folderOf(row, row.attempts), { recursive: true, force: true })
  }

  /** Removes the directories that a server left behind when it ended: of runs that nothing will be collected from. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#folder).catch(() => [])) {
      const row = await this.#world.archive.job(Number.parseInt(name, 10))
      const isOver = !row || row.status === 'COMPLETED' || ['failed', 'cancelled'].includes(row.mainState)
      if (isOver) await rm(join(this.#folder, name), { recursive: true, force: true })
    }
  }

  get #folder(): string {
    return join(this.#world.kit.dir, 'work')
  }

  /** The configuration a job runs with: its type's, with the recipe's laid over it. */
  configurationOf(row: JobRow, spec: RecipeSpec): Configuration {
    const type = this.#world.catalog.jobTypes.get(row.typeId)
    const reading = spec.configuration ? readConfiguration(spec.configuration) : undefined
    const over = reading?.ok ? reading.value : emptyConfiguration
    return overlayConfiguration(type?.configuration ?? emptyConfiguration, over)
  }

  /** The document of the flow that a job belongs to. */
  async specOf(row: Pick<JobRow, 'flow'>): Promise<RecipeSpec> {
    // Jobs of the server itself belong to no flow.
    if (row.flow === 0) return emptySpec
    const spec = (await this.#world.kit.engine.spec(row.flow)) as unknown as RecipeSpec | null
    // History may have been forgotten while rows of it are still shown.
    return spec ?? emptySpec
  }

  /** The recipe's own input and every output that a set of sources needs. */
  async follow(
    sources: Readonly<Record<string, StoredSource | readonly string[]>>,
    spec: RecipeSpec,
  ): Promise<Data> {
    const whole = readData(spec.input as unknown as JsonObject)
    const input = whole.ok ? whole.value : emptyData
    const files = new Map<string, readonly number[]>()
    const json = new Map<string, JsonObject[string]>()
    for (const [name, [from, place, output]] of Object.entries(sources)) {
      const source = from === 'input' ? input : await this.#outputOf(place!, spec)
      const key = from === 'input' ? place! : output!
      if (source.files.has(key)) files.set(name, source.files.get(key)!)
      else if (source.json.has(key)) json.set(name, source.json.get(key)!)
    }
    return { files, json }
  }

  /** Describes a job's run: the directories are as the program sees them. */
  async describe(row: JobRow, attempt: number, folders: RunFolders): Promise<Run> {
    const { catalog, settings } = this.#world
    const type = catalog.jobTypes.get(row.typeId)
    const revision = catalog.jobTypeRevision(row.typeId, row.revision)
    if (!type || !revision) throw new Error(`job ${row.id} is of a type that is gone`)
    const { data, problems, spec } = await this.#gather(row)
    const files = await this.#world.files.filesOf(data)
    const configuration = this.configurationOf(row, spec)
    const staged = stageFiles(data, files)
    const inputBytes = [...files.values()].reduce((sum, file) => sum + file.sizeBytes, 0)
    const resources = resourcesFor(revision.manifest.resources, mebibytes(inputBytes))
    const program = {
      filePaths: inputPaths(staged, revision, folders.input),
      values: data.json,
      settings: configuration.settings,
      outputDir: folders.output,
      metadataPath: join(folders.input, metadataName),
    }
    const number = row.exesBefore + attempt
    const identity = {
      jobId: row.id,
      exeNumber: number,
      resources,
      ...(row.recipe !== null && { recipeId: row.recipe }),
      ...(row.batch !== null && { batchId: row.batch }),
    }
    return {
      row,
      number,
      type,
      revision,
      image: planImage(revision.image, settings),
      configuration,
      data,
      files,
      staged,
      inputBytes,
      resources,
      args: programArguments(revision.manifest, program),
      env: programEnvironment(revision.manifest, program, identity),
      problems,
    }
  }

  async #gather(row: JobRow): Promise<{ data: Data; problems: string[]; spec: RecipeSpec }> {
    const spec = await this.specOf(row)
    const step = stepOf(spec, row.step)
    const revision = this.#world.catalog.jobTypeRevision(row.typeId, row.revision)
    if (step?.does !== 'job' || !revision) return { data: emptyData, problems: [], spec }
    const { data, problems } = fitData(await this.follow(step.input, spec), revision.manifest.input)
    return { data, problems: problems.map(problem => problem.description), spec }
  }

  async #outputOf(step: string, spec: RecipeSpec): Promise<Data> {
    const own = stepOf(spec, step)
    const id = own?.does === 'job' ? own.id : spec.copied?.[step]?.job
    const job = await this.#world.archive.job(id ?? null)
    return job ? this.#world.files.outputOf(job) : emptyData
  }
}

/** The file that tells a program about its inputs. */
export const metadataName = 'scale-input-metadata.json'

/** Gives every file its place below the input directory; equal names in one input are told apart by a prefix. */
export function stageFiles(data: Data, files: ReadonlyMap<number, FileEntry>): StagedFile[] {
  const staged: StagedFile[] = []
  for (const [input, ids] of data.files) {
    const taken = new Set<string>()
    for (const id of ids) {
      const file = files.get(id)
      if (!file) continue
      const name = taken.has(file.name) ? `${id}-${file.name}` : file.name
      taken.add(name)
      staged.push({ input, file, path: join(input, name) })
    }
  }
  return staged
}

function inputPaths(
  staged: readonly StagedFile[],
  revision: JobTypeRevision,
  folder: string,
): Map<string, string> {
  const paths = new Map<string, string>()
  for (const { input, path } of staged) {
    const parameter = revision.manifest.input.get(input)
    const takesMany = parameter?.kind === 'file' && parameter.multiple
    paths.set(input, takesMany ? join(folder, input) : join(folder, path))
  }
  return paths
}
