import { expect, test } from 'vitest'
import { openLinks } from './links.ts'

const links = openLinks(new Uint8Array(32).fill(3))
const grant = { may: 'get', hash: 'a'.repeat(64) } as const
const make = (expiresAt: number, fileName = 'out.txt') =>
  links.make('https://yard.example', grant, { expiresAt, fileName })
const signedOf = (url: string) => url.split('/').at(-2)!

test('a link says what may be done, until it is over', () => {
  const url = make(100_000)
  expect(url.startsWith('https://yard.example/')).toBe(true)
  expect(url.endsWith('/out.txt')).toBe(true)
  expect(links.read(signedOf(url), 99_000)).toEqual(grant)
  expect(links.read(signedOf(url), 101_000)).toBeUndefined()
})

test('a link that was changed, or made with another secret, says nothing', () => {
  const signed = signedOf(make(100_000))
  for (let at = 0; at < signed.length; at += 7) {
    const other = signed.slice(0, at) + (signed[at] === 'A' ? 'B' : 'A') + signed.slice(at + 1)
    expect(links.read(other, 0), String(at)).toBeUndefined()
  }
  expect(openLinks(new Uint8Array(32)).read(signed, 0)).toBeUndefined()
  for (const text of ['', '.', 'a', 'a.b.c', `${signed}.`, signed.split('.')[0]!])
    expect(links.read(text, 0)).toBeUndefined()
})

test('a file name of any kind makes a link that can be followed', () => {
  for (const name of ['a b.txt', 'ż?#%.txt', '..', "it's"]) {
    const url = new URL(make(100_000, name))
    expect(links.read(signedOf(url.href), 0), name).toEqual(grant)
  }
})
