// A task in another language: a command that reads its inputs from files in a folder, and writes its outputs there.
// `inputs.json` and `outputs.json` hold values; a raster is `{"$raster": "file.nc"}`, a CF NetCDF file beside them.

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, realpath, stat, writeFile } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { isObject } from '../../../core/json.ts'
import { openGrid } from '../netcdf/open-grid.ts'
import { writeRasterFile } from '../netcdf/publish.ts'
import { findLayers } from '../services/describe-file.ts'
import { readPlane } from '../services/read-plane.ts'
import { Geometry } from '../values/geometry.ts'
import { NdArray } from '../values/nd-array.ts'
import { readPythonJson, writePythonJson } from '../values/python-json.ts'
import { Raster } from '../values/raster.ts'
import { type Parameter, readParameter } from './parameter.ts'
import { ParameterCollection, type Task, type TaskTools } from './task.ts'

const outputBytesMax = 64 * 1024 * 1024
const lineMax = 65_536

/** Reads a registration of type `command`. */
export function readCommandTask(entry: Readonly<Record<string, unknown>>, folder: string): Task {
  const { command, inputs = [], outputs = [], name } = entry
  if (!Array.isArray(command) || command.length === 0 || !command.every(word => typeof word === 'string'))
    throw new Error('command must be a list of words')
  const read = (list: unknown, what: string): Parameter[] => {
    if (!Array.isArray(list)) throw new Error(`${what} must be a list`)
    return list.map(readParameter)
  }
  return {
    ...(typeof name === 'string' ? { name } : {}),
    inputs: read(inputs, 'inputs'),
    outputs: read(outputs, 'outputs'),
    keepsFloats: true,
    execute: (args, tools) => runCommand(command as string[], args, { tools, folder }),
  }
}

async function runCommand(
  command: readonly string[],
  args: Readonly<Record<string, unknown>>,
  { tools, folder }: { tools: TaskTools; folder: string },
): Promise<ParameterCollection> {
  const room = await mkdtemp(join(tools.scratchDir, 'command-'))
  let count = 0
  const place = (value: unknown): unknown => {
    if (value instanceof Raster) {
      const file = `input-${count++}.nc`
      writeRasterFile(join(room, file), value, { title: file, history: 'input of a task' })
      return { $raster: file }
    }
    if (value instanceof NdArray) return value.toLists()
    if (value instanceof Geometry) return value.source
    return Array.isArray(value) ? value.map(place) : value
  }
  const inputs = Object.fromEntries(Object.entries(args).map(([name, value]) => [name, place(value)]))
  await writeFile(join(room, 'inputs.json'), writePythonJson(inputs))
  await run(command, { room, folder, tools })
  const file = join(room, 'outputs.json')
  const { size } = await stat(file).catch(() => {
    throw new Error('the command ended without writing outputs.json')
  })
  if (size > outputBytesMax) throw new Error(`outputs.json is larger than ${outputBytesMax} bytes`)
  const values = readPythonJson(await readFile(file, 'utf8'))
  if (!isObject(values)) throw new Error('outputs.json must hold an object')
  const read: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(values)) read[name] = await readOutput(value, room)
  return new ParameterCollection(read)
}

async function readOutput(value: unknown, room: string): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map(item => readOutput(item, room)))
  if (!isObject(value) || typeof value['$raster'] !== 'string') return value
  const path = await realpath(resolve(room, value['$raster']))
  if (!path.startsWith((await realpath(room)) + sep))
    throw new Error('a raster must be a file in the folder of the task')
  const file = await openGrid(path)
  try {
    const wanted = typeof value['variable'] === 'string' ? value['variable'] : undefined
    const layers = await findLayers(file)
    const layer = wanted === undefined ? layers[0] : layers.find(({ variable }) => variable === wanted)
    if (!layer) throw new Error(`${value['$raster']} has no grid${wanted === undefined ? '' : ` ${wanted}`}`)
    return await readPlane(file, layer, 0)
  } finally {
    file.close()
  }
}

/** The command in its room; its lines are the job's log, and a line `progress 0.5` tells how far it is. */
async function run(
  command: readonly string[],
  { room, folder, tools }: { room: string; folder: string; tools: TaskTools },
): Promise<void> {
  const [program, ...words] = command.map(word => (word.startsWith('./') ? resolve(folder, word) : word))
  const child = spawn(program!, words, {
    cwd: room,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: what the command has started ends with it.
    detached: true,
    env: { PATH: process.env['PATH'], HOME: room, LANG: 'C.UTF-8', SWITCHYARD_TASK_FOLDER: room },
  })
  let tail = ''
  const hear = (chunk: string): void => {
    tail = (tail + chunk).slice(-2000)
  }
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', hear)
    eachLine(stream, line => {
      const progress = /^progress (\d+(?:\.\d*)?|\.\d+)$/.exec(line)
      if (progress) tools.progress(Math.min(1, Number(progress[1])))
      else if (line !== '') tools.log(line)
    })
  }
  // The stop is asked for through shared memory, which nothing announces while no code of ours runs.
  const watch = setInterval(() => {
    if (tools.signal.aborted) killGroup(child.pid)
  }, 100)
  // What it left running would keep its streams open, and go on in a folder that is removed.
  child.once('exit', () => killGroup(child.pid))
  try {
    const code = await new Promise<number | null>((done, failed) => {
      child.once('error', failed)
      child.once('close', done)
    })
    tools.signal.throwIfAborted()
    if (code !== 0) throw new Error(`the command ended with ${code}: ${tail.trim().slice(-500)}`)
  } finally {
    clearInterval(watch)
  }
}

/** Calls with each line, which may come in pieces; one that does not end is given out in parts. */
function eachLine(stream: Readable, tell: (line: string) => void): void {
  let rest = ''
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (; rest.length > lineMax; rest = rest.slice(lineMax)) lines.push(rest.slice(0, lineMax))
    for (const line of lines) tell(line)
  })
  stream.on('end', () => tell(rest))
}

/** Ends a command with all that it started and left behind. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in the group.
  }
}
