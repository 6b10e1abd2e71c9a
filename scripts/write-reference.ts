// Writes the reference pages that are made from the code: node scripts/write-reference.ts. A test compares them.

import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { metricsReference } from '../src/app/metrics-reference.ts'
import { settingsReference } from '../src/app/settings/reference.ts'

const folder = fileURLToPath(new URL('../docs/reference/', import.meta.url))
mkdirSync(folder, { recursive: true })
writeFileSync(`${folder}config.md`, settingsReference())
writeFileSync(`${folder}metrics.md`, metricsReference())
