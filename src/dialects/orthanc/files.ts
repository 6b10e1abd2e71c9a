// DICOM files of stored instances, read for showing their tags, values and frames.

import { readFile } from 'node:fs/promises'
import type { JsonObject } from '../../core/json.ts'
import type { DataSet } from '../../domains/dicom/reading/data-set.ts'
import { find } from '../../domains/dicom/reading/data-set.ts'
import { readDataSetAsync } from '../../domains/dicom/reading/reader.ts'
import { fileSource, memorySource } from '../../domains/dicom/reading/source.ts'
import { textOf, valuesOf } from '../../domains/dicom/reading/value.ts'
import { showElements, showTags, type TagForm } from '../../domains/dicom/show-tags.ts'
import type { Resource } from '../../domains/dicom/store/bodies.ts'
import { fileOf } from '../../domains/dicom/store/browse.ts'
import type { Tag } from '../../domains/dicom/tag.ts'
import type { Call } from './call.ts'
import { codes, OrthancError } from './errors.ts'
import { defaultTerm, type House } from './house.ts'

/** Files up to this size are read whole; larger ones by windows. */
const wholeBytesMax = 1024 * 1024

/** Reads the data set of an instance and hands it to `use`; the file is closed afterwards. */
export async function withDataSet<T>(
  house: House,
  instance: Resource,
  use: (set: DataSet) => T | Promise<T>,
  keep: 'all' | 'top' = 'all',
): Promise<T> {
  const done = house.meters.time('orthanc_storage_read_duration_ms')
  const { hash, sizeBytes } = fileOf(instance)
  const place = house.kit.blobs.find(hash)
  try {
    if ('bytes' in place || sizeBytes <= wholeBytesMax) {
      const bytes = 'bytes' in place ? place.bytes : await readFile(place.path)
      return await use(await readDataSetAsync(memorySource(bytes), { dictionary: house.dictionary, keep }))
    }
    const source = fileSource(place.path)
    try {
      return await use(await readDataSetAsync(source, { dictionary: house.dictionary, keep }))
    } finally {
      source.close()
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new OrthancError(12, `The file of instance ${instance.id} is missing`)
    }
    throw error
  } finally {
    done()
  }
}

/** The form of tags that a request asks for. */
export function tagForm(call: Call, usual: TagForm): TagForm {
  if (call.has('simplify')) return 'simplified'
  if (call.has('short')) return 'short'
  if (call.has('full')) return 'full'
  return usual
}

/** The tags of an instance, in the form that the request asks for. */
export function showInstanceTags(
  house: House,
  instance: Resource,
  call: Call,
  options: { form: TagForm; only?: ReadonlySet<Tag> },
): Promise<JsonObject> {
  const ignored = (call.query.get('ignore-length') ?? '').split(',').filter(Boolean)
  const show = {
    dictionary: house.dictionary,
    form: options.form,
    defaultTerm: defaultTerm(house),
    ignoreLength: new Set(ignored.map(name => house.dictionary.readTag(name))),
  }
  return withDataSet(house, instance, set => {
    const { only } = options
    if (!only) return showTags(set, show)
    // Text is decoded by the data set's own character set, which need not be among the tags that are shown.
    const { values } = valuesOf(set, show.defaultTerm)
    return showElements(
      set.elements.filter(element => only.has(element.tag)),
      values,
      show,
    )
  })
}

/** The texts of some top-level tags of an instance. */
export function readTexts(
  house: House,
  instance: Resource,
  wanted: readonly Tag[],
): Promise<Map<Tag, string>> {
  return withDataSet(
    house,
    instance,
    set => {
      const { values } = valuesOf(set, defaultTerm(house))
      const texts = new Map<Tag, string>()
      for (const tag of wanted) {
        if (!find(set.elements, tag)) continue
        const text = textOf(set.elements, tag, values)
        if (text !== undefined) texts.set(tag, text)
      }
      return texts
    },
    'top',
  )
}

/** The instance with this id; error 17 when there is none. */
export async function needInstance(house: House, id: string): Promise<Resource> {
  const instance = await house.archive.browse.get('instance', id)
  if (!instance) throw new OrthancError(codes.unknownResource)
  return instance
}
