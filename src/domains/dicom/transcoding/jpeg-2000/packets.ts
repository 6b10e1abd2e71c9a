// Packets of a tile (ITU T.800 annex B): in which order they come, and what each header tells of its code-blocks.

import { Undecodable } from '../decoded-image.ts'
import { blockStyles } from './code-block.ts'
import type { Order, OrderChange } from './codestream.ts'
import {
  type CodeBlock,
  type PrecinctBand,
  precinctOf,
  type Resolution,
  type Tile,
  type TileComponent,
} from './tile.ts'

/** So many code-blocks of the usual size would be a picture far larger than any that is taken. */
const blocksMax = 500_000
/** Packets that a change of the progression passes again. */
const skipsMax = 1_000_000

/** Precincts of one resolution. */
const precinctsMax = 200_000

interface Packet {
  readonly component: number
  readonly level: number
  readonly precinct: number
  readonly layer: number
}

/** Hands the bytes of a tile out to its code-blocks. Throws Undecodable where packets are cut off or missing. */
export function readPackets(tile: Tile, bytes: Uint8Array): void {
  const order = tile.coding.order!
  const reader = new PacketReader(bytes, order)
  let blocksLeft = blocksMax
  let skipsLeft = skipsMax
  for (const change of changesOf(tile)) {
    for (const packet of packetsOf(tile, change)) {
      const component = tile.components[packet.component]!
      const { layers } = component.resolutions[packet.level]!
      // Each layer of a precinct comes once, however often the progressions pass it.
      if ((layers.get(packet.precinct) ?? 0) !== packet.layer) {
        if (--skipsLeft < 0) throw new Undecodable('the progression passes too many packets')
        continue
      }
      if (reader.isAtEnd) throw new Undecodable('packets are missing')
      const precinct = precinctOf(component, packet.level, packet.precinct)
      if (packet.layer === 0) for (const { blocks } of precinct) blocksLeft -= blocks.length
      if (blocksLeft < 0) throw new Undecodable('a tile has too many code-blocks')
      reader.read(precinct, component, packet.layer)
      layers.set(packet.precinct, packet.layer + 1)
    }
  }
}

function changesOf({ coding, components }: Tile): readonly OrderChange[] {
  const { progression, layers } = coding.order!
  const all = { resolutionFrom: 0, componentFrom: 0, layersTo: layers, resolutionTo: 33, progression }
  if (coding.changes.length === 0) return [{ ...all, componentTo: components.length }]
  return coding.changes.map(change => ({ ...change, layersTo: Math.min(change.layersTo, layers) }))
}

/** The packets of one progression, in its order: B.12. */
function* packetsOf(tile: Tile, change: OrderChange): Generator<Packet> {
  const components = tile.components
    .map((component, index) => ({ component, index }))
    .filter(({ index }) => index >= change.componentFrom && index < change.componentTo)
  const levelsTo = Math.min(
    change.resolutionTo,
    Math.max(0, ...components.map(({ component }) => component.resolutions.length)),
  )
  const levels = Array.from(
    { length: Math.max(0, levelsTo - change.resolutionFrom) },
    (_, at) => change.resolutionFrom + at,
  )
  const layers = Array.from({ length: change.layersTo }, (_, layer) => layer)
  switch (change.progression) {
    case 0:
      for (const layer of layers)
        for (const level of levels)
          for (const { component, index } of components)
            yield* all(component, { component: index, level, layer })
      return
    case 1:
      for (const level of levels)
        for (const layer of layers)
          for (const { component, index } of components)
            yield* all(component, { component: index, level, layer })
      return
    case 2:
      for (const level of levels) yield* byPlace(tile, components, [level], layers)
      return
    case 3:
      yield* byPlace(tile, components, levels, layers)
      return
    default:
      for (const entry of components) yield* byPlace(tile, [entry], levels, layers)
  }
}

function* all(component: TileComponent, packet: Omit<Packet, 'precinct'>): Generator<Packet> {
  const resolution = component.resolutions[packet.level]
  if (!resolution) return
  const count = resolution.precinctsWide * resolution.precinctsHigh
  for (let precinct = 0; precinct < count; precinct++) yield { ...packet, precinct }
}

interface Numbered {
  readonly component: TileComponent
  readonly index: number
}

interface Placed extends Packet {
  readonly x: number
  readonly y: number
}

/** By where precincts begin on the reference grid, line by line; at one place by component, then resolution. */
function* byPlace(
  tile: Tile,
  components: readonly Numbered[],
  levels: readonly number[],
  layers: readonly number[],
): Generator<Packet> {
  const placed: Placed[] = []
  for (const { component, index } of components) {
    for (const level of levels) {
      const resolution = component.resolutions[level]
      if (resolution) placePrecincts(tile, { component, index, level, resolution }, placed)
    }
  }
  placed.sort(
    (a, b) =>
      a.y - b.y || a.x - b.x || a.component - b.component || a.level - b.level || a.precinct - b.precinct,
  )
  for (const { component, level, precinct } of placed)
    for (const layer of layers) yield { component, level, precinct, layer }
}

function placePrecincts(
  tile: Tile,
  { component, index, level, resolution }: Numbered & { level: number; resolution: Resolution },
  placed: Placed[],
): void {
  const { precinctsWide, precinctsHigh, precinctX, precinctY, x0, y0 } = resolution
  if (precinctsWide * precinctsHigh > precinctsMax)
    throw new Undecodable('a resolution has too many precincts')
  const down = component.style.levels - level
  const { dx, dy } = component
  for (let precinct = 0; precinct < precinctsWide * precinctsHigh; precinct++) {
    const column = Math.floor(x0 / 2 ** precinctX) + (precinct % precinctsWide)
    const row = Math.floor(y0 / 2 ** precinctY) + Math.floor(precinct / precinctsWide)
    // Those that are cut off by the tile's edge begin with the tile.
    const x = Math.max(column * dx * 2 ** (precinctX + down), tile.x0)
    const y = Math.max(row * dy * 2 ** (precinctY + down), tile.y0)
    placed.push({ x, y, component: index, level, precinct, layer: 0 })
  }
}

class PacketReader {
  readonly #bytes: Uint8Array
  readonly #order: Order
  #at = 0
  #hold = 0
  #count = 0

  constructor(bytes: Uint8Array, order: Order) {
    this.#bytes = bytes
    this.#order = order
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  read(bands: readonly PrecinctBand[], component: TileComponent, layer: number): void {
    if (this.#order.hasPacketStarts && this.#isMarker(0x91)) this.#at += 6
    this.#count = 0
    this.#hold = 0
    const came: { block: CodeBlock; lengths: { passes: number; bytes: number; isNew: boolean }[] }[] = []
    if (this.#bit() === 1) {
      for (const band of bands) {
        for (const [index, block] of band.blocks.entries()) {
          if (!this.#isIncluded(band, index, layer)) continue
          came.push({ block, lengths: this.#readLengths(block, component.style.blockStyle) })
        }
      }
    }
    // A header never ends with FF: a byte of filling follows.
    if (this.#hold === 0xff) this.#at++
    if (this.#order.hasHeaderEnds && this.#isMarker(0x92)) this.#at += 2
    for (const { block, lengths } of came) {
      for (const { passes, bytes, isNew } of lengths) {
        if (isNew) block.segments.push({ passes: 0, parts: [] })
        const segment = block.segments.at(-1)!
        if (this.#at + bytes > this.#bytes.length) throw new Undecodable('a packet is cut off')
        segment.passes += passes
        segment.parts.push(this.#bytes.subarray(this.#at, this.#at + bytes))
        this.#at += bytes
      }
    }
  }

  #isIncluded(band: PrecinctBand, index: number, layer: number): boolean {
    const block = band.blocks[index]!
    const bit = (): number => this.#bit()
    if (block.isIncluded) return bit() === 1
    if (!band.inclusion.isBelow(index, layer + 1, bit)) return false
    block.isIncluded = true
    while (!band.zeroPlanes.isBelow(index, block.zeroPlanes + 1, bit)) block.zeroPlanes++
    return true
  }

  /** How many passes came, cut where the style ends their bytes, and how long each piece is. */
  #readLengths(block: CodeBlock, style: number) {
    let left = this.#readPasses()
    while (this.#bit() === 1) block.lengthBits++
    if (block.lengthBits > 32) throw new Undecodable('a length is too long')
    const lengths: { passes: number; bytes: number; isNew: boolean }[] = []
    while (left > 0) {
      const room = roomFor(block.passes, style)
      const passes = Math.min(left, room.passes)
      const bytes = this.#bits(block.lengthBits + Math.floor(Math.log2(passes)))
      lengths.push({ passes, bytes, isNew: room.isNew })
      block.passes += passes
      left -= passes
    }
    return lengths
  }

  #readPasses(): number {
    if (this.#bit() === 0) return 1
    if (this.#bit() === 0) return 2
    const two = this.#bits(2)
    if (two < 3) return 3 + two
    const five = this.#bits(5)
    return five < 31 ? 6 + five : 37 + this.#bits(7)
  }

  #bits(count: number): number {
    let value = 0
    for (let index = 0; index < count; index++) value = value * 2 + this.#bit()
    return value
  }

  #bit(): number {
    if (this.#count === 0) {
      this.#count = this.#hold === 0xff ? 7 : 8
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new Undecodable('the header of a packet is cut off')
      this.#hold = byte
    }
    this.#count--
    return (this.#hold >> this.#count) & 1
  }

  #isMarker(second: number): boolean {
    return this.#bytes[this.#at] === 0xff && this.#bytes[this.#at + 1] === second
  }
}

/** Passes that still fit into the piece that the next pass belongs to, and whether that is a new one. */
function roomFor(before: number, style: number): { passes: number; isNew: boolean } {
  if ((style & blockStyles.terminateAll) !== 0) return { passes: 1, isNew: true }
  if ((style & blockStyles.bypass) === 0) return { passes: 200, isNew: before === 0 }
  // The first ten together; then two without a code and one with it, in turns.
  if (before < 10) return { passes: 10 - before, isNew: before === 0 }
  const place = (before - 10) % 3
  return place === 2 ? { passes: 1, isNew: true } : { passes: 2 - place, isNew: place === 0 }
}
