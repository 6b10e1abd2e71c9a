// The house keeps its shape: imports point the right way, nothing asks the machine for the time where time is handed in,
// no dialect's word stands in the core, nothing unfinished is left, and every file has somebody who uses it.

import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const files = globSync('src/**/*.ts', { cwd: root }).sort()
const sources = files.filter(file => !isTest(file))
const textOf = new Map(files.map(file => [file, readFileSync(join(root, file), 'utf8')]))

/** Which rooms a room may import from, besides itself. An executor or store adapter also sees its own port. */
const arrows: readonly { room: string; may: readonly string[] }[] = [
  { room: 'src/core/', may: [] },
  { room: 'src/engine/', may: ['src/core/', 'src/store/store.ts', 'src/executors/executor.ts'] },
  { room: 'src/store/', may: ['src/core/'] },
  { room: 'src/executors/', may: ['src/core/', 'src/store/blobs.ts'] },
  { room: 'src/domains/', may: ['src/core/', 'src/store/store.ts', 'src/store/blobs.ts'] },
  {
    room: 'src/http/',
    may: [
      'src/core/',
      'src/dialects/dialect.ts',
      'src/engine/engine.ts',
      'src/store/store.ts',
      'src/store/blobs.ts',
    ],
  },
  {
    room: 'src/dialects/',
    may: [
      'src/core/',
      'src/engine/engine.ts',
      'src/http/',
      'src/domains/',
      'src/store/store.ts',
      'src/store/blobs.ts',
      'src/executors/executor.ts',
      'src/executors/container/spec.ts',
      'src/executors/process/spec.ts',
    ],
  },
]

describe('imports', () => {
  test('point the way the architecture draws them', () => {
    const wrong: string[] = []
    for (const file of sources) {
      const rule = arrows.find(({ room }) => file.startsWith(room))
      if (rule === undefined) continue
      for (const target of importsOf(file)) {
        if (target.startsWith(rule.room) || rule.may.some(place => target.startsWith(place))) continue
        wrong.push(`${file} imports ${target}`)
      }
    }
    assert.deepEqual(wrong, [])
  })

  test('never lead from one dialect, one domain or one adapter into another', () => {
    const wrong: string[] = []
    for (const parent of ['src/dialects/', 'src/domains/', 'src/store/', 'src/executors/']) {
      for (const file of sources.filter(name => name.startsWith(parent))) {
        const own = roomBelow(file, parent)
        if (own === undefined) continue
        for (const target of importsOf(file).filter(name => name.startsWith(parent))) {
          const other = roomBelow(target, parent)
          if (other !== undefined && other !== own && !sharedRooms.has(`${parent}${other}`))
            wrong.push(`${file} imports ${target}`)
        }
      }
    }
    assert.deepEqual(wrong, [])
  })

  test('of the core come from the core alone: nothing of Node', () => {
    const wrong = sources.filter(
      file => file.startsWith('src/core/') && /from '(?!\.)/.test(textOf.get(file)!),
    )
    assert.deepEqual(wrong, [])
  })

  test('reach every file', () => {
    const used = new Set(files.flatMap(file => importsOf(file)))
    const scripts = globSync('{scripts,test,bench/src}/**/*.ts', { cwd: root }).flatMap(file =>
      importsOf(file),
    )
    for (const target of scripts) used.add(target)
    const entries = new Set(['src/app/main.ts'])
    const unused = sources.filter(file => !used.has(file) && !entries.has(file) && !isNamedByUrl(file))
    assert.deepEqual(unused, [])
  })
})

describe('words', () => {
  test('core, engine and domains never ask the machine for the time or for chance', () => {
    const places = sources.filter(
      file => /^src\/(core|engine|domains)\//.test(file) && !file.startsWith('src/engine/testing/'),
    )
    const wrong = places.filter(file =>
      /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\brandomUUID\(/.test(codeOf(file)),
    )
    assert.deepEqual(wrong, [])
  })

  test('core and engine know no dialect', () => {
    const names = /\b(orthanc|ncdjango|prominence|ecflow|dicom|suite|recipe)\b/i
    const wrong = sources.filter(file => /^src\/(core|engine)\//.test(file) && names.test(codeOf(file)))
    assert.deepEqual(wrong, [])
  })

  test('nothing unfinished is left, and no test is left out', () => {
    const marks = /\b(TODO|FIXME|XXX|HACK)\b|\.only\(|test\.todo|describe\.skip\(/
    const places = [...files, ...globSync('{test,scripts,bench/src}/**/*.ts', { cwd: root })]
    const wrong = places.filter(
      file => file !== 'test/tidy.test.ts' && marks.test(readFileSync(join(root, file), 'utf8')),
    )
    assert.deepEqual(wrong, [])
  })

  test('no file is called for nothing in particular', () => {
    const wrong = sources.filter(file => /\/(utils?|helpers?|common|misc|types|managers?)\.ts$/.test(file))
    assert.deepEqual(wrong, [])
  })

  test('every file opens with what it is for', () => {
    const wrong = sources.filter(file => !/^(#!.*\n)?\/\/ \S/.test(textOf.get(file)!))
    assert.deepEqual(wrong, [])
  })
})

describe('rooms', () => {
  test('each has a README', () => {
    const rooms = ['core', 'engine', 'store', 'executors', 'http', 'app', 'dialects', 'domains'].flatMap(
      room => {
        const below = ['dialects', 'domains', 'executors'].includes(room)
          ? globSync(`src/${room}/*/`, { cwd: root }).filter(
              place => !place.endsWith('testing') && !place.endsWith('testing/'),
            )
          : []
        return [`src/${room}`, ...below]
      },
    )
    assert.deepEqual(
      rooms.filter(room => !existsSync(join(root, room, 'README.md'))),
      [],
    )
  })
})

/** Rooms that adapters of one kind share on purpose. */
const sharedRooms = new Set(['src/executors/process', 'src/store/blob-files'])

function isTest(file: string): boolean {
  return /\.test\.ts$|\.d\.ts$|\/testing\/|\/conformance\.ts$/.test(file)
}

/** The files of ours that a file imports, from the repository's root. */
function importsOf(file: string): string[] {
  const text = textOf.get(file) ?? readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(match =>
    relative(root, resolve(root, dirname(file), match[1]!)),
  )
}

/** Modules that are loaded by their address: workers, and kinds of work. */
function isNamedByUrl(file: string): boolean {
  const name = file.split('/').at(-1)!.replace(/\.ts$/, '')
  return sources.some(
    other =>
      other !== file &&
      new RegExp(`[/'"\`]${name}\\.?(?:ts|js|\\$\\{)|'\\./(?:[\\w-]+/)*${name}'`).test(textOf.get(other)!),
  )
}

function roomBelow(file: string, parent: string): string | undefined {
  const rest = file.slice(parent.length)
  return rest.includes('/') ? rest.split('/')[0] : undefined
}

/** A file's text without its comments. */
function codeOf(file: string): string {
  return textOf
    .get(file)!
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
}
