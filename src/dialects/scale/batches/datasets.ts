// Datasets: lists of input data, one member for each recipe of a batch (contracts/scale.md §4.8).

import type { Json, JsonObject } from '../../../core/json.ts'
import { fitData, readData, showData } from '../../../domains/recipe/data.ts'
import { buildInterface, interfaceShape, showInterface } from '../../../domains/recipe/interface.ts'
import { faultText, findFaults } from '../../../domains/recipe/json-shape.ts'
import { answerError } from '../web/answer-error.ts'
import type { World } from '../world.ts'

const collection = 'scale.dataset'

/** A dataset. */
export interface Dataset {
  readonly id: number
  readonly title: string
  readonly description: string | null
  readonly createdAt: number
  readonly definition: JsonObject
  readonly members: readonly {
    readonly id: number
    readonly createdAt: number
    readonly data: { files: Record<string, number[]>; json: JsonObject }
  }[]
}

/** A dataset; undefined when there is none of this id. */
export async function getDataset(world: World, id: number): Promise<Dataset | undefined> {
  const record = await world.kit.records.get(collection, String(id))
  return record?.body as unknown as Dataset | undefined
}

/** All datasets. */
export async function allDatasets(world: World): Promise<Dataset[]> {
  const page = await world.kit.records.list({ collection, limit: 10_000 })
  return page.items.map(record => record.body as unknown as Dataset)
}

/** Creates a dataset; every member has to fit its parameters. */
export async function createDataset(
  world: World,
  wish: { title: string; description: string | null; definition: JsonObject; data: readonly Json[] },
): Promise<Dataset> {
  const parameters = readInterface(wish.definition['parameters'], 'parameters')
  const globals = readInterface(wish.definition['global_parameters'] ?? {}, 'global_parameters')
  const members = wish.data.map((item, index) => {
    const reading = readData((item ?? {}) as JsonObject)
    if (!reading.ok)
      throw answerError(400, `Invalid dataset data ${index + 1}: ${reading.problems[0]!.description}`)
    const { data, problems } = fitData(reading.value, parameters)
    if (problems[0]) throw answerError(400, `Invalid dataset data ${index + 1}: ${problems[0].description}`)
    return showData(data)
  })
  return world.commit(tx => {
    const { now } = tx
    const dataset: Dataset = {
      id: tx.next('scale.dataset'),
      title: wish.title,
      description: wish.description,
      createdAt: now,
      definition: {
        parameters: showInterface(parameters),
        global_parameters: showInterface(globals),
        global_data: (wish.definition['global_data'] as JsonObject | undefined) ?? { files: {}, json: {} },
      },
      members: members.map(data => ({ id: tx.next('scale.dataset-member'), createdAt: now, data })),
    }
    tx.record({ put: { collection, id: String(dataset.id), body: dataset as unknown as Json } })
    return dataset
  })
}

function readInterface(document: Json | undefined, name: string): ReturnType<typeof buildInterface>['value'] {
  const [fault] = findFaults(document, interfaceShape)
  if (fault) throw answerError(400, `Invalid dataset definition: ${name}: ${faultText(fault)}`)
  const { value, problems } = buildInterface(document as JsonObject, [name])
  if (problems[0]) throw answerError(400, `Invalid dataset definition: ${problems[0].description}`)
  return value
}
