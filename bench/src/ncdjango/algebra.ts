// Map algebra on its own: how many cells a second an expression takes, in a process of its own.

import { join } from 'node:path'
import { runProgram } from '../processes.ts'
import { boundFigure, type Figure, rateFigure, type Suite } from '../suite.ts'

export const algebraBench: Suite = {
  name: 'ncdjango-algebra',
  title: 'a + b * 2 on two float32 grids of 4000 × 4000',
  async run(): Promise<Figure[]> {
    const file = join(import.meta.dirname, 'algebra-program.ts')
    const { ours, plain } = (await runProgram(file, [])) as { ours: number; plain: number }
    return [
      boundFigure('map algebra', { value: ours, unit: 'M cells/s', atLeast: 200 }),
      rateFigure('map algebra', {
        ours,
        peer: plain,
        peerName: 'a loop by hand',
        unit: 'M cells/s',
        atLeast: 0.6,
      }),
    ]
  },
}
