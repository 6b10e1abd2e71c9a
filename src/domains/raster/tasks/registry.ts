// Tasks by the names that workflows and registrations use, with the original's dotted names as aliases.

import { builtinTasks } from './builtin.ts'
import { demoTasks } from './demo.ts'
import type { Task } from './task.ts'

const aliases: Readonly<Record<string, string>> = {
  LoadRasterDataset: 'raster:load_dataset',
  ArrayFromDataset: 'raster:array_from_dataset',
  ApplyExpression: 'raster:apply_expression',
  MaskByExpression: 'raster:mask_by_expression',
  MapByExpression: 'raster:map_by_expression',
  ReduceByExpression: 'raster:reduce_by_expression',
}
const dotted = 'ncdjango.geoprocessing.tasks.raster.'

export class TaskRegistry {
  readonly #tasks = new Map<string, Task>()

  /** `rasterRoot` is the only folder that raster:load_dataset may read from. */
  constructor({ rasterRoot }: { rasterRoot?: string | undefined } = {}) {
    for (const task of [...builtinTasks({ rasterRoot }), ...demoTasks]) this.add(task)
  }

  /** The last registration of a name wins. */
  add(task: Task): void {
    if (task.name !== undefined) this.#tasks.set(task.name, task)
  }

  find(name: string): Task | undefined {
    const alias = name.startsWith(dotted) ? aliases[name.slice(dotted.length)] : undefined
    return this.#tasks.get(alias ?? name)
  }
}
