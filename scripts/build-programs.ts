// Compiles the quick half of ecflow_client into dist/bin, beside copies of the other halves. Without a compiler jobs use
// the scripts in bin, which do the same more slowly.

import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const from = fileURLToPath(new URL('../bin', import.meta.url))
const to = fileURLToPath(new URL('../dist/bin', import.meta.url))

// The program has neither C library nor position of its own, so a compiler's usual protections have no ground.
const flags = [
  '-O2',
  '-Wall',
  '-static',
  '-nostdlib',
  '-ffreestanding',
  '-fno-stack-protector',
  '-fno-asynchronous-unwind-tables',
  '-fno-tree-loop-distribute-patterns',
  '-fno-pie',
  '-no-pie',
]

mkdirSync(to, { recursive: true })
const program = `${to}/ecflow_client`
const { status, stderr, error } = spawnSync('cc', [...flags, '-o', program, `${from}/ecflow-child.c`], {
  encoding: 'utf8',
})
if (status === 0) {
  copyFileSync(`${from}/ecflow_client`, `${to}/ecflow_client.sh`)
  copyFileSync(`${from}/ecflow-child.pl`, `${to}/ecflow-child.pl`)
} else {
  rmSync(to, { recursive: true, force: true })
  console.log(`ecflow_client stays a script: ${error?.message ?? stderr.trim()}`)
}
