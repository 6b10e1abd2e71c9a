import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { evaluate } from './expression/evaluate.ts'
import { parseExpression } from './expression/parse.ts'
import { readMasked } from './netcdf/masked.ts'
import { openGrid } from './netcdf/open-grid.ts'
import { writeRasterFile } from './netcdf/publish.ts'
import { makeRaster } from './tasks/demo.ts'
import { TaskRegistry } from './tasks/registry.ts'
import { runTask, type TaskTools } from './tasks/task.ts'
import { readWorkflow } from './tasks/workflow.ts'
import type { Float } from './values/float.ts'
import { castArray, fromLists, makeCells, NdArray } from './values/nd-array.ts'
import { readPythonJson, writePythonJson } from './values/python-json.ts'
import { Raster } from './values/raster.ts'

const value = (text: string, names: Record<string, unknown> = {}): unknown =>
  evaluate(parseExpression(text), new Map(Object.entries(names)))

const tools: TaskTools = {
  signal: new AbortController().signal,
  progress: () => {},
  log: () => {},
  scratchDir: tmpdir(),
}

describe('map algebra', () => {
  test('has few levels, all left-associative', () => {
    assert.equal(value('2 * 3 ** 2'), 36)
    assert.equal(value('2 ** 3 ** 2'), 64)
    assert.equal((value('100 / 5 ** 2') as Float).value, 400)
    assert.equal(value('-2 ** 2'), 4)
    assert.equal(value('1 - -1'), 2)
    assert.equal(value('1 or 0 and 0'), 0)
  })

  test('refuses what is not in the language', () => {
    for (const text of [
      '3 * -2',
      '2 ** -1',
      '- -1',
      '1e3',
      '1 != 2',
      'x.y',
      'f(1)',
      'not 1',
      '',
      '1 +',
      '(1',
    ])
      assert.throws(() => value(text, { x: 1 }), { name: 'SyntaxError' }, text)
  })

  test('is bounded in depth, however an expression is nested', () => {
    assert.throws(() => value(`${'('.repeat(5000)}1${')'.repeat(5000)}`), { name: 'SyntaxError' })
    assert.throws(() => value(Array(3000).fill('1').join('+')), { name: 'SyntaxError' })
  })

  test('keeps the type of float32 arrays, and their rounding', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 5000 }),
        list => {
          const a = new NdArray('float32', [list.length], Float32Array.from(list))
          const result = value('a + a * 2', { a }) as NdArray
          assert.equal(result.dtype, 'float32')
          const wanted = a.data.map(cell => Math.fround(cell + Math.fround(cell * 2)))
          assert.deepEqual(result.data, wanted)
        },
      ),
      { seed: 9, numRuns: 50 },
    )
  })

  test('combines masks of all operands, and places the result like its raster', () => {
    const raster = makeRaster({ width: 3, height: 2, mask_above: 3 })
    const result = value('r * 2 + 1', { r: raster })
    assert.ok(result instanceof Raster)
    assert.deepEqual([...result.mask!], [0, 0, 0, 0, 1, 1])
    assert.equal(result.extent.xmax, 10)
  })

  test('spreads an array over the rows of another', () => {
    const result = value('a + b', {
      a: fromLists([
        [1, 2],
        [3, 4],
      ]),
      b: fromLists([10, 20]),
    }) as NdArray
    assert.deepEqual(result.toLists(), [
      [11, 22],
      [13, 24],
    ])
  })
})

describe('JSON as Python has it', () => {
  test('keeps 3 and 3.0 apart, and writes blanks and escapes', () => {
    const text = '{"a": [1, 2.0, 1e-07], "\\u00fc": null}'
    assert.equal(writePythonJson(readPythonJson(text)), text)
  })

  test('says where a text stops being JSON', () => {
    assert.throws(() => readPythonJson('{bad'), /double quotes: line 1 column 2 \(char 1\)/)
  })
})

describe('published files', () => {
  test('hold every cell, and what was masked is masked when read again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-raster-'))
    try {
      let count = 0
      for (const dtype of [
        'bool',
        'uint8',
        'int16',
        'uint16',
        'int32',
        'uint32',
        'int64',
        'float32',
        'float64',
      ] as const) {
        const data = makeCells(dtype, 6)
        data.set(
          dtype === 'bool'
            ? [0, 1, 1, 0, 1, 0]
            : dtype === 'uint8'
              ? [0, 255, 63, 129, 1, 2]
              : [1, 2, 3, 4, 5, 999],
        )
        const raster = new Raster(dtype, [2, 3], data, {
          extent: { xmin: -1, ymin: 40, xmax: 2, ymax: 42, projection: '+proj=longlat +datum=WGS84' },
          mask: Uint8Array.of(0, 0, 0, 0, 1, 0),
        })
        const path = join(folder, `${count++}.nc`)
        writeRasterFile(path, raster, { title: 't', history: 'h' })
        const file = await openGrid(path)
        const again = await readMasked(file, file.variables.get('data')!, [0, 0], [2, 3])
        file.close()
        const wanted = castArray(raster, 'float64').toLists()
        assert.deepEqual(castArray(again, 'float64').toLists(), wanted, dtype)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test.skipIf(!existsSync('/usr/bin/gdalinfo'))(
    'are opened by gdalinfo where they belong (skipped without GDAL)',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'switchyard-raster-'))
      try {
        const path = join(folder, 'a.nc')
        const projection = '+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +datum=NAD83 +units=m'
        const raster = makeRaster({
          width: 4,
          height: 2,
          extent: [0, 0, 400, 200],
          projection,
          mask_above: 6,
        })
        writeRasterFile(path, raster, { title: 't', history: 'h' })
        const info = JSON.parse(execFileSync('gdalinfo', ['-json', path], { encoding: 'utf8' }))
        assert.deepEqual(info.geoTransform, [0, 100, 0, 200, 0, -100])
        assert.match(info.coordinateSystem.wkt, /Albers/)
        assert.ok(info.bands[0].noDataValue > 1e30)
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  )
})

describe('workflows', () => {
  const registry = new TaskRegistry()
  const find = (name: string) => registry.find(name)

  test('run nodes in the order that their inputs need, and only those that are needed', async () => {
    const task = readWorkflow(
      {
        inputs: [{ name: 'n', type: 'int' }],
        workflow: [
          { id: 'never', task: 'demo:fail', inputs: {} },
          {
            id: 'b',
            task: 'demo:sum',
            inputs: {
              int1: { source: 'dependency', node: ['a', 'scaled'] },
              int2: { source: 'literal', input: 0 },
            },
          },
          {
            id: 'a',
            task: 'demo:scale',
            inputs: { value: { source: 'input', input: 'n' }, factor: { source: 'literal', node: 2 } },
          },
        ],
        outputs: [{ name: 'out', node: ['b', 'sum'] }],
      },
      find,
    )
    const result = await runTask(task, new Map([['n', 4]]), tools)
    assert.deepEqual([...result], [['out', 8]])
  })

  test('that wait for themselves are refused when they are read', () => {
    const node = (id: string, up: string) => ({
      id,
      task: 'demo:scale',
      inputs: { value: { source: 'dependency', node: [up, 'scaled'] } },
    })
    const document = {
      workflow: [node('a', 'b'), node('b', 'a')],
      outputs: [{ name: 'o', node: ['a', 'scaled'] }],
    }
    assert.throws(() => readWorkflow(document, find), /wait for each other: a, b/)
  })

  test('name the node whose task there is not', () => {
    assert.throws(() => readWorkflow({ workflow: [{ id: 'a', task: 'nope' }] }, find), /node a .*nope/)
  })
})
