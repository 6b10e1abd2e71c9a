import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { hasShared } from '../support/shared.ts'
import { type Ours, type Recorded, Replay, readRecording } from './orthanc-replay.ts'
import { type OrthancServer, startOrthanc } from './orthanc-server.ts'

/** Unknown names of tags are the caller's mistake: contracts/orthanc.md §6. */
const unknownTag: Ours = { status: 400, ignore: ['HttpError', 'HttpStatus'] }

/** The names of a recording's steps; none where the recordings are not at hand. */
function readRecordedNames(name: string): string[] {
  return hasShared('recordings', 'orthanc') ? readRecording(name).map(step => step.name) : []
}

/** Where pixels begin depends on the lengths of UIDs; sources that no answer has shown cannot be told. */
function madeMetadata(name: string): (readonly [string, Ours])[] {
  const steps = readRecordedNames(name).filter(step => step.endsWith('metadata of its first instance'))
  return steps.map(step => [
    step,
    {
      ignore: ['PixelDataOffset', ...(step.startsWith('patient') ? ['ModifiedFrom', 'AnonymizedFrom'] : [])],
    },
  ])
}

/** What we answer otherwise, by recording and step, with the reason where it is left out. */
const differences: Readonly<Record<string, Readonly<Record<string, Ours | string>>>> = {
  '001-system': {
    'root redirects to the web UI': 'the dialect has no web UI',
    'double slash is collapsed': { ignore: ['HttpPort', 'DicomPort'] },
    system: { ignore: ['HttpPort', 'DicomPort'] },
    'trailing slash is ignored': { ignore: ['HttpPort', 'DicomPort'] },
    'directory listing of /tools': 'no statement of DICOM conformance, and no cache of tags to empty',
    plugins: { body: [] },
    'log level': { body: 'default' },
  },
  '002-upload': { 'JSON is not DICOM': { ignore: ['Details'] } },
  '003-browse': {
    'file as DICOMweb JSON': { ignore: [''] },
    'content bad tag': unknownTag,
    'find: unknown tag': unknownTag,
  },
  '005-archive': {
    // Jobs are listed by id there, and by age here.
    'synchronous archives leave a job in the history': {
      ignore: ['Content.InstancesCount', 'Content.UncompressedSize', 'Content.ArchiveSize', 'Priority'],
    },
    // The header of a file that was made anew names another maker.
    'create-archive: transcode': { ignore: ['$zip[0].size', '$zip[1].size', '$zip[2].size'] },
    'create-archive: an instance twice is stored twice': 'here it is stored once: contracts/orthanc.md §3.4',
  },
  '008-modify': Object.fromEntries([
    ['instance: unknown tag', unknownTag],
    ...readRecordedNames('008-modify')
      .filter(step => /^instance: /.test(step))
      .filter(step => step !== 'instance: unknown tag')
      .map(step => [step, { ignore: ['$length', '$dicom.meta.0002,0000'] }] as const),
    ...madeMetadata('008-modify'),
  ]),
  '009-anonymize': Object.fromEntries([
    // The product names itself, and the lengths of UIDs differ.
    ...readRecordedNames('009-anonymize').map(
      step => [step, { ignore: ['0012,0063', '$dicom.meta.0002,0000'] }] as const,
    ),
    ...madeMetadata('009-anonymize'),
  ]),
  '013-create-dicom': {
    'create: list item without Content': 'the real error is told: contracts/orthanc.md §3.8',
    'create: list item not a string': 'the real error is told: contracts/orthanc.md §3.8',
    'create: unknown tag': unknownTag,
    'binary tag: file': 'the bytes go where the caller said, not into PixelData',
    'create: base64 wrapped over lines, raw newlines in the JSON string':
      'accepted here: contracts/orthanc.md §3.8',
    'create: base64 with escaped newlines': 'accepted here: contracts/orthanc.md §3.8',
  },
}

interface Scene {
  readonly options: Record<string, unknown>
  /** A recording whose first step prepares the server. */
  readonly after?: string
}

const seedDictionary = {
  '0405,1001': ['ST', 'XML', 1, 1, 'RawDataStore'],
  '0011,1001': ['LO', 'Secret', 1, 1, 'SWY TEST 1.0'],
}

const scenes: Readonly<Record<string, Scene>> = {
  '001-system': { options: { StableAge: 2 } },
  '002-upload': { options: { StableAge: 2 } },
  '003-browse': {
    options: {
      StableAge: 2,
      UserMetadata: { 'my-note': 1024 },
      UserContentType: { 'my-file': [1024, 'application/x-my'] },
    },
  },
  '005-archive': { options: { MediaArchiveSize: 2, JobsHistorySize: 3 } },
  '006-media': { options: { MediaArchiveSize: 2, JobsHistorySize: 3 }, after: '005-archive' },
  '007-archive-not-streamed': { options: { SynchronousZipStream: false }, after: '005-archive' },
  '008-modify': { options: { JobsHistorySize: 1000, Dictionary: seedDictionary } },
  '009-anonymize': { options: { JobsHistorySize: 1000, Dictionary: seedDictionary } },
  '010-split-merge': { options: { JobsHistorySize: 1000, Dictionary: seedDictionary } },
  '013-create-dicom': { options: { JobsHistorySize: 1000 } },
  '014-private-tags': { options: { Dictionary: seedDictionary } },
  '015-metrics': { options: {} },
  '016-metrics-disabled': { options: { MetricsEnabled: false } },
  '017-basic-auth': {
    options: { AuthenticationEnabled: true, RegisteredUsers: { alice: 'secret', bob: 'pässword' } },
  },
  '018-other-options': {
    options: { HttpDescribeErrors: false, OverwriteInstances: true, HttpCompressionEnabled: false },
  },
  '021-jobshistorysize-0': { options: { JobsHistorySize: 0 }, after: '005-archive' },
}

/** Empty 400 answers of job actions carry the reason: contracts/orthanc.md §6. */
function actionReason(step: Recorded): Ours {
  const isAction = /\/jobs\/[^/]+\/(cancel|pause|resume|resubmit)$/.test(step.request.path ?? '')
  return isAction && step.response?.status === 400 ? { ignore: [''] } : {}
}

describe.skipIf(!hasShared('recordings', 'orthanc'))(
  'recordings of Orthanc (skipped without the shared recordings)',
  () => {
    for (const [name, { options, after }] of Object.entries(scenes)) {
      test(`${name}: the recorded answers come`, async () => {
        const server: OrthancServer = await startOrthanc(options)
        try {
          const replay = new Replay(server.url)
          if (after !== undefined) await replay.play(readRecording(after)[0]!)
          const wrong: string[] = []
          const steps = readRecording(name)
          for (const [index, step] of steps.entries()) {
            if (index > 0 && step.name.includes('empty server first')) await replay.empty()
            if (step.request.path?.endsWith('{NI}/tags?short')) await replay.learnMade(step)
            const ours = differences[name]?.[step.name] ?? actionReason(step)
            if (typeof ours === 'string') continue
            for (const difference of await replay.play(step, ours)) wrong.push(`${step.name}: ${difference}`)
          }
          assert.deepEqual(wrong, [])
        } finally {
          await server.close()
        }
      })
    }
  },
)
