// `make bench` runs every suite, or those named: `make bench ONLY="submit whole"`. Prints a table and keeps it in
// RESULTS.md. Timings of one machine are noisy: only ratios within one run mean something.

import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import Table from 'cli-table3'
import { ecflowSuites } from './ecflow/index.ts'
import { engineSuites } from './engine/index.ts'
import { ncdjangoSuites } from './ncdjango/index.ts'
import { orthancSuites } from './orthanc/index.ts'
import { prominenceSuites } from './prominence/index.ts'
import { scaleSuites } from './scale/index.ts'
import type { Figure, Suite } from './suite.ts'

const suites: readonly Suite[] = [
  ...engineSuites,
  ...orthancSuites,
  ...ncdjangoSuites,
  ...prominenceSuites,
  ...ecflowSuites,
  ...scaleSuites,
]
const results = join(import.meta.dirname, '../RESULTS.md')

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !suites.some(suite => suite.name === name))
if (unknown.length > 0) {
  console.error(
    `there is no suite ${unknown.join(', ')}; there are ${suites.map(suite => suite.name).join(', ')}`,
  )
  process.exit(2)
}
let missed = 0
for (const suite of suites.filter(it => wanted.length === 0 || wanted.includes(it.name))) {
  console.log(`\n${suite.name}: ${suite.title}`)
  const figures = await suite.run()
  missed += figures.filter(figure => !figure.met).length
  print(figures)
  keep(suite, figures)
}
console.log(missed === 0 ? '\nevery goal is met' : `\n${missed} goals are missed`)

function print(figures: readonly Figure[]): void {
  const table = new Table({
    head: ['figure', 'ours', 'beside', 'ratio or value', 'goal', 'met'],
    style: { head: [], border: [] },
  })
  for (const { what, ours, beside, ratio, goal, met } of figures)
    table.push([what, ours, beside, ratio, goal, met ? 'yes' : 'NO'])
  console.log(table.toString())
}

/** Replaces the suite's section in RESULTS.md. */
function keep(suite: Suite, figures: readonly Figure[]): void {
  const rows = figures.map(
    ({ what, ours, beside, ratio, goal, met }) =>
      `| ${what} | ${ours} | ${beside} | ${ratio} | ${goal} | ${met ? 'yes' : 'no'} |`,
  )
  const date = new Date().toISOString().slice(0, 10)
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? '?'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
  const section = [
    `## ${suite.name}`,
    '',
    `${suite.title}. ${date}, ${machine}.`,
    '',
    '| figure | ours | beside | ratio or value | goal | met |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
  const sections = readSections()
  sections.set(suite.name, section)
  const order = suites.map(it => it.name).filter(name => sections.has(name))
  writeFileSync(
    results,
    `# Results\n\nWritten by \`make bench\`. Each section is one run: compare within it only.\n\n${order.map(name => sections.get(name)).join('\n')}`,
  )
}

function readSections(): Map<string, string> {
  let text = ''
  try {
    text = readFileSync(results, 'utf8')
  } catch {
    // The first run: there is nothing to keep.
  }
  const sections = new Map<string, string>()
  for (const part of text.split(/^(?=## )/m)) {
    const name = /^## (\S+)/.exec(part)?.[1]
    if (name !== undefined) sections.set(name, `${part.trimEnd()}\n`)
  }
  return sections
}
