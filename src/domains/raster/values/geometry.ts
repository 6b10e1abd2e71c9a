// Geometries as GeoJSON says them: checked, with their bounds and planar area.

export class Geometry {
  readonly type: string
  /** Every position, in order. */
  readonly positions: readonly (readonly [number, number])[]
  readonly area: number
  /** The GeoJSON object it was read from. */
  readonly source: Readonly<Record<string, unknown>>

  constructor(parts: {
    type: string
    positions: readonly (readonly [number, number])[]
    area: number
    source: Readonly<Record<string, unknown>>
  }) {
    this.type = parts.type
    this.positions = parts.positions
    this.area = parts.area
    this.source = parts.source
  }

  get bounds(): [number, number, number, number] {
    let [xmin, ymin, xmax, ymax] = [Infinity, Infinity, -Infinity, -Infinity]
    for (const [x, y] of this.positions) {
      xmin = Math.min(xmin, x)
      ymin = Math.min(ymin, y)
      xmax = Math.max(xmax, x)
      ymax = Math.max(ymax, y)
    }
    return [xmin, ymin, xmax, ymax]
  }
}

type Position = readonly [number, number]

/** How deeply the coordinates of each type are nested: a position is 0. */
const nesting: Readonly<Record<string, number>> = {
  Point: 0,
  MultiPoint: 1,
  LineString: 1,
  MultiLineString: 2,
  Polygon: 2,
  MultiPolygon: 3,
}

/** Reads a GeoJSON geometry; throws with what is wrong. */
export function readGeometry(value: unknown, depth = 0): Geometry {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('a geometry must be a GeoJSON object')
  const source = value as Record<string, unknown>
  const type = source['type']
  if (type === 'GeometryCollection') return readCollection(source, depth)
  const level = typeof type === 'string' && Object.hasOwn(nesting, type) ? nesting[type] : undefined
  if (typeof type !== 'string' || level === undefined)
    throw new Error(`${String(type)} is no type of geometry`)
  const positions: Position[] = []
  collect(source['coordinates'], level, positions)
  const polygons =
    type === 'Polygon' ? [source['coordinates']] : type === 'MultiPolygon' ? source['coordinates'] : []
  const area = (polygons as Position[][][]).reduce((sum, rings) => sum + polygonArea(rings), 0)
  return new Geometry({ type, positions, area, source })
}

function readCollection(source: Record<string, unknown>, depth: number): Geometry {
  const parts = source['geometries']
  if (!Array.isArray(parts) || depth > 8) throw new Error('a GeometryCollection must have geometries')
  const read = parts.map(part => readGeometry(part, depth + 1))
  return new Geometry({
    type: 'GeometryCollection',
    positions: read.flatMap(part => part.positions),
    area: read.reduce((sum, part) => sum + part.area, 0),
    source,
  })
}

function collect(value: unknown, level: number, into: Position[]): void {
  if (!Array.isArray(value)) throw new Error('the coordinates of the geometry are missing or malformed')
  if (level > 0) {
    for (const item of value) collect(item, level - 1, into)
    return
  }
  const [x, y] = value
  if (typeof x !== 'number' || typeof y !== 'number') throw new Error('a position must be two numbers')
  into.push([x, y])
}

/** The area of the outer ring without that of the holes. */
function polygonArea(rings: readonly (readonly Position[])[]): number {
  return rings.reduce((area, ring, index) => area + (index === 0 ? 1 : -1) * ringArea(ring), 0)
}

function ringArea(ring: readonly Position[]): number {
  let twice = 0
  for (const [index, [x, y]] of ring.entries()) {
    const [nextX, nextY] = ring[(index + 1) % ring.length]!
    twice += x * nextY - nextX * y
  }
  return Math.abs(twice) / 2
}
