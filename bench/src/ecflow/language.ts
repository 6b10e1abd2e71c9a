// The definition language by itself: how fast a text becomes a tree, and what a node weighs.

import { runProgram } from '../processes.ts'
import { boundFigure, type Figure, type Suite } from '../suite.ts'

export const languageBench: Suite = {
  name: 'ecflow-language',
  title: 'Parsing and printing a definition of a hundred thousand tasks',
  run,
}

async function run(): Promise<Figure[]> {
  const program = new URL('./language-program.ts', import.meta.url).pathname
  const facts: { parseMbPerS: number; variedMbPerS: number; printMbPerS: number; bytesPerNode: number } =
    await runProgram(program, [])
  return [
    boundFigure('parse', { value: facts.parseMbPerS, unit: 'MB/s', atLeast: 40 }),
    boundFigure('parse where nothing repeats', { value: facts.variedMbPerS, unit: 'MB/s', atLeast: 40 }),
    boundFigure('print with states', { value: facts.printMbPerS, unit: 'MB/s', atLeast: 40 }),
    boundFigure('memory of a node', { value: facts.bytesPerNode, unit: 'bytes', atMost: 3000 }),
  ]
}
