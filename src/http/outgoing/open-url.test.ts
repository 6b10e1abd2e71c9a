import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addressRules } from './address-rules.ts'
import { openUrl } from './open-url.ts'

let server: Server
let base: string
const seen: string[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push(request.url ?? '')
    if (request.url === '/loop') response.writeHead(302, { location: '/loop' }).end()
    else if (request.url === '/private') response.writeHead(302, { location: 'http://10.0.0.1/x' }).end()
    else if (request.url === '/file') response.writeHead(302, { location: 'file:///etc/passwd' }).end()
    else if (request.url === '/there') response.writeHead(307, { location: 'here?q=1' }).end()
    else response.end('bytes')
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => new Promise(done => server.close(done)))

const allowed = addressRules(['127.0.0.1'])

async function textOf(url: string, rules = allowed): Promise<string> {
  let text = ''
  for await (const chunk of await openUrl(url, { rules })) text += chunk
  return text
}

test.each([
  ['127.0.0.1', false],
  ['10.1.2.3', false],
  ['172.31.255.255', false],
  ['192.168.0.1', false],
  ['169.254.169.254', false],
  ['100.64.0.1', false],
  ['0.0.0.0', false],
  ['224.0.0.1', false],
  ['255.255.255.255', false],
  ['8.8.8.8', true],
  ['172.32.0.1', true],
  ['::1', false],
  ['::', false],
  ['fe80::1', false],
  ['fd00::1', false],
  ['::ffff:127.0.0.1', false],
  ['64:ff9b::7f00:1', false],
  ['2002:7f00:1::', false],
  ['2001:4860:4860::8888', true],
])('%s is open to users: %s', (address, isOpen) => {
  expect(addressRules([]).isOpen(address, 'host.example')).toBe(isOpen)
})

test('an address, a network or a name that the operator names is open', () => {
  const rules = addressRules(['10.1.0.0/16', '192.168.7.7', 'Store.Example', 'fd00::/8'])
  expect(['10.1.2.3', '192.168.7.7', 'fd00::7'].map(address => rules.isOpen(address, 'x'))).toEqual([
    true,
    true,
    true,
  ])
  expect(rules.isOpen('10.2.0.1', 'x')).toBe(false)
  expect(rules.isOpen('10.2.0.1', 'store.example')).toBe(true)
})

test('a private address is refused before anything is sent, also by name and in odd spellings', async () => {
  const none = addressRules([])
  const before = seen.length
  for (const host of ['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]'])
    await expect(openUrl(`http://${host}:1/x`, { rules: none }), host).rejects.toThrow('not a public address')
  expect(seen.length).toBe(before)
})

test('redirects are followed, and each is judged anew', async () => {
  expect(await textOf(`${base}/there`)).toBe('bytes')
  await expect(textOf(`${base}/private`)).rejects.toThrow('10.0.0.1, which is not a public address')
  await expect(textOf(`${base}/file`)).rejects.toThrow('neither an http nor an https URL')
  await expect(textOf(`${base}/loop`)).rejects.toThrow('more than 10 redirects')
})

test('what was posted is not sent on to another place', async () => {
  const answer = await openUrl(`${base}/private`, { rules: allowed, method: 'POST', body: 'x' })
  answer.resume()
  expect(answer.statusCode).toBe(302)
})

test('a server that says nothing is given up', async () => {
  const silent = createServer(() => {})
  await new Promise<void>(done => silent.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`
  await expect(openUrl(url, { rules: allowed, silenceMsMax: 50 })).rejects.toThrow('did not answer')
  silent.closeAllConnections()
  silent.close()
})
