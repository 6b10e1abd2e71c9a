import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { expect, test } from 'vitest'
import { ecflowSettings, idleSettings, readSettings } from './settings.ts'

const repository = new URL('../../../', import.meta.url)
const page = readFileSync(new URL('docs/reference/ecflow-settings.md', repository), 'utf8')
const program = readFileSync(new URL('bin/ecflow_http', repository), 'utf8')

/** The cells of a section's table, row by row. */
function rowsOf(heading: string): string[][] {
  const section = page.split(/^#+ /m).find(part => part.startsWith(`${heading}\n`))!
  const rows = section.split('\n').filter(line => line.startsWith('| ') && !line.startsWith('| ---'))
  return rows.slice(1).map(line =>
    line
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim()),
  )
}

const codes = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(match => match[1]!)
const working = rowsOf('Settings of the ecFlow dialect')
const idle = rowsOf('Accepted without effect')
const ofServer = rowsOf('Options that set something of the whole server')

test('the page names every setting of the schema, in its order, and no other', () => {
  const named = [...working, ...idle].map(row => codes(row[0]!)[0])
  expect(named).toEqual(Object.keys(ecflowSettings.shape))
})

test('the page gives the defaults of the schema', () => {
  const defaults = ecflowSettings.parse({}) as Record<string, unknown>
  for (const [setting, given] of working.map(row => [codes(row[0]!)[0]!, row[1]!] as const)) {
    const value = defaults[setting]
    if (value === undefined) continue
    const shown = Array.isArray(value) && value.length === 0 ? 'none' : `\`${String(value)}\``
    expect(`${setting} ${given}`).toBe(`${setting} ${shown}`)
  }
})

test('the page gives the usual names of the files', () => {
  const usual = readSettings({}, '/data') as unknown as Record<string, string>
  const names = { tokens_file: 'tokensFile', lists_file: 'listsFile' }
  const passwords = { passwd_file: 'passwdFile', custom_passwd_file: 'customPasswdFile' }
  for (const [setting, member] of Object.entries({ ...names, ...passwords })) {
    const shown = codes(working.find(row => codes(row[0]!)[0] === setting)![1]!)[0]!
    const name = shown.replace('HOST', hostname()).replace('PORT', '3141')
    expect(usual[member]).toBe(`/data/home/${name}`)
  }
})

test('the page and ecflow_http know the same options and variables', () => {
  const cells = [...working.map(row => row[2]!), ...idle.map(row => row[1]!), ...ofServer.map(row => row[0]!)]
  const shown = new Set(cells.flatMap(codes))
  const known = [...program.matchAll(/\$\{?(ECF_[A-Z_]+|SWITCHYARD_DATA)\b/g)].map(match => match[1]!)
  const nested = [...program.matchAll(/:-\$\{(ECF_[A-Z_]+)/g)].map(match => match[1]!)
  const cases = [...program.matchAll(/^ {4}(-[^)\n]*)\)/gm)].flatMap(match => match[1]!.split(/\s*\|\s*/))
  const options = cases.filter(word => word.startsWith('--') && !['--*=*', '--*', '--help'].includes(word))
  expect([...shown].sort()).toEqual([...new Set([...known, ...nested, ...options])].sort())
})

test('every setting without effect is said to be so, with its reason', () => {
  expect(idle.map(row => codes(row[0]!)[0])).toEqual(idleSettings.map(({ name }) => name))
  const all = {
    polling_interval: 10,
    max_polling_interval: 300,
    cert_directory: 'x',
    verbose: true,
    http: true,
  }
  expect(readSettings(all, '/data').idle).toEqual(
    idleSettings.map(({ name, why }) => `dialects.ecflow.${name} has no effect: ${why}`),
  )
  expect(readSettings({}, '/data').idle).toEqual([])
})

test('a setting that is not known is refused by its name', () => {
  expect(() => readSettings({ intervall: 5 }, '/data')).toThrow('intervall')
  expect(() => readSettings({ interval: 61 }, '/data')).toThrow('dialects.ecflow.interval')
})
