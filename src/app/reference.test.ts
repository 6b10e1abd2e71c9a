import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { defaultLimits } from '../http/limits.ts'
import { metricsReference } from './metrics-reference.ts'
import { limitsOf } from './settings/handed-on.ts'
import { settingLeaves } from './settings/read-settings.ts'
import { settingsReference } from './settings/reference.ts'
import { settingsSchema } from './settings/schema.ts'

const page = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../docs/reference/${name}`, import.meta.url)), 'utf8')

test('the page about settings says what the code says (node scripts/write-reference.ts)', () => {
  expect(page('config.md')).toBe(settingsReference())
})

test('the page about metrics says what the code says (node scripts/write-reference.ts)', () => {
  expect(page('metrics.md')).toBe(metricsReference())
})

test('every setting has a sentence', () => {
  expect(settingLeaves().filter(leaf => leaf.describe === '')).toEqual([])
})

test('the server’s limits unless configured are those of the HTTP room', () => {
  expect(limitsOf(settingsSchema.parse({}))).toEqual(defaultLimits)
})
