// Gets a run ready just before it starts: its directories, its input files, and the command line for the process
// executor. Also hands the collecting job what it needs to know. Nothing of this is stored.

import { createReadStream } from 'node:fs'
import { access, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import type { Json, JsonObject } from '../../../core/json.ts'
import type { Data } from '../../../domains/recipe/data.ts'
import { workspaceOf } from '../../../domains/recipe/seed/configuration.ts'
import { mergeSources } from '../../../domains/recipe/seed/side-car.ts'
import type { Preparer } from '../../../engine/engine.ts'
import { workspaceFolder } from '../catalog/things.ts'
import { type FileEntry, sourceFactsOf } from '../files/file-entry.ts'
import { exeIdOf } from '../instances/execution.ts'
import { isCollected } from '../instances/lay-out.ts'
import type { JobRow } from '../instances/rows.ts'
import { showFile } from '../shapes/files.ts'
import type { World } from '../world.ts'
import type { CollectInput } from './collect-work.ts'
import { collectKind } from './drafter.ts'
import { containerMounts, demandLocalMounts, demandSettings, refuse } from './mounts.ts'
import { metadataName, type Run, type RunFolders } from './runs.ts'

/** Where a container sees the directories of its run. */
const containerFolders: RunFolders = { input: '/scale/input_data', output: '/scale/output_data' }

/** The output under which a container's whole output directory is handed over. */
const outputArchive = 'output_data'
/** How long an input file is kept for an attempt to take it. */
const keepMs = 3_600_000

/** Prepares programs of this machine. */
export function prepareProgram(world: World): Preparer {
  return async order => {
    const row = await rowOf(world, order.spec)
    const folder = world.runs.folderOf({ ...row, main: order.n }, order.attempt)
    const local = { input: join(folder, 'input'), output: join(folder, 'output') }
    const run = await describeGood(world, row, order.attempt, local)
    demandLocalMounts(run.revision.manifest, run.configuration)
    await stage(world, run, local)
    return commandOf(run, local)
  }
}

/** Prepares containers: their files travel as blobs, into the attempt's own directories and out of them. */
export function prepareContainer(world: World): Preparer {
  return async order => {
    const row = await rowOf(world, order.spec)
    const run = await describeGood(world, row, order.attempt, containerFolders)
    if (typeof run.image === 'string' || run.image.executor !== 'container')
      throw new Error('the image is none of a container')
    const executor = world.kit.engine.executors.get('container')
    const check = (spec: Json): string | undefined => executor?.check(spec, 'scale')
    const extra = await containerMounts(run.revision.manifest, run.configuration, check)
    const fetch: JsonObject[] = []
    for (const { file, path } of run.staged) {
      const { hash } = await world.kit.blobs.write(createReadStream(await demandFile(world, file)))
      // Kept from being swept until the attempt had ample time to take it.
      const release = world.kit.blobs.keep(hash)
      world.kit.clock.alarm(world.now + keepMs, release)
      fetch.push({ blob: hash, name: `input_data/${path}` })
    }
    const metadata = Buffer.from(JSON.stringify(await inputMetadata(world, run))).toString('base64')
    return {
      tasks: [
        {
          image: run.image.image,
          argv: [...(run.args as readonly string[])],
          entrypoint: 'image',
          env: { ...run.env },
          workdir: containerFolders.output,
          mounts: [
            { from: 'input_data', to: containerFolders.input, readOnly: true },
            { from: 'output_data', to: containerFolders.output },
            ...extra.mounts,
          ],
        },
      ],
      files: [
        { path: `input_data/${metadataName}`, content: metadata },
        // So that the directory is there, also for a program that writes nothing.
        { path: 'output_data/.scale', content: Buffer.from('outputs\n').toString('base64') },
        ...extra.files,
      ],
      volumes: [...extra.volumes],
      stage: {
        fetch,
        collect: isCollected(run.revision) ? [{ output: outputArchive, path: 'output_data', as: 'tgz' }] : [],
      },
    }
  }
}

async function rowOf(world: World, spec: Json): Promise<JobRow> {
  await world.ready()
  const id = Number((spec as JsonObject)['job'])
  const row = world.instances.jobs.get(id)
  if (!row) throw new Error(`there is no job ${id}`)
  return row
}

async function describeGood(world: World, row: JobRow, attempt: number, folders: RunFolders): Promise<Run> {
  const run = await world.runs.describe(row, attempt, folders)
  // Neither becomes better by trying again.
  if (run.problems.length > 0) refuse('algorithm-unknown', `Invalid job data: ${run.problems[0]}`)
  if (typeof run.args === 'string') refuse('algorithm-unknown', run.args)
  demandSettings(run.revision.manifest, run.configuration)
  world.runs.measured(row, [...run.files.values()])
  return run
}

/** Prepares the collecting of outputs. */
export function prepareCollect(world: World): Preparer {
  return async order => {
    const row = await rowOf(world, order.spec)
    const main = await world.engineJob(row.main)
    const attempt = main?.attempts ?? row.attempts
    const folder = world.runs.folderOf(row, attempt)
    const run = await world.runs.describe(row, attempt, containerFolders)
    const { manifest } = run.revision
    const inherited = mergeSources([...run.files.values()].map(sourceFactsOf))
    const archive = (await world.kit.engine.history.outputs(row.main)).find(
      output => output.name === outputArchive,
    )?.blob
    const input: CollectInput = {
      folder,
      ...(archive && { archive: world.kit.blobs.path(archive.hash) }),
      fileOutputs: manifest.fileOutputs.map(output => {
        const workspace = world.catalog.workspaceNamed(workspaceOf(run.configuration, output.name) ?? '')
        const target = workspace && workspaceFolder(workspace)
        return { ...output, ...(workspace && target && { workspace: { id: workspace.id, folder: target } }) }
      }),
      jsonOutputs: manifest.jsonOutputs,
      targetPath: await productPath(world, run, inherited.sourceStartedAt),
      inherited,
      enrichable: [...run.data.files].flatMap(([name, ids]) => {
        const parameter = manifest.input.get(name)
        return parameter?.kind === 'file' && !parameter.multiple && ids.length === 1 ? [name] : []
      }),
      metaData: {
        job_name: manifest.name,
        job_version: manifest.version,
        package_version: String((manifest.document['job'] as JsonObject)['packageVersion']),
        url: null,
      },
      filesMax: world.settings.filesMax,
      metadataBytesMax: world.settings.metadataBytesMax,
    }
    return { function: collectKind, input: input as unknown as Json }
  }
}

async function stage(world: World, run: Run, folders: RunFolders): Promise<void> {
  await rm(dirname(folders.input), { recursive: true, force: true })
  await mkdir(folders.output, { recursive: true })
  await mkdir(folders.input, { recursive: true })
  for (const { file, path } of run.staged) {
    const target = join(folders.input, path)
    await mkdir(dirname(target), { recursive: true })
    await symlink(await demandFile(world, file), target)
  }
  await writeFile(join(folders.input, metadataName), JSON.stringify(await inputMetadata(world, run)))
}

/** Where an input file lies, which has to be there. */
async function demandFile(world: World, file: FileEntry): Promise<string> {
  if (file.isDeleted) refuse('deleted-file', `the input file ${file.id} (${file.name}) has been deleted`)
  const source = sourceOf(world, file)
  const isThere = await access(source).then(
    () => true,
    () => false,
  )
  if (!isThere) refuse('missing-file', `the input file ${file.id} (${file.name}) is not in its workspace`)
  return source
}

/** Where a file lies on this machine. */
function sourceOf(world: World, file: FileEntry): string {
  const workspace = world.catalog.workspaces.get(file.workspaceId)
  const root = workspace && workspaceFolder(workspace)
  if (root === undefined)
    throw new Error(`the workspace of file ${file.id} (${file.name}) is not on this machine`)
  const source = resolve(root, file.path)
  if (!source.startsWith(resolve(root) + sep)) throw new Error(`file ${file.id} is not inside its workspace`)
  return source
}

// What a program may read of its inputs, and of those of the recipe around it.
async function inputMetadata(world: World, run: Run): Promise<JsonObject> {
  const recipe = await world.runs.recipeInputOf(run.row)
  return {
    JOB: metadataOf(world, run.data, run.files),
    ...(recipe && { RECIPE: metadataOf(world, recipe, await world.files.filesOf(recipe)) }),
  }
}

function metadataOf(world: World, data: Data, files: ReadonlyMap<number, FileEntry>): JsonObject {
  const values = new Map<string, Json>(data.json)
  for (const [name, ids] of data.files) {
    const known = ids.map(id => files.get(id)).filter(file => file !== undefined)
    values.set(
      name,
      known.map(file => showFile(file, world, { full: true })),
    )
  }
  return Object.fromEntries(values)
}

function commandOf(run: Run, folders: RunFolders): Json {
  const { image } = run
  const args = run.args as readonly string[]
  if (typeof image === 'string') throw new Error(image)
  if (image.executor !== 'process') throw new Error(`the image ${run.revision.image} is none of this machine`)
  const argv = image.run === 'shell' ? [...image.argv, args.join(' ')] : [...image.argv, ...args]
  return { argv, env: { ...run.env }, cwd: folders.output }
}

// The original's layout of products; users find their files by it.
async function productPath(world: World, run: Run, sourceStartedAt: number | undefined): Promise<string> {
  const { row, type } = run
  const recipe = await world.archive.recipe(row.recipe)
  const recipeType = recipe && world.catalog.recipeTypes.get(recipe.typeId)
  const date = new Date(sourceStartedAt ?? world.now).toISOString().slice(0, 10).replaceAll('-', '/')
  return [
    ...(recipe && recipeType ? ['recipes', recipeType.name, `revision_${recipe.revision}`] : []),
    'jobs',
    type.name,
    type.version,
    ...(sourceStartedAt === undefined ? ['unknown_source_data_time'] : []),
    date,
    `job_exe_${exeIdOf(row.id, run.number)}`,
  ].join('/')
}
