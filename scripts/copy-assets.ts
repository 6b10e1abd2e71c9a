// Copies what the compiler leaves behind (migrations, data files) from src to dist, under the same names.

import { cpSync, existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

const from = fileURLToPath(new URL('../src', import.meta.url))
const to = fileURLToPath(new URL('../dist', import.meta.url))

if (!existsSync(to)) {
  console.error('There is no dist folder: run the compiler first (npm run build)')
  process.exit(1)
}
// Sources are compiled, and READMEs are for those who read sources.
cpSync(from, to, { recursive: true, filter: path => !['.ts', '.tsx', '.md'].includes(extname(path)) })
