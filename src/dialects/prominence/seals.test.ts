import { randomFillSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { compileJob } from './compile.ts'
import type { JobDocument } from './document.ts'
import { openSeals } from './seals.ts'

const random = (bytes: Uint8Array) => void randomFillSync(bytes)
const seals = openSeals(new Uint8Array(32).fill(7), random)
const withToken = (token: string): JobDocument => ({
  resources: { cpus: 1, memory: 1 },
  tasks: [{ image: 'a', runtime: 'udocker', imagePullCredential: { username: 'u', token } }],
  storage: { type: 'onedata', mountpoint: '/d', onedata: { provider: 'p', token } },
})
const tokensOf = ({ tasks, storage }: JobDocument) => [
  tasks[0]!.imagePullCredential!.token,
  storage!.onedata.token,
]

test('what was sealed is opened again, and looks like nothing meanwhile', () => {
  for (const text of ['', 'very secret', 'żółw', 'sealed:1:not one of ours', 'x'.repeat(10_000)]) {
    const sealed = tokensOf(seals.seal(withToken(text), 'alice'))
    expect(new Set(sealed).size).toBe(2)
    for (const each of sealed) {
      expect(each.slice(9)).not.toContain(text || 'sealed')
      expect(seals.open(each, 'alice')).toBe(text)
    }
  }
})

test('a seal is good for its owner and its key only, and not once it was changed', () => {
  const [sealed] = tokensOf(seals.seal(withToken('very secret'), 'alice')) as [string]
  expect(() => seals.open(sealed, 'bob')).toThrow(/another one/)
  expect(() => openSeals(new Uint8Array(32), random).open(sealed, 'alice')).toThrow(/another one/)
  for (const at of [9, 30, sealed.length - 2]) {
    const other = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
    expect(() => seals.open(other, 'alice')).toThrow(/another one/)
  }
  expect(() => seals.open('sealed:1:', 'alice')).toThrow(/another one/)
})

test('a text that was stored before there were seals is itself', () => {
  expect(seals.open('plain', 'alice')).toBe('plain')
})

test('a sealed credential is open in what the executor is told', () => {
  const document = seals.seal(withToken('very secret'), 'alice')
  const told = { document, by: { groups: [] }, name: '' }
  const { tasks } = compileJob(told, {
    jobId: 1,
    grant: { nodes: 1, cpus: 1, memory: 1, disk: 1 },
    url: '',
    token: '',
    openSecret: text => seals.open(text, 'alice'),
    objects: new Map(),
  }) as { tasks: { credential: unknown }[] }
  expect(tasks[0]!.credential).toEqual({ username: 'u', token: 'very secret' })
})
