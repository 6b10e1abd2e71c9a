// The Orthanc dialect: small DICOM files made by ourselves, a PDF in a study, an archive and an anonymization as jobs.

import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { type Act, ask, type Row, type Stage, until } from './act.ts'

interface Stored {
  readonly ID: string
  readonly ParentStudy: string
}

interface Job {
  readonly ID: string
  readonly State: string
  readonly Content: { readonly InstancesCount: number; readonly ArchiveSize: string; readonly Path: string }
}

const pdf = Buffer.from(
  '%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n' +
    '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n',
)

export const orthanc: Act = {
  title: 'Orthanc',
  async play(stage) {
    const study = await uploadSlices(stage, 20)
    const report = await attachReport(stage, study)
    return [report, await archive(stage, study), await anonymize(stage, study)]
  },
}

async function uploadSlices(stage: Stage, count: number): Promise<string> {
  let study = ''
  for (let index = 1; index <= count; index++) {
    const file = aDicomFile({
      tags: {
        PatientName: 'Demo^Dora',
        PatientID: 'DEMO-1',
        StudyDescription: 'CHEST CT',
        StudyInstanceUID: '2.25.7001',
        SeriesInstanceUID: '2.25.7002',
        SOPInstanceUID: `2.25.7100${index}`,
        InstanceNumber: String(index),
      },
      pixelBytes: 2048,
    })
    const answer = await fetch(`${stage.url}/instances`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stage.token}` },
      body: Uint8Array.from(file),
    })
    if (!answer.ok) throw new Error(`POST /instances: ${answer.status} ${await answer.text()}`)
    study = ((await answer.json()) as Stored).ParentStudy
  }
  return study
}

async function attachReport(stage: Stage, study: string): Promise<Row> {
  const stored = (await ask(stage, '/tools/create-dicom', {
    body: {
      Parent: study,
      Tags: { Modality: 'OT', SeriesDescription: 'Report' },
      Content: `data:application/pdf;base64,${pdf.toString('base64')}`,
    },
  })) as Stored
  return {
    dialect: 'orthanc',
    what: '20 slices, and a PDF in their study',
    state: 'Success',
    result: `${pdf.length} bytes of PDF`,
    address: `/instances/${stored.ID}/pdf`,
  }
}

async function archive(stage: Stage, study: string): Promise<Row> {
  const job = await runJob(stage, `/studies/${study}/archive`, { Asynchronous: true })
  return {
    dialect: 'orthanc',
    what: 'a job: the archive of a study',
    state: job.State,
    result: `${job.Content.InstancesCount} instances, ${job.Content.ArchiveSize} bytes`,
    address: `/jobs/${job.ID}/archive`,
  }
}

async function anonymize(stage: Stage, study: string): Promise<Row> {
  const body = { Asynchronous: true, Keep: ['StudyDescription'] }
  const job = await runJob(stage, `/studies/${study}/anonymize`, body)
  const made = (await ask(stage, job.Content.Path)) as { PatientMainDicomTags: { PatientName: string } }
  return {
    dialect: 'orthanc',
    what: 'a job: the same study without the patient',
    state: job.State,
    result: `${job.Content.InstancesCount} instances of ${made.PatientMainDicomTags.PatientName}`,
    address: job.Content.Path,
  }
}

async function runJob(stage: Stage, path: string, body: object): Promise<Job> {
  const { ID: id } = (await ask(stage, path, { body })) as Job
  return until(
    async () => (await ask(stage, `/jobs/${id}`)) as Job,
    ({ State: state }) => state === 'Success' || state === 'Failure',
  )
}
