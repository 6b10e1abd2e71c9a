// Measures the language in a process of its own and prints the figures as JSON.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parseDefinition } from '../../../src/domains/suite/language/parse-definition.ts'
import { printPersisted } from '../../../src/domains/suite/language/print-definition.ts'
import { bigSuite, variedSuite } from './definition.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const tasks = 100_000
const text = bigSuite('big', tasks)

const rate = (bytes: number, run: () => void): number => {
  let best = 0
  for (let round = 0; round < 7; round++) {
    collect()
    const startedAt = performance.now()
    run()
    best = Math.max(best, bytes / 1e6 / ((performance.now() - startedAt) / 1000))
  }
  return best
}

const parseMbPerS = rate(text.length, () => void parseDefinition(text))
const varied = variedSuite('varied', tasks)
const variedMbPerS = rate(varied.length, () => void parseDefinition(varied))
collect()
const before = process.memoryUsage().heapUsed
const { nodes } = parseDefinition(text)
collect()
const bytesPerNode = (process.memoryUsage().heapUsed - before) / (tasks * 1.01)
const printMbPerS = rate(printPersisted(nodes).length, () => void printPersisted(nodes))
console.log(JSON.stringify({ parseMbPerS, variedMbPerS, printMbPerS, bytesPerNode }))
