// The work of a job on a worker thread: inputs from the web, the task, its outputs, rasters written as files to be
// published. Nothing is visible before the engine has heard of it all at once.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Json, JsonObject } from '../../../core/json.ts'
import type { WorkResult, WorkTools } from '../../../core/work.ts'
import { defaultRenderer, type Renderer, readRenderer, writeRenderer } from '../drawing/renderer.ts'
import { openDataset } from '../netcdf/open-dataset.ts'
import { openGrid } from '../netcdf/open-grid.ts'
import { dimensionNames, type ResultFormat, writeResultFile } from '../netcdf/publish.ts'
import { resolveProjection } from '../projection/epsg.ts'
import { isProjection } from '../projection/transform.ts'
import { blobFile, keepFile } from '../services/blob-files.ts'
import { readPlane, stepAt } from '../services/read-plane.ts'
import { readReference } from '../services/reference.ts'
import type { Service, ServiceDraft } from '../services/service.ts'
import { unwrapFloats } from '../values/float.ts'
import { Geometry } from '../values/geometry.ts'
import { NdArray, shapeText } from '../values/nd-array.ts'
import { readPythonJson, writePythonJson } from '../values/python-json.ts'
import { Raster } from '../values/raster.ts'
import { fromWeb } from './parameter.ts'
import { type JobSources, loadJobs, type RegisteredJob } from './registration.ts'
import { runTask } from './task.ts'

export interface JobOrder {
  readonly uuid: string
  readonly job: string
  /** JSON text of the inputs. */
  readonly inputs: string
  readonly sources: JobSources
  /** When it was submitted. */
  readonly now: number
  /** Larger arrays are not written out. */
  readonly cellsShownMax: number
  /** What published rasters are written as; `netcdf-3` unless given. */
  readonly format?: ResultFormat
  /** The services that the inputs refer to, as they are now. */
  readonly services?: Readonly<Record<string, Service>>
}

const description = 'This service has been automatically generated from the result of a geoprocessing job.'

/** Runs one job. Its outputs are the text `outputs`, and the list `services`, whose files are blobs already. */
export async function runJob(input: Json, tools: WorkTools): Promise<WorkResult> {
  const order = input as unknown as JobOrder
  const job = (await jobsOf(order.sources)).get(order.job)
  if (!job) throw new Error(`the job ${order.job} is not registered any more`)
  const read = readPythonJson(order.inputs) as Record<string, unknown>
  const args = new Map<string, unknown>()
  for (const [name, value] of Object.entries(read)) {
    const parameter = job.task.inputs.find(own => own.name === name)
    args.set(
      name,
      parameter ? await fromWeb(parameter, value, (text, kind) => resolve(order, tools, text, kind)) : value,
    )
  }
  const results = await runTask(job.task, args, {
    get signal() {
      return tools.signal
    },
    get scratchDir() {
      return tools.scratchDir
    },
    progress: fraction => tools.progress(fraction),
    log: line => tools.log(line),
  })
  const publishing = new Publishing(order, job, tools)
  const shown: Record<string, unknown> = {}
  for (const [name, value] of results) shown[name] = await publishing.show(name, value)
  return {
    outputs: [
      { name: 'outputs', value: writePythonJson(shown) },
      ...(publishing.services.length > 0
        ? [{ name: 'services', value: publishing.services as unknown as Json }]
        : []),
    ],
  }
}

// Registrations are code and files that do not change while the server runs; each thread reads them once.
const known = new Map<string, Promise<Map<string, RegisteredJob>>>()

function jobsOf(sources: JobSources): Promise<Map<string, RegisteredJob>> {
  const key = JSON.stringify(sources)
  const found = known.get(key) ?? loadJobs(sources)
  known.set(key, found)
  return found
}

async function resolve(
  order: JobOrder,
  tools: WorkTools,
  text: string,
  kind: 'array' | 'dataset',
): Promise<unknown> {
  const reference = readReference(text)
  const services = order.services ?? {}
  const service = Object.hasOwn(services, reference.service) ? services[reference.service] : undefined
  if (!service) throw new Error(`there is no service ${reference.service}`)
  const path = blobFile(tools.blobsDir, service.hash)
  if (reference.variable === undefined) {
    if (kind === 'dataset') return openDataset(path)
    throw new Error(`${text.slice(0, 200)} names no variable`)
  }
  const layer = service.variables.find(({ variable }) => variable === reference.variable)
  if (!layer) throw new Error(`the service ${service.name} has no variable ${reference.variable}`)
  const file = await openGrid(path)
  try {
    return await readPlane(file, layer, stepAt(layer, reference.timestamp))
  } finally {
    file.close()
  }
}

/** Turns outputs into what JSON can say; rasters that are to be published become files and names of services. */
class Publishing {
  readonly services: ServiceDraft[] = []
  readonly #order: JobOrder
  readonly #job: RegisteredJob
  readonly #tools: WorkTools

  constructor(order: JobOrder, job: RegisteredJob, tools: WorkTools) {
    this.#order = order
    this.#job = job
    this.#tools = tools
  }

  async show(name: string, value: unknown): Promise<unknown> {
    if (this.#job.publishes) {
      if (value instanceof Raster) return this.#publish(name, value)
      if (Array.isArray(value) && value.length > 0 && value.every(item => item instanceof Raster)) {
        const names: string[] = []
        for (const [index, raster] of value.entries())
          names.push(await this.#publish(`${name}_${index}`, raster))
        return names
      }
    }
    return this.#plain(value)
  }

  #plain(value: unknown): unknown {
    if (value instanceof NdArray) {
      if (value.size <= this.#order.cellsShownMax) return value.toLists()
      return `<array shape=${shapeText(value.shape)} dtype=${value.dtype}>`
    }
    if (value instanceof Geometry) return unwrapFloats(value.source)
    if (Array.isArray(value)) return value.map(item => this.#plain(item))
    if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.#plain(item)]))
    return value
  }

  #rendererOf(raster: Raster): Renderer {
    const wish = this.#job.rendererFor?.(raster)
    if (wish === undefined || wish === null) return defaultRenderer(raster.min(), raster.max())
    return readRenderer(hasNaN(wish) && raster.summary().valid === 0 ? withZeros(wish) : wish)
  }

  async #publish(output: string, raster: Raster): Promise<string> {
    const { uuid, now } = this.#order
    const name = `${uuid}/${output}`
    const { extent: place } = raster
    if (!isProjection(place.projection))
      throw new Error(
        `the projection ${place.projection.slice(0, 200)} is not known here: no map can be made`,
      )
    if (!(place.xmax > place.xmin && place.ymax > place.ymin))
      throw new Error(`the output ${output} has no extent: no map can be made`)
    const renderer = this.#rendererOf(raster)
    const path = join(this.#tools.scratchDir, `${this.services.length}.nc`)
    const hash = createHash('sha256')
    const sizeBytes = await writeResultFile(path, raster, {
      title: name,
      history: `${new Date(now).toISOString()} published by job ${uuid}`,
      format: this.#order.format ?? 'netcdf-3',
      hear: bytes => hash.update(bytes),
    })
    const digest = hash.digest('hex')
    await keepFile(this.#tools.blobsDir, path, digest)
    const projection = resolveProjection(raster.extent.projection)
    const extent = { ...raster.extent, projection }
    const { x, y } = dimensionNames(projection)
    this.services.push({
      name,
      description,
      dataPath: `${name}.nc`,
      hash: digest,
      sizeBytes,
      projection,
      fullExtent: extent,
      initialExtent: extent,
      time: null,
      rendersTopLayerOnly: true,
      isTemporary: true,
      job: uuid,
      variables: [
        {
          index: 0,
          variable: 'data',
          name: 'data',
          description: null,
          xDimension: x,
          yDimension: y,
          timeDimension: null,
          extent,
          time: null,
          renderer: writeRenderer(renderer) as JsonObject,
        },
      ],
    })
    return name
  }
}

// The least and the greatest value of a raster whose cells are all masked are no numbers. Nothing will be drawn of it, and
// it is a result like others.
function hasNaN(wish: unknown): wish is { readonly colors: readonly (readonly unknown[])[] } {
  const colors = (wish as { colors?: unknown }).colors
  return Array.isArray(colors) && colors.some(entry => Array.isArray(entry) && Number.isNaN(entry[0]))
}

function withZeros(wish: { readonly colors: readonly (readonly unknown[])[] }): unknown {
  const colors = wish.colors.map(([value, ...colour]) => [Number.isNaN(value) ? 0 : value, ...colour])
  return { ...wish, colors }
}
