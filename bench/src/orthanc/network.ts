// C-STORE over one association: DCMTK's storescu to us, to the real Orthanc, and to DCMTK's storescp; and store jobs of
// ours and of Orthanc to the same storescp. All in one run, in turns, on the same files. Twice: with the peers as they come,
// where Nagle's algorithm makes each instance wait for delayed acknowledgements, some ten minutes in all; and with
// TCP_NODELAY in their environment, several times.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort, freshDir, startYard } from '../processes.ts'
import { type Figure, quantile, rateFigure, type Suite } from '../suite.ts'
import { OrthancClient } from './client.ts'
import { dicomFiles, patientOf } from './files.ts'
import { startRealServer } from './real-server.ts'

const bytes = 4096
/** What is sent in each turn. */
const count = 2000

/** How the peers are set, and how often it is measured so. A small first turn warms everybody up. */
const settings = [
  { name: 'peers as they come', rounds: 1, warmCount: 20, env: {} },
  { name: 'peers with TCP_NODELAY', rounds: 5, warmCount: 2000, env: { TCP_NODELAY: '1' } },
] as const
type Setting = (typeof settings)[number]

export const networkBench: Suite = {
  name: 'orthanc-network',
  title: `C-STORE of instances of ${bytes} bytes over one association, beside DCMTK and Orthanc (apt)`,
  run,
}

async function run(): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const setting of settings) figures.push(...(await measure(setting)))
  return figures
}

async function measure(setting: Setting): Promise<Figure[]> {
  const { rounds, warmCount, env } = setting
  const [ourPort, theirPort, scpPort] = [await freePort(), await freePort(), await freePort()]
  const config = [
    '[dialects.orthanc]',
    'access = "open"',
    `DicomPort = ${ourPort}`,
    `DicomModalities = { scp = ["SCP", "127.0.0.1", ${scpPort}] }`,
  ].join('\n')
  const yard = await startYard({ config })
  const real = await startRealServer(
    {
      DicomServerEnabled: true,
      DicomPort: theirPort,
      DicomModalities: { scp: ['SCP', '127.0.0.1', scpPort] },
    },
    env,
  )
  const scp = await startScp(scpPort, env)
  const [ours, theirs] = [new OrthancClient(yard.url), new OrthancClient(real.url)]
  const rates = { dcmtk: [], takesOurs: [], takesTheirs: [], sendsOurs: [], sendsTheirs: [] } as Record<
    'dcmtk' | 'takesOurs' | 'takesTheirs' | 'sendsOurs' | 'sendsTheirs',
    number[]
  >
  try {
    for (let round = 0; round <= rounds; round++) {
      const number = firstSet[setting.name] + round
      const amount = round === 0 ? warmCount : count
      const folder = writeFiles(number, amount)
      const found = {
        dcmtk: await timed(amount, () => storescu(scpPort, folder, env)),
        takesOurs: await timed(amount, () => storescu(ourPort, folder, env)),
        takesTheirs: await timed(amount, () => storescu(theirPort, folder, env)),
        sendsOurs: await timed(amount, () => storeAll(ours, number, amount)),
        sendsTheirs: await timed(amount, () => storeAll(theirs, number, amount)),
      }
      if (round === 0) continue
      for (const name of Object.keys(rates) as (keyof typeof rates)[]) rates[name].push(found[name])
    }
  } finally {
    ours.close()
    theirs.close()
    scp.kill()
    await yard.stop()
    await real.stop()
  }
  const median = (name: keyof typeof rates): number => quantile(rates[name], 0.5)
  const figure = (
    what: string,
    name: keyof typeof rates,
    peer: keyof typeof rates,
    atLeast: number,
  ): Figure =>
    rateFigure(`${what}, ${setting.name}`, {
      ours: median(name),
      peer: median(peer),
      peerName: peer === 'dcmtk' ? 'storescu to storescp' : 'Orthanc',
      unit: '/s',
      atLeast,
    })
  return [
    figure('instances taken', 'takesOurs', 'dcmtk', 0.8),
    figure('instances taken', 'takesOurs', 'takesTheirs', 1),
    figure('instances sent by a job', 'sendsOurs', 'dcmtk', 0.8),
    figure('instances sent by a job', 'sendsOurs', 'sendsTheirs', 1),
  ]
}

/** Numbers of sets of files, so that no instance comes twice. */
const firstSet = { 'peers as they come': 700, 'peers with TCP_NODELAY': 720 } as const

function writeFiles(number: number, count: number): string {
  const folder = freshDir(`files-${number}`)
  let index = 0
  for (const file of dicomFiles({ number, count, bytes, perSeries: 500 }))
    writeFileSync(join(folder, `${String(index++).padStart(5, '0')}.dcm`), file)
  return folder
}

async function timed(count: number, work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return count / ((performance.now() - startedAt) / 1000)
}

async function storescu(port: number, folder: string, env: Readonly<Record<string, string>>): Promise<void> {
  await promisify(execFile)('storescu', ['+sd', '127.0.0.1', String(port), folder], {
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, ...env },
  })
}

async function startScp(port: number, env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const folder = join(freshDir('storescp'), 'out')
  mkdirSync(folder)
  const child = spawn('storescp', ['-aet', 'SCP', '-od', folder, String(port)], {
    stdio: 'ignore',
    env: { ...process.env, ...env },
  })
  for (let turn = 0; turn < 200; turn++) {
    const isThere = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (isThere) return child
    await sleep(50)
  }
  throw new Error('storescp does not listen')
}

/** A store job over everything of a set: all its patients in one job, one association. */
async function storeAll(client: OrthancClient, number: number, count: number): Promise<void> {
  const patients = Math.ceil(count / 500 / 4)
  const resources: string[] = []
  for (let index = 0; index < patients; index++) {
    const found = await client.json<string[]>('POST', '/tools/find', {
      Level: 'Patient',
      Query: { PatientID: patientOf(number, index) },
    })
    resources.push(...found)
  }
  const { body } = await client.send('POST', '/modalities/scp/store', { Resources: resources })
  const { InstancesCount: sent } = JSON.parse(body.toString()) as { InstancesCount: number }
  if (sent !== count) throw new Error(`only ${sent} instances were sent`)
}
