// How a tile is cut (ITU T.800 annex B): components into resolutions, those into subbands and precincts, and these into
// code-blocks.

import { Undecodable } from '../decoded-image.ts'
import type { Segment } from './code-block.ts'
import {
  type Coding,
  type CodingStyle,
  type Quantization,
  type Sizes,
  type TileData,
  tileGrid,
} from './codestream.ts'
import { TagTree } from './tag-tree.ts'

export interface Area {
  readonly x0: number
  readonly y0: number
  readonly x1: number
  readonly y1: number
}

/** A code-block, and what packets have told of it so far. */
export interface CodeBlock extends Area {
  isIncluded: boolean
  zeroPlanes: number
  /** Bits that lengths are written with, at least. */
  lengthBits: number
  passes: number
  readonly segments: Segment[]
}

export interface Subband extends Area {
  /** 0 LL, 1 HL, 2 LH, 3 HH. */
  readonly kind: number
  readonly exponent: number
  readonly mantissa: number
}

/** The code-blocks of a subband that lie in one precinct. */
export interface PrecinctBand {
  readonly band: Subband
  readonly wide: number
  readonly blocks: readonly CodeBlock[]
  readonly inclusion: TagTree
  readonly zeroPlanes: TagTree
}

export interface Resolution extends Area {
  readonly bands: readonly Subband[]
  /** Sizes of precincts as powers of two, and how many there are. */
  readonly precinctX: number
  readonly precinctY: number
  readonly precinctsWide: number
  readonly precinctsHigh: number
  /** Made when a packet comes for them. */
  readonly precincts: Map<number, readonly PrecinctBand[]>
  /** Precincts whose layers came, by how many. */
  readonly layers: Map<number, number>
}

export interface TileComponent extends Area {
  readonly style: CodingStyle
  readonly quantization: Quantization
  readonly shift: number
  /** Samples of the reference grid for each of its own. */
  readonly dx: number
  readonly dy: number
  readonly resolutions: readonly Resolution[]
}

export interface Tile extends Area {
  readonly coding: Coding
  readonly components: readonly TileComponent[]
}

const up = (value: number, power: number): number => Math.ceil(value / 2 ** power)

/** Cuts a tile. Throws Undecodable where something is missing that says how. */
export function makeTile(sizes: Sizes, { index, coding }: TileData): Tile {
  const { wide } = tileGrid(sizes)
  const [column, row] = [index % wide, Math.floor(index / wide)]
  const x0 = Math.max(sizes.tileX0 + column * sizes.tileWidth, sizes.x0)
  const y0 = Math.max(sizes.tileY0 + row * sizes.tileHeight, sizes.y0)
  const x1 = Math.min(sizes.tileX0 + (column + 1) * sizes.tileWidth, sizes.x1)
  const y1 = Math.min(sizes.tileY0 + (row + 1) * sizes.tileHeight, sizes.y1)
  const components = sizes.components.map(({ dx, dy }, component) => {
    const style = coding.styles.get(component) ?? coding.style
    const quantization = coding.quantizations.get(component) ?? coding.quantization
    if (!style || !quantization || !coding.order)
      throw new Undecodable('the stream does not say how it is coded')
    const area = {
      ...{ x0: Math.ceil(x0 / dx), y0: Math.ceil(y0 / dy) },
      ...{ x1: Math.ceil(x1 / dx), y1: Math.ceil(y1 / dy) },
    }
    const resolutions = Array.from({ length: style.levels + 1 }, (_, level) =>
      makeResolution(area, { level, style, quantization }),
    )
    return { ...area, dx, dy, style, quantization, shift: coding.shifts.get(component) ?? 0, resolutions }
  })
  return { x0, y0, x1, y1, coding, components }
}

function makeResolution(
  area: Area,
  { level, style, quantization }: { level: number; style: CodingStyle; quantization: Quantization },
): Resolution {
  const down = style.levels - level
  const own = { x0: up(area.x0, down), y0: up(area.y0, down), x1: up(area.x1, down), y1: up(area.y1, down) }
  const { x: precinctX, y: precinctY } = style.precincts[level]!
  const count = (from: number, to: number, power: number): number =>
    to > from ? up(to, power) - Math.floor(from / 2 ** power) : 0
  return {
    ...{ ...own, precinctX, precinctY },
    precinctsWide: count(own.x0, own.x1, precinctX),
    precinctsHigh: count(own.y0, own.y1, precinctY),
    bands: (level === 0 ? [0] : [1, 2, 3]).map(kind => makeBand(area, { kind, level, style, quantization })),
    precincts: new Map(),
    layers: new Map(),
  }
}

function makeBand(
  area: Area,
  facts: { kind: number; level: number; style: CodingStyle; quantization: Quantization },
): Subband {
  const { kind, level, style, quantization } = facts
  const down = level === 0 ? style.levels : style.levels - level + 1
  const place = (value: number, isHigh: boolean): number =>
    isHigh ? Math.ceil((value - 2 ** (down - 1)) / 2 ** down) : up(value, down)
  const [isRight, isLow] = [(kind & 1) !== 0, (kind & 2) !== 0]
  const at = level === 0 ? 0 : 3 * (level - 1) + kind
  const step = quantization.style === 1 ? quantization.steps[0] : quantization.steps[at]
  if (!step) throw new Undecodable('a subband has no step')
  // One step for all: each halving makes it finer.
  const derived = quantization.style === 1 && level > 0 ? level - 1 : 0
  return {
    ...{ kind, exponent: step.exponent - derived, mantissa: step.mantissa },
    ...{ x0: place(area.x0, isRight), y0: place(area.y0, isLow) },
    ...{ x1: place(area.x1, isRight), y1: place(area.y1, isLow) },
  }
}

/** The code-blocks of one precinct of a resolution, by subband; made when they are first asked for. */
export function precinctOf(component: TileComponent, level: number, index: number): readonly PrecinctBand[] {
  const resolution = component.resolutions[level]!
  let found = resolution.precincts.get(index)
  if (!found) {
    found = makePrecinct(component.style, resolution, level, index)
    resolution.precincts.set(index, found)
  }
  return found
}

/** So many code-blocks of the usual size would be a precinct larger than any picture that is taken. */
const blocksMax = 500_000

function makePrecinct(
  style: CodingStyle,
  resolution: Resolution,
  level: number,
  index: number,
): PrecinctBand[] {
  // Subbands above the lowest are half as wide as the resolution.
  const halved = level === 0 ? 0 : 1
  const [width, height] = [2 ** (resolution.precinctX - halved), 2 ** (resolution.precinctY - halved)]
  const column = (index % resolution.precinctsWide) + Math.floor(resolution.x0 / 2 ** resolution.precinctX)
  const row =
    Math.floor(index / resolution.precinctsWide) + Math.floor(resolution.y0 / 2 ** resolution.precinctY)
  const blockWidth = 2 ** Math.min(style.blockWidth, resolution.precinctX - halved)
  const blockHeight = 2 ** Math.min(style.blockHeight, resolution.precinctY - halved)
  return resolution.bands.map(band => {
    const x0 = Math.max(band.x0, column * width)
    const y0 = Math.max(band.y0, row * height)
    const x1 = Math.min(band.x1, (column + 1) * width)
    const y1 = Math.min(band.y1, (row + 1) * height)
    const isEmpty = x1 <= x0 || y1 <= y0
    const wide = isEmpty ? 0 : Math.ceil(x1 / blockWidth) - Math.floor(x0 / blockWidth)
    const high = isEmpty ? 0 : Math.ceil(y1 / blockHeight) - Math.floor(y0 / blockHeight)
    if (wide * high > blocksMax) throw new Undecodable('a precinct has too many code-blocks')
    const blocks = Array.from({ length: wide * high }, (_, at): CodeBlock => {
      const left = (Math.floor(x0 / blockWidth) + (at % wide)) * blockWidth
      const top = (Math.floor(y0 / blockHeight) + Math.floor(at / wide)) * blockHeight
      return {
        ...{ x0: Math.max(left, x0), y0: Math.max(top, y0) },
        ...{ x1: Math.min(left + blockWidth, x1), y1: Math.min(top + blockHeight, y1) },
        ...{ isIncluded: false, zeroPlanes: 0, lengthBits: 3, passes: 0, segments: [] },
      }
    })
    return { band, wide, blocks, inclusion: new TagTree(wide, high), zeroPlanes: new TagTree(wide, high) }
  })
}
