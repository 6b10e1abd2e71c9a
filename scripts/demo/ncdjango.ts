// ncdjango: a raster job whose result is published, drawn as a tile, and used by a second job.

import { type Act, ask, type Row, type Stage, until } from './act.ts'

interface Shown {
  uuid: string
  status: string
  outputs: string
}

export const ncdjango: Act = {
  title: 'ncdjango',
  async play(stage) {
    const published = await run(stage, 'demo_raster_stretched', {
      ...{ width: 100, height: 1, extent: [-180, -80, 180, 80], scale: 1 },
    })
    const service = (JSON.parse(published.outputs) as { raster_out: string }).raster_out
    const address = `/tiles/${service}/0/0/0.png`
    const tile = await fetch(stage.url + address)
    const bytes = (await tile.arrayBuffer()).byteLength
    if (tile.status !== 200) throw new Error(`the tile was answered with ${tile.status}`)
    const derived = await run(stage, 'demo_apply_expression', {
      array_in: `service://${service}:data`,
      expression: 'x * 2 + k',
      k: 1,
    })
    const second = (JSON.parse(derived.outputs) as { array_out: string }).array_out
    const range = await ask(stage, `/data/services/${second}/data/info/range/`)
    return [
      row(published, 'a raster job, published as a map', `a tile of ${bytes} bytes`, address),
      row(
        derived,
        'map algebra on that result: x * 2 + 1',
        JSON.stringify(range),
        `/arcgis/rest/services/${second}/MapServer`,
      ),
    ]
  },
}

function row(job: Shown, what: string, result: string, address: string): Row {
  return { dialect: 'ncdjango', what, state: job.status, result, address }
}

async function run(stage: Stage, job: string, inputs: object): Promise<Shown> {
  const made = (await ask(stage, '/geoprocessing/rest/jobs/', {
    body: { job, inputs: JSON.stringify(inputs) },
  })) as Shown
  return until(
    async () => (await ask(stage, `/geoprocessing/rest/jobs/${made.uuid}/`)) as Shown,
    shown => shown.status === 'success' || shown.status === 'failure',
  )
}
