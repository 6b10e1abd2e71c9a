// A file of grids as the dataset that tasks read from.

import { RasterDataset } from '../tasks/raster-dataset.ts'
import { readMasked } from './masked.ts'
import { openGrid } from './open-grid.ts'

/** Opens a dataset; it is opened anew for each variable that is read, so that nothing stays open. */
export async function openDataset(path: string): Promise<RasterDataset> {
  const file = await openGrid(path)
  const names = [...file.variables.keys()]
  file.close()
  return new RasterDataset(names, async name => {
    const again = await openGrid(path)
    try {
      const variable = again.variables.get(name)!
      const start = variable.shape.map(() => 0)
      return await readMasked(again, variable, start, variable.shape)
    } finally {
      again.close()
    }
  })
}
