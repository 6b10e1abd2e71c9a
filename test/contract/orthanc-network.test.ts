// Recordings of the DICOM network, with a real Orthanc as the modality of the recording; and of jobs that take their time,
// with a slow modality of our own.

import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { hasOrthanc, startRealOrthanc } from '../client/real-orthanc.ts'
import { freePort } from '../support/free-port.ts'
import { hasShared } from '../support/shared.ts'
import { startSlowScp } from '../support/slow-scp.ts'
import { type Ours, type Recorded, Replay, readRecording } from './orthanc-replay.ts'
import { startOrthanc } from './orthanc-server.ts'

const ports = { ignore: ['*Port', 'Port'] }

/** What we answer otherwise, with the reason where it is left out. */
const network: Readonly<Record<string, Ours | string>> = {
  'modalities expanded': ports,
  configuration: ports,
  // The original also notes what was to go to a modality that nobody knows.
  'last export': { ignore: ['Exports.*.Seq', 'Exports[0].Seq', 'Last'] },
  // Its file has a header of ours, which is longer.
  'metadata of a received instance': { ignore: ['PixelDataOffset'] },
}

const jobs: Readonly<Record<string, Ours | string>> = {
  'permissive store to a modality that is down': {
    // Here it is told that nothing was sent: contracts/orthanc.md §8.
    ignore: ['FailedInstancesCount'],
  },
  // Another deflater.
  'high priority ran': { ignore: ['Content.ArchiveSize'] },
  'DELETE a job': 'the newer routes are served, as the contract wants',
}

describe.skipIf(!hasShared('recordings', 'orthanc'))('recordings of the DICOM network', () => {
  test.skipIf(!hasOrthanc)('011-dicom-network: the recorded answers come', { timeout: 120_000 }, async () => {
    const port = await freePort()
    const peer = await startRealOrthanc({
      DicomAet: 'ORTHANCTEST',
      DicomModalities: { yard: ['ORTHANC', '127.0.0.1', port], mine: ['MYAET', '127.0.0.1', port] },
    })
    const server = await startOrthanc({
      DicomPort: port,
      LogExportedResources: true,
      DicomModalities: {
        'peer-modality': ['ORTHANCTEST', '127.0.0.1', peer.dicomPort],
        detailed: {
          ...{ AET: 'ORTHANCTEST', Host: '127.0.0.1', Port: peer.dicomPort, LocalAet: 'MYAET', Timeout: 3 },
          ...{ AllowTranscoding: false, Manufacturer: 'GenericNoUniversalWildcard' },
        },
        down: ['NOBODY', '127.0.0.1', await freePort()],
        slow: ['SLOWSCP', '127.0.0.1', 15_104],
      },
    })
    try {
      const replay = new Replay(server.url)
      const wrong: string[] = []
      const text = JSON.stringify(readRecording('011-dicom-network'))
      // Where the recording's modality listened.
      for (const step of JSON.parse(text.replaceAll('15001', String(peer.dicomPort))) as Recorded[]) {
        const ours = network[step.name] ?? {}
        if (typeof ours === 'string') continue
        // The recording's own archive was emptied before it got its instances back.
        if (['retrieve one answer to the default AET', 'C-MOVE without a query'].includes(step.name))
          await replay.empty()
        for (const difference of await replay.play(step, ours)) wrong.push(`${step.name}: ${difference}`)
      }
      assert.deepEqual(wrong, [])
    } finally {
      await server.close()
      await peer.close()
    }
  })

  test('004-jobs: the recorded answers come', { timeout: 120_000 }, async () => {
    const slow = await startSlowScp(700)
    const sample = await startSlowScp(0)
    const server = await startOrthanc({
      ConcurrentJobs: 1,
      JobsHistorySize: 4,
      DicomScuTimeout: 30,
      DicomModalities: {
        slow: ['SLOWSCP', '127.0.0.1', slow.port],
        sample: ['SAMPLE', '127.0.0.1', sample.port],
        down: ['NOBODY', '127.0.0.1', await freePort()],
      },
    })
    try {
      const replay = new Replay(server.url, { waitsForJobs: false })
      const wrong: string[] = []
      for (const step of readRecording('004-jobs')) {
        const isAction = /\/jobs\/[^/]+\/(cancel|pause|resume|resubmit)$/.test(step.request.path ?? '')
        const ours = jobs[step.name] ?? (isAction && step.response?.status === 400 ? { ignore: [''] } : {})
        if (typeof ours === 'string') continue
        for (const difference of await replay.play(step, ours)) wrong.push(`${step.name}: ${difference}`)
      }
      assert.deepEqual(wrong, [])
    } finally {
      await server.close()
      await slow.close()
      await sample.close()
    }
  })
})
