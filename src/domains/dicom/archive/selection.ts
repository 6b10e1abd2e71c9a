// What an archive of some resources holds: their series, each once however often it is named, and the files of each.

import type { Resource } from '../store/bodies.ts'
import { type Browse, fileOf, isPacked } from '../store/browse.ts'
import type { PlannedFile, SeriesEntry } from './plan.ts'

/** A series of which all instances are wanted, or some. */
export interface SelectedSeries extends SeriesEntry {
  readonly resource: Resource
  /** The wanted instances by id; all when absent. */
  readonly some?: ReadonlyMap<string, Resource>
}

/** The series of all these resources; undefined when one of them does not exist. */
export async function selectSeries(
  browse: Browse,
  ids: readonly string[],
): Promise<SelectedSeries[] | undefined> {
  const chosen = new Map<string, { resource: Resource; some?: Map<string, Resource> }>()
  const known = new Map<string, Resource>()
  const parent = async (child: Resource, level: 'patient' | 'study' | 'series') => {
    const id = child.parent ?? ''
    const found = known.get(id) ?? (await browse.get(level, id))
    if (found) known.set(id, found)
    return found
  }
  for (const id of ids) {
    const resource = await browse.any(id)
    if (!resource) return undefined
    known.set(resource.id, resource)
    if (resource.level !== 'instance') {
      for await (const series of browse.descendants(resource, 'series')) {
        chosen.set(series.id, { resource: series })
      }
      continue
    }
    const series = await parent(resource, 'series')
    if (!series) return undefined
    const entry = chosen.get(series.id) ?? { resource: series, some: new Map<string, Resource>() }
    entry.some?.set(resource.id, resource)
    chosen.set(series.id, entry)
  }
  const selected: SelectedSeries[] = []
  for (const entry of chosen.values()) {
    const study = await parent(entry.resource, 'study')
    const patient = study && (await parent(study, 'patient'))
    if (!patient) return undefined
    selected.push({ ...entry, patient: facts(patient), study: facts(study), series: facts(entry.resource) })
  }
  return selected
}

/** How many instances a selection has. */
export async function countSelected(browse: Browse, selected: readonly SelectedSeries[]): Promise<number> {
  let count = 0
  for (const { resource, some } of selected)
    count += some ? some.size : await browse.childCount('series', resource.id)
  return count
}

/** The files of a selected series in order of arrival, some at a time. */
export async function* filesOf(browse: Browse, selected: SelectedSeries): AsyncGenerator<PlannedFile[]> {
  if (selected.some) {
    yield [...selected.some.values()].sort((a, b) => a.seq - b.seq).map(plannedFile)
    return
  }
  for await (const instances of browse.childPages(selected.resource)) yield instances.map(plannedFile)
}

function plannedFile(instance: Resource): PlannedFile {
  const { hash, sizeBytes } = fileOf(instance)
  return { hash, sizeBytes, ...(isPacked(instance) ? { isPacked: true } : {}) }
}

function facts({ id, body }: Resource): { id: string; main: Resource['body']['main'] } {
  return { id, main: body.main }
}
