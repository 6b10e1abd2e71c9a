import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { addressRules } from '../../../http/outgoing/address-rules.ts'
import { openUrl } from '../../../http/outgoing/open-url.ts'
import { BlobFiles } from '../../../store/blob-files/blob-files.ts'
import { type Item, tarOf } from '../images/archive-fixture.ts'
import { bringIn } from './bring-in.ts'
import { firstMatch, partTest } from './first-match.ts'
import { openInside } from './inside-path.ts'
import { packTree } from './pack-tree.ts'
import { takeOut } from './take-out.ts'
import { archiveKind, unpack } from './unpack.ts'

let dir: string
let home: string
let blobs: BlobFiles

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'switchyard-stage-'))
  home = join(dir, 'home')
  await mkdir(home)
  await writeFile(join(dir, 'secret'), 'secret')
  blobs = new BlobFiles(join(dir, 'blobs'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const limits = { bytesMax: 1_000_000, membersMax: 100 }
/** What this process has open in the job's home. */
async function openFiles(): Promise<string[]> {
  const names = await readdir('/proc/self/fd')
  const targets = await Promise.all(names.map(name => readlink(`/proc/self/fd/${name}`).catch(() => '')))
  return targets.filter(target => target.startsWith(home))
}

const root = () => ({ dir: home, seenAt: '/home/user' })
const put = async (path: string, content = path) => {
  await mkdir(join(home, path, '..'), { recursive: true })
  await writeFile(join(home, path), content)
}

async function readInside(path: string): Promise<string | undefined> {
  const handle = await openInside(root(), path)
  if (handle === undefined) return undefined
  try {
    return (await handle.stat()).isDirectory() ? 'a directory' : (await handle.readFile()).toString()
  } finally {
    await handle.close()
  }
}

test('links are followed within the home directory, and not out of it', async () => {
  await put('a/b.txt')
  await symlink('a/b.txt', join(home, 'relative'))
  await symlink('/home/user/a', join(home, 'absolute'))
  await symlink('../secret', join(home, 'out'))
  await symlink('/etc/passwd', join(home, 'far'))
  await symlink('loop', join(home, 'loop'))
  await symlink('..', join(home, 'a/up'))
  expect(await readInside('relative')).toBe('a/b.txt')
  expect(await readInside('absolute/b.txt')).toBe('a/b.txt')
  expect(await readInside('a/up/a/b.txt')).toBe('a/b.txt')
  expect(await readInside('./a//.')).toBe('a directory')
  for (const path of ['out', 'far', 'loop', 'a/up/../secret', '../secret', 'nothing', 'a/b.txt/c'])
    expect(await readInside(path), path).toBeUndefined()
})

test('the first match of a pattern is found in order of names, hidden ones aside', async () => {
  for (const path of ['glob2.dat', 'glob1.dat', '.globx.dat', 'd/x1/r.out', 'd/x0/other']) await put(path)
  expect(await firstMatch(root(), 'glob*.dat')).toBe('glob1.dat')
  expect(await firstMatch(root(), 'glob[2-9].dat')).toBe('glob2.dat')
  expect(await firstMatch(root(), '*/x?/r.*')).toBe('d/x1/r.out')
  expect(await firstMatch(root(), '*.none')).toBeUndefined()
})

test('a pattern of a star on each side matches what contains the text, however long', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-c]{0,6}$/), fc.stringMatching(/^[a-c]{0,40}$/), (needle, text) => {
      expect(partTest(`*${needle}*`)(text)).toBe(text.includes(needle))
    }),
    { seed: 7, numRuns: 500 },
  )
  expect(partTest(`${'*a'.repeat(30)}b`)('a'.repeat(5_000))).toBe(false)
})

test('files and directories are taken out, and the first thing that is missing is told', async () => {
  await put('a.txt', 'one')
  await put('out/deep/b.txt', 'two')
  await symlink('/etc/passwd', join(home, 'out/link'))
  const taken = await takeOut(
    [
      { output: 'f', path: 'a.txt', as: 'file' },
      { output: 'none', path: 'missing.txt', as: 'file' },
      { output: 'nodir', path: 'a.txt', as: 'tgz' },
      { output: 'd', path: 'out/deep', as: 'tgz' },
      { output: 'leak', path: 'out/link', as: 'file' },
    ],
    { root: root(), blobs, bytesMax: 1e9 },
  )
  expect(taken.outputs.map(({ name }) => name)).toEqual(['f', 'd'])
  expect(taken.fault).toMatchObject({ reason: 'stage-out', fault: 'missing' })
  expect(await readFile(blobs.path(taken.outputs[0]!.blob!.hash), 'utf8')).toBe('one')
  const packed = gunzipSync(await readFile(blobs.path(taken.outputs[1]!.blob!.hash))).toString('latin1')
  expect(packed).toContain('out/deep/b.txt')
})

test('a file that is mostly holes is not taken out when it is longer than the disk of its job', async () => {
  await put('out/small', 'x'.repeat(1_000))
  for (const name of ['holes', 'out/holes']) {
    await put(name, '')
    await truncate(join(home, name), 1e12)
  }
  const taken = await takeOut(
    [
      { output: 'f', path: 'holes', as: 'file' },
      { output: 'd', path: 'out', as: 'tgz' },
      { output: 's', path: 'out/small', as: 'file' },
      // By itself and in its directory; but not again and again.
      { output: 't', path: 'out/small', as: 'file' },
      { output: 'u', path: 'out/small', as: 'file' },
    ],
    { root: root(), blobs, bytesMax: 1_000 },
  )
  expect(taken.fault).toMatchObject({ reason: 'stage-out', fault: 'upload' })
  expect(taken.fault?.message).toContain('more than the job may hold')
  expect(taken.outputs.map(({ name }) => name)).toEqual(['s', 't'])
  expect(await openFiles()).toEqual([])
})

test.each([
  ['a.tgz', 'tgz'],
  ['a.tar.gz', 'tgz'],
  ['a.tar', 'tar'],
  ['a.gz', 'gz'],
  ['a.tar.bz2', 'tbz'],
  ['a.bz2', 'bz2'],
  ['a.zip', 'zip'],
  ['.zip', undefined],
  ['a.txt', undefined],
])('%s is unpacked as %s', (name, kind) => {
  expect(archiveKind(name)).toBe(kind)
})

test('an empty file in a directory that is taken out is packed like any other', async () => {
  await mkdir(join(home, 'out'), { recursive: true })
  await writeFile(join(home, 'out/empty'), '')
  await writeFile(join(home, 'out/later'), 'later')
  const packed = await packTree(root(), 'out', { bytes: 1e9 })
  const chunks: Buffer[] = []
  for await (const chunk of packed!) chunks.push(chunk as Buffer)
  const names = gunzipSync(Buffer.concat(chunks)).toString('latin1')
  expect(names).toContain('out/empty')
  expect(names).toContain('out/later')
})

test('who stops reading a pack early leaves no error and no open file behind', async () => {
  await mkdir(join(home, 'out'), { recursive: true })
  await writeFile(join(home, 'out/big'), randomBytes(5_000_000))
  for (const chunksRead of [0, 1, 3, 8]) {
    const packed = await packTree(root(), 'out', { bytes: 1e9 })
    let read = 0
    await expect(async () => {
      for await (const _ of packed!) if (read++ === chunksRead) throw new Error('enough')
    }).rejects.toThrow('enough')
  }
  // vitest fails the run for errors that nobody catches.
  await expect.poll(openFiles).toEqual([])
})

// vitest fails the run for errors that nobody catches: in a server, one of them would be its end.
test('an archive that fails in the middle fails alone, and leaves no file open', async () => {
  const inside = join(home, 'in')
  await mkdir(inside, { recursive: true })
  const few = { bytesMax: 100_000, membersMax: 100 }
  const missing = await tarOf([['a', { type: 'link', linkname: 'nosuch' }]])
  await writeFile(join(inside, 'missing.tar'), missing)
  await expect(unpack(join(inside, 'missing.tar'), 'tar', limits)).rejects.toThrow('nosuch')

  const bytes = randomBytes(900_000)
  await writeFile(join(inside, 'plain'), bytes)
  const bunzip = spawnSync('bzip2', ['-k', join(inside, 'plain')]).status === 0
  const archives: [string, 'gz' | 'bz2', Buffer][] = [['x.gz', 'gz', gzipSync(bytes)]]
  if (bunzip) archives.push(['x.bz2', 'bz2', await readFile(join(inside, 'plain.bz2'))])
  for (const [name, kind, whole] of archives) {
    const broken = [whole.subarray(0, whole.length >> 1), bytes, Buffer.alloc(0)]
    for (const content of broken) {
      await writeFile(join(inside, name), content)
      await expect(unpack(join(inside, name), kind, limits), name).rejects.toThrow()
    }
    await writeFile(join(inside, name), whole)
    await expect(unpack(join(inside, name), kind, few), name).rejects.toThrow('larger than the job may hold')
  }
  await expect.poll(openFiles).toEqual([])
})

test('a packed tar is unpacked beside itself and removed', async () => {
  const items: Item[] = [
    ['d/', {}],
    ['d/run.sh', { mode: 0o755 }],
    ['d/a.txt', 'inside'],
    ['d/link', { type: 'symlink', linkname: 'a.txt' }],
  ]
  await writeFile(join(home, 'x.tgz'), gzipSync(await tarOf(items)))
  await unpack(join(home, 'x.tgz'), 'tgz', limits)
  expect(await readFile(join(home, 'd/a.txt'), 'utf8')).toBe('inside')
  expect(await readlink(join(home, 'd/link'))).toBe('a.txt')
  expect((await stat(join(home, 'd/run.sh'))).mode & 0o111).not.toBe(0)
  await expect(stat(join(home, 'x.tgz'))).rejects.toThrow('ENOENT')
})

test.each<[string, Item[]]>([
  ['a member above', [['../evil', 'x']]],
  ['an absolute member', [['/evil', 'x']]],
  ['a link that leads out', [['l', { type: 'symlink', linkname: '../secret' }]]],
  ['an absolute link', [['l', { type: 'symlink', linkname: '/etc/passwd' }]]],
  ['a hard link to what lies outside', [['l', { type: 'link', linkname: '../secret' }]]],
  [
    'a member through a link',
    [
      ['d/', {}],
      ['l', { type: 'symlink', linkname: 'd' }],
      ['l/evil', 'x'],
    ],
  ],
  ['more bytes than allowed', [['big', Buffer.alloc(2_000_000)]]],
  ['more members than allowed', Array.from({ length: 101 }, (_, at): Item => [`m${at}`, ''])],
])('an archive with %s is refused, and nothing is written outside', async (_, items) => {
  await writeFile(join(home, 'x.tar'), await tarOf(items))
  await expect(unpack(join(home, 'x.tar'), 'tar', limits)).rejects.toThrow('archive')
  expect(await readFile(join(dir, 'secret'), 'utf8')).toBe('secret')
  await expect(stat(join(dir, 'evil'))).rejects.toThrow('ENOENT')
})

test('an archive whose global headers grow is refused at once', async () => {
  // Each is added to those before it by a careless reader: a few megabytes would take it hours.
  const record = (name: string) => {
    const body = ` comment.${name}=x\n`
    const size = body.length + String(body.length + 3).length
    return `${size}${body}`
  }
  const headers = Array.from({ length: 20_000 }, (_, at) => {
    const body = Buffer.from(record(String(at).padStart(8, '0')))
    const block = Buffer.alloc(512)
    block.write('pax_global_header')
    block.write('0000644\0', 100)
    block.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124)
    block.write('g', 156)
    block.write('ustar\x0000', 257)
    block.fill(' ', 148, 156)
    const sum = block.reduce((all, byte) => all + byte, 0)
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    return Buffer.concat([block, body, Buffer.alloc(512 - body.length)])
  })
  await writeFile(join(home, 'x.tar'), Buffer.concat([...headers, Buffer.alloc(1024)]))
  await expect(unpack(join(home, 'x.tar'), 'tar', limits)).rejects.toThrow('maxExtendedHeaderBytes')
})

test('a damaged or truncated archive is refused, and leaves no file open', async () => {
  const whole = gzipSync(await tarOf([['a', Buffer.alloc(100_000, 'x')]]))
  for (const bytes of [whole.subarray(0, 100), whole.subarray(20), Buffer.from('nothing'), Buffer.alloc(0)]) {
    await writeFile(join(home, 'x.tgz'), bytes)
    await expect(unpack(join(home, 'x.tgz'), 'tgz', limits)).rejects.toThrow()
  }
  const open = async () => {
    const names = await readdir('/proc/self/fd')
    const links = await Promise.all(names.map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
    return links.filter(link => link.includes('x.tgz'))
  }
  await expect.poll(open).toEqual([])
})

test('a bomb of packed zeros ends at the limit', async () => {
  await writeFile(join(home, 'x.gz'), gzipSync(Buffer.alloc(50_000_000)))
  await expect(unpack(join(home, 'x.gz'), 'gz', limits)).rejects.toThrow('larger than the job may hold')
})

test('URLs are fetched with three tries, blobs copied, and each failure has its code', async () => {
  let asked = 0
  const server = createServer((request, response) => {
    asked++
    if (request.url?.startsWith('/flaky') && asked < 3) response.writeHead(503).end()
    else if (request.url?.startsWith('/none')) response.writeHead(404).end()
    else response.end('fetched')
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const rules = addressRules(['127.0.0.1'])
  const tools = {
    scratchDir: home,
    blobs,
    openUrl: (url: string) => openUrl(url, { rules }),
    bytesMax: 1000,
    pausesMs: [1, 1],
  }
  const item = (url: string) => ({ url, executable: false, unpack: true })
  await bringIn([item(`${base}/flaky/my%20file.txt?x=1`)], tools)
  expect(await readFile(join(home, 'my file.txt'), 'utf8')).toBe('fetched')
  await expect(bringIn([item(`${base}/none.txt`)], tools)).rejects.toMatchObject({ fault: 'fetch' })
  await expect(bringIn([item(`${base}/x/..%2f`)], tools)).rejects.toMatchObject({ fault: 'fetch' })
  await expect(bringIn([item(`${base}/a.zip`)], tools)).rejects.toMatchObject({ fault: 'unpack' })
  const { hash } = await blobs.write(
    (async function* () {
      yield Buffer.from('stored')
    })(),
  )
  await bringIn([{ blob: hash, name: 'in.sh', executable: true, unpack: false }], tools)
  expect((await stat(join(home, 'in.sh'))).mode & 0o777).toBe(0o775)
  await expect(
    bringIn([{ blob: '', name: 'gone', executable: false, unpack: false }], tools),
  ).rejects.toThrow('gone')
  server.close()
})
