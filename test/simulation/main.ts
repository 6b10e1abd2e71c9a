// Plays one seed, or a range: `make sim SEED=42`, `make sim SEED=1 SEEDS=5000`.

import { parseArgs } from 'node:util'
import { playDay } from './day.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, seeds: { type: 'string', default: '1' } },
})
const first = Number(values.seed)
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const report = await playDay(seed)
  if (values.seeds === '1') console.log(report)
}
console.log(`${values.seeds} seeds from ${first}: every promise kept`)
