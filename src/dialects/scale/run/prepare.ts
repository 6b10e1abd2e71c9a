// Gets a run ready just before it starts: its directories, its input files, and the command line for the process
// executor. Also hands the collecting job what it needs to know. Nothing of this is stored.

import { copyFile, link, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import type { Json, JsonObject } from '../../../core/json.ts'
import { workspaceOf } from '../../../domains/recipe/seed/configuration.ts'
import { mergeSources } from '../../../domains/recipe/seed/side-car.ts'
import type { Preparer } from '../../../engine/engine.ts'
import { workspaceFolder } from '../catalog/things.ts'
import { sourceFactsOf } from '../files/file-entry.ts'
import { exeIdOf } from '../instances/execution.ts'
import { showFile } from '../shapes/files.ts'
import type { World } from '../world.ts'
import type { CollectInput } from './collect-work.ts'
import { collectKind } from './drafter.ts'
import { metadataName, type Run, type RunFolders } from './runs.ts'

/** Where a container sees the directories of its run. */
const containerFolders: RunFolders = { input: '/scale/input_data', output: '/scale/output_data' }

/** What the container runtime answers when the image cannot be had. */
export const noImageExitCode = 125

/** Prepares programs. */
export function prepareProgram(world: World): Preparer {
  return async order => {
    await world.ready()
    const row = world.instances.jobs.get(Number((order.spec as JsonObject)['job']))
    if (!row) throw new Error(`there is no job ${String((order.spec as JsonObject)['job'])}`)
    const folder = world.runs.folderOf({ ...row, main: order.n }, order.attempt)
    const local = { input: join(folder, 'input'), output: join(folder, 'output') }
    const isContainer = await isContainerJob(world, row.typeId, row.revision)
    const run = await world.runs.describe(row, order.attempt, isContainer ? containerFolders : local)
    if (run.problems.length > 0) throw new Error(`Invalid job data: ${run.problems[0]}`)
    if (typeof run.args === 'string') throw new Error(run.args)
    row.inputBytes = run.inputBytes
    await stage(world, run, local, isContainer)
    return commandOf(world, run, run.args, local)
  }
}

/** Prepares the collecting of outputs. */
export function prepareCollect(world: World): Preparer {
  return async order => {
    await world.ready()
    const row = world.instances.jobs.get(Number((order.spec as JsonObject)['job']))
    if (!row) throw new Error('the job whose outputs are to be collected is gone')
    const main = await world.engineJob(row.main)
    const attempt = main?.attempts ?? row.attempts
    const folder = world.runs.folderOf(row, attempt)
    const run = await world.runs.describe(row, attempt, containerFolders)
    const { manifest } = run.revision
    const inherited = mergeSources([...run.files.values()].map(sourceFactsOf))
    const input: CollectInput = {
      folder,
      fileOutputs: manifest.fileOutputs.map(output => {
        const workspace = world.catalog.workspaceNamed(workspaceOf(run.configuration, output.name) ?? '')
        const target = workspace && workspaceFolder(workspace)
        return { ...output, ...(workspace && target && { workspace: { id: workspace.id, folder: target } }) }
      }),
      jsonOutputs: manifest.jsonOutputs,
      targetPath: productPath(world, run, inherited.sourceStartedAt),
      inherited,
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

async function isContainerJob(world: World, typeId: number, revision: number): Promise<boolean> {
  const image = world.catalog.jobTypeRevision(typeId, revision)?.image ?? ''
  return !image.startsWith('local/')
}

async function stage(world: World, run: Run, folders: RunFolders, isContainer: boolean): Promise<void> {
  await rm(dirname(folders.input), { recursive: true, force: true })
  await mkdir(folders.output, { recursive: true })
  await mkdir(folders.input, { recursive: true })
  for (const { file, path } of run.staged) {
    const workspace = world.catalog.workspaces.get(file.workspaceId)
    const root = workspace && workspaceFolder(workspace)
    if (root === undefined)
      throw new Error(`the workspace of file ${file.id} (${file.name}) is not on this machine`)
    const source = resolve(root, file.path)
    if (!source.startsWith(resolve(root) + sep))
      throw new Error(`file ${file.id} is not inside its workspace`)
    const target = join(folders.input, path)
    await mkdir(dirname(target), { recursive: true })
    // A program of this machine may follow a link; into a container only the bytes themselves can be mounted.
    if (isContainer) await link(source, target).catch(() => copyFile(source, target))
    else await symlink(source, target)
  }
  await writeFile(join(folders.input, metadataName), JSON.stringify(inputMetadata(world, run)))
}

function inputMetadata(world: World, run: Run): JsonObject {
  const values = new Map<string, Json>(run.data.json)
  for (const [name, ids] of run.data.files)
    values.set(
      name,
      ids.map(id => showFile(run.files.get(id)!, world)),
    )
  return { JOB: Object.fromEntries(values) }
}

function commandOf(world: World, run: Run, args: readonly string[], folders: RunFolders): Json {
  const { image } = run
  if (typeof image === 'string') throw new Error(image)
  const env = { ...run.env }
  if (image.executor === 'function') return {}
  if (image.run === 'shell') return { argv: [...image.argv, args.join(' ')], env, cwd: folders.output }
  if (image.run === 'program') return { argv: [...image.argv, ...args], env, cwd: folders.output }
  return containerCommand(world, run, image.image, args, folders)
}

function containerCommand(
  world: World,
  run: Run,
  image: string,
  args: readonly string[],
  folders: RunFolders,
): Json {
  const { runtime } = world.settings
  if (!runtime)
    return {
      argv: [
        '/bin/sh',
        '-c',
        `echo "no container runtime is configured (scale.runtime); cannot run $0" >&2; exit ${noImageExitCode}`,
        image,
      ],
    }
  const mounts = run.revision.manifest.mounts.flatMap(({ name, path, mode }) => {
    const source = run.configuration.mounts.get(name)
    if (!source) return []
    return ['-v', `${source.type === 'host' ? source.hostPath : name}:${path}:${mode}`]
  })
  const variables = Object.entries(run.env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  const cpus = run.resources.get('cpus') ?? 1
  const memory = Math.ceil(run.resources.get('mem') ?? 128)
  return {
    argv: [
      ...runtime,
      '--rm',
      '--name',
      `switchyard-scale-${run.row.id}-${run.row.main}-${run.number}`,
      '--cpus',
      String(cpus),
      '--memory',
      `${memory}m`,
      '-v',
      `${folders.input}:${containerFolders.input}:ro`,
      '-v',
      `${folders.output}:${containerFolders.output}:rw`,
      ...mounts,
      ...variables,
      image,
      ...args,
    ],
    cwd: folders.output,
  }
}

// The original's layout of products; users find their files by it.
function productPath(world: World, run: Run, sourceStartedAt: number | undefined): string {
  const { row, type } = run
  const recipe = row.recipe === null ? undefined : world.instances.recipes.get(row.recipe)
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
