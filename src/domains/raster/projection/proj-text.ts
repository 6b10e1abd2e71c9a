// PROJ.4 texts taken apart, and what they are in the words of the CF conventions.

/** The parameters of a PROJ.4 text: `+proj=aea +lat_1=29.5` → proj: aea, lat_1: 29.5. */
export function projParameters(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const word of text.trim().split(/\s+/)) {
    const match = /^\+?(\w+)(?:=(.*))?$/.exec(word)
    if (match) found.set(match[1]!.toLowerCase(), match[2] ?? '')
  }
  return found
}

/** Whether coordinates are degrees of longitude and latitude. */
export function isGeographic(text: string): boolean {
  return /^(longlat|latlong|lonlat|latlon)$/.test(projParameters(text).get('proj') ?? '')
}

export interface GridMapping {
  readonly name: string
  readonly values: readonly (readonly [string, number | readonly number[]])[]
}

const ellipsoids: Readonly<Record<string, readonly [a: number, inverseFlattening: number]>> = {
  WGS84: [6_378_137, 298.257223563],
  GRS80: [6_378_137, 298.257222101],
  NAD83: [6_378_137, 298.257222101],
  clrk66: [6_378_206.4, 294.978698214],
  NAD27: [6_378_206.4, 294.978698214],
  bessel: [6_377_397.155, 299.1528128],
  intl: [6_378_388, 297],
  airy: [6_377_563.396, 299.3249646],
  sphere: [6_370_997, 0],
}

/** The CF grid mapping of a projection; undefined for those that CF has no name for. */
export function gridMappingOf(text: string): GridMapping | undefined {
  const found = projParameters(text)
  const number = (name: string, fallback = 0): number => {
    const value = Number(found.get(name))
    return found.get(name) === undefined || Number.isNaN(value) ? fallback : value
  }
  const origin = (): [string, number][] => [
    ['latitude_of_projection_origin', number('lat_0')],
    ['false_easting', number('x_0')],
    ['false_northing', number('y_0')],
  ]
  const parallels = (): [string, number | number[]] => {
    const given = ['lat_1', 'lat_2'].filter(name => found.has(name)).map(name => number(name))
    return ['standard_parallel', given.length === 1 ? given[0]! : given]
  }
  const factor = (): [string, number] => ['scale_factor_at_projection_origin', number('k', number('k_0', 1))]
  const rest = shapeOf(found)
  switch (found.get('proj')) {
    case 'longlat':
    case 'latlong':
    case 'lonlat':
    case 'latlon':
      return { name: 'latitude_longitude', values: rest }
    case 'aea':
      return mapping('albers_conical_equal_area', [
        parallels(),
        central('longitude_of_central_meridian'),
        ...origin(),
      ])
    case 'laea':
      return mapping('lambert_azimuthal_equal_area', [central('longitude_of_projection_origin'), ...origin()])
    case 'lcc':
      return mapping('lambert_conformal_conic', [
        parallels(),
        central('longitude_of_central_meridian'),
        ...origin(),
      ])
    case 'stere':
      return mapping('polar_stereographic', [
        central('straight_vertical_longitude_from_pole'),
        ...origin(),
        found.has('lat_ts') ? ['standard_parallel', number('lat_ts')] : factor(),
      ])
    case 'tmerc':
      return mapping('transverse_mercator', [
        ['scale_factor_at_central_meridian', number('k', number('k_0', 1))],
        central('longitude_of_central_meridian'),
        ...origin(),
      ])
    case 'utm':
      return mapping('transverse_mercator', [
        ['utm_zone_number', number('zone')],
        ['scale_factor_at_central_meridian', 0.9996],
        ['longitude_of_central_meridian', number('zone') * 6 - 183],
        ['latitude_of_projection_origin', 0],
        ['false_easting', 500_000],
        ['false_northing', found.has('south') ? 10_000_000 : 0],
      ])
    case 'merc':
      return mapping('mercator', [
        central('longitude_of_projection_origin'),
        found.has('lat_ts') ? ['standard_parallel', number('lat_ts')] : factor(),
        ['false_easting', number('x_0')],
        ['false_northing', number('y_0')],
      ])
    default:
      return undefined
  }

  function central(name: string): [string, number] {
    return [name, number('lon_0')]
  }
  function mapping(name: string, values: [string, number | number[]][]): GridMapping {
    return { name, values: [...values, ...rest] }
  }
}

/** The ellipsoid: by its own axes, by its name, or by the datum's. */
function shapeOf(found: ReadonlyMap<string, string>): [string, number][] {
  const a = Number(found.get('a') ?? found.get('r'))
  if (found.has('a') || found.has('r')) {
    const b = found.has('b') ? Number(found.get('b')) : a
    const rf = found.has('rf') ? Number(found.get('rf')) : a === b ? 0 : a / (a - b)
    return [
      ['semi_major_axis', a],
      ['inverse_flattening', rf],
    ]
  }
  const [axis, flattening] =
    ellipsoids[found.get('ellps') ?? found.get('datum') ?? 'WGS84'] ?? ellipsoids['WGS84']!
  return [
    ['semi_major_axis', axis],
    ['inverse_flattening', flattening],
  ]
}

/** The PROJ.4 text of a CF grid mapping; undefined when its name is not known here. */
export function projTextOf(
  name: string,
  value: (name: string) => readonly number[] | undefined,
): string | undefined {
  const one = (key: string, fallback = 0): number => value(key)?.[0] ?? fallback
  const parallels = value('standard_parallel') ?? []
  const lat = parallels.map((parallel, index) => `+lat_${index + 1}=${parallel}`).join(' ')
  const origin = `+lat_0=${one('latitude_of_projection_origin')}`
  const shift = `+x_0=${one('false_easting')} +y_0=${one('false_northing')}`
  const meridian = `+lon_0=${one('longitude_of_central_meridian', one('longitude_of_projection_origin'))}`
  const tail = `${ellipsoidText(value)} +no_defs`
  switch (name) {
    case 'latitude_longitude':
      return `+proj=longlat ${tail}`
    case 'albers_conical_equal_area':
      return `+proj=aea ${lat} ${origin} ${meridian} ${shift} ${tail} +units=m`
    case 'lambert_azimuthal_equal_area':
      return `+proj=laea ${origin} ${meridian} ${shift} ${tail} +units=m`
    case 'lambert_conformal_conic':
      return `+proj=lcc ${lat} ${origin} ${meridian} ${shift} ${tail} +units=m`
    case 'polar_stereographic': {
      const scale =
        parallels.length > 0 ? `+lat_ts=${parallels[0]}` : `+k=${one('scale_factor_at_projection_origin', 1)}`
      return `+proj=stere ${origin} ${scale} +lon_0=${one('straight_vertical_longitude_from_pole')} ${shift} ${tail} +units=m`
    }
    case 'transverse_mercator':
      return `+proj=tmerc ${origin} ${meridian} +k=${one('scale_factor_at_central_meridian', 1)} ${shift} ${tail} +units=m`
    case 'mercator':
      return `+proj=merc ${meridian} ${parallels.length > 0 ? `+lat_ts=${parallels[0]}` : `+k=${one('scale_factor_at_projection_origin', 1)}`} ${shift} ${tail} +units=m`
    default:
      return undefined
  }
}

function ellipsoidText(value: (name: string) => readonly number[] | undefined): string {
  const a = value('semi_major_axis')?.[0]
  const flattening = value('inverse_flattening')?.[0]
  if (a === undefined || (a === 6_378_137 && flattening === 298.257223563)) return '+datum=WGS84'
  return flattening === undefined || flattening === 0 ? `+a=${a} +b=${a}` : `+a=${a} +rf=${flattening}`
}
