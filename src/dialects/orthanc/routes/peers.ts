// Peers: what is known of them, what they say of themselves, and jobs that send instances to them.

import type { JsonObject } from '../../../core/json.ts'
import { type Answer, type Call, emptyText, json } from '../call.ts'
import { logExports } from '../dicom/exports.ts'
import { runTalk } from '../dicom/run-talk.ts'
import { codes, fail } from '../errors.ts'
import type { House } from '../house.ts'
import { readPeer, showPeer, showPeerOfJob } from '../peers/peer.ts'
import type { PeerRequest } from '../peers/peer-client.ts'
import { type PeerStoreOrder, peerStoreKind } from '../peers/peer-store-job.ts'
import { flag, parseLenient } from '../read-json.ts'
import { isTransferSyntax } from '../settings.ts'
import { showSize } from '../shapes.ts'
import { readJobOptions } from '../submitted-job.ts'
import { instancesOf, readResources, retryPolicy } from './modalities.ts'
import type { Routes } from './route.ts'

const operations = ['configuration', 'store', 'store-straight', 'system']

export const peerRoutes: Routes = (add, house) => {
  const { book } = house.peers
  add('GET', '/peers', call => {
    const all = book.all()
    if (!call.has('expand')) return json(all.map(([name]) => name))
    return json(Object.fromEntries(all.map(([name, peer]) => [name, showPeer(peer)])))
  })
  add('GET', '/peers/{p}', call => (book.find(call.param('p')) ? json(operations) : undefined))
  add('GET', '/peers/{p}/configuration', call => json(showPeer(house.peers.need(call.param('p')))))
  add('PUT', '/peers/{p}', async call => {
    const body = parseLenient(await call.text())
    if (body === undefined) fail(codes.badFormat)
    await book.put(call.param('p'), readPeer(body))
    return emptyText
  })
  add('DELETE', '/peers/{p}', async call => {
    const name = call.param('p')
    if (!(await book.drop(name))) fail(codes.inexistentItem, `Unknown Orthanc peer: ${name}`)
    return emptyText
  })
  add('GET', '/peers/{p}/system', call => askSystem(house, call))
  add('POST', '/peers/{p}/store', call => store(house, call))
  add('POST', '/peers/{p}/store-straight', call => storeStraight(house, call))
}

async function askSystem(house: House, call: Call): Promise<Answer> {
  house.peers.need(call.param('p'))
  const { status, value } = await askJson(house, call.param('p'), { method: 'GET', path: 'system' })
  // The original passes no other status on: contracts/orthanc.md §2.6 and R012.
  if (status !== 200 || value === undefined)
    fail(codes.badStatus, `The peer answered with HTTP status ${status}`)
  return { json: value, type: 'application/json' }
}

/** One question to a peer whose answer is JSON; undefined when it is not. */
async function askJson(
  house: House,
  name: string,
  request: PeerRequest,
): Promise<{ status: number; value: unknown }> {
  const client = house.peers.client(name)
  try {
    const { status, body } = await client.ask(request)
    return { status, value: parseLenient(body.toString('utf8')) }
  } finally {
    client.close()
  }
}

async function store(house: House, call: Call): Promise<Answer> {
  const name = call.param('p')
  const peer = house.peers.need(name, codes.unknownResource)
  const { ids, body } = readResources(await call.text())
  const options = readJobOptions(body)
  const isCompressed = flag(body, 'Compress') ?? false
  const transcode = body['Transcode']
  if (transcode !== undefined && (typeof transcode !== 'string' || !isTransferSyntax(transcode))) {
    fail(codes.badFormat, `Unknown transfer syntax UID: ${String(transcode)}`)
  }
  const instances = await instancesOf(house, ids)
  const order: PeerStoreOrder = {
    peer: name,
    instances,
    isPermissive: options.isPermissive,
    isCompressed,
    ...(transcode === undefined ? {} : { transcode }),
  }
  const content: JsonObject = {
    InstancesCount: instances.length,
    FailedInstancesCount: 0,
    ...(ids.length > 0 ? { ParentResources: ids } : {}),
    Compress: isCompressed,
    Peer: showPeerOfJob(peer),
    ...showSize('Size', 0),
    ...(transcode === undefined ? {} : { Transcode: transcode }),
  }
  await logExports(house, ids, name)
  return runTalk(house, call, options, {
    kind: peerStoreKind,
    input: order as unknown as JsonObject,
    detail: { content },
    ...retryPolicy(`peer ${name}`, peer),
  })
}

async function storeStraight(house: House, call: Call): Promise<Answer> {
  const name = call.param('p')
  house.peers.need(name, codes.unknownResource)
  const { status, value } = await askJson(house, name, {
    method: 'POST',
    path: 'instances',
    headers: { 'content-type': 'application/dicom' },
    body: await call.bytes(),
  })
  if (status !== 200 || value === undefined) fail(codes.network, `Cannot send DICOM to remote peer: ${name}`)
  return json(value)
}
