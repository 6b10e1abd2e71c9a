// The Orthanc dialect: a DICOM archive with jobs, at the paths of the original.

import fastifyMultipart from '@fastify/multipart'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Refused } from '../../core/refusal.ts'
import { workAt } from '../../core/work.ts'
import { makeDictionary } from '../../domains/dicom/dictionary/dictionary.ts'
import { Archive } from '../../domains/dicom/store/archive.ts'
import { encodingTerms } from '../../domains/dicom/text/decode.ts'
import { takeAnyBody } from '../../http/bodies.ts'
import { pathOf } from '../../http/paths.ts'
import { refusalOf } from '../../http/refusal-of.ts'
import type { Dialect, Kit } from '../dialect.ts'
import { recognise } from './access.ts'
import { ArchivePlans } from './archive-plans.ts'
import { Call, type Handler } from './call.ts'
import { Network } from './dicom/network.ts'
import { codes, errorOf, OrthancError } from './errors.ts'
import { type House, liveOptions } from './house.ts'
import { JobHistory } from './job-history.ts'
import { Meters } from './metrics.ts'
import { serveMaking } from './modify/store-made.ts'
import { Peers } from './peers/peers.ts'
import { allowOf, type Match, type Method, Router, segmentsOf } from './router.ts'
import { archiveRoutes } from './routes/archives.ts'
import { attachmentRoutes } from './routes/attachments.ts'
import { commitmentRoutes } from './routes/commitments.ts'
import { createRoutes } from './routes/create.ts'
import { instanceRoutes } from './routes/instances.ts'
import { ActionRefused, jobRoutes } from './routes/jobs.ts'
import { metadataRoutes } from './routes/metadata.ts'
import { modalityRoutes } from './routes/modalities.ts'
import { modifyRoutes } from './routes/modify.ts'
import { peerRoutes } from './routes/peers.ts'
import { queryRoutes } from './routes/queries.ts'
import { resourceRoutes } from './routes/resources.ts'
import { splitMergeRoutes } from './routes/split-merge.ts'
import { systemRoutes } from './routes/system.ts'
import { toolRoutes } from './routes/tools.ts'
import { transferRoutes } from './routes/transfers.ts'
import { sendAnswer, sendEmpty, sendFailure } from './send.ts'
import { readSettings } from './settings.ts'
import { registerTransfers } from './transfers/transfer-jobs.ts'
import { Transfers } from './transfers/transfers.ts'
import { SocketFolder } from './waited-archive.ts'

const claims = [
  ...['/system', '/statistics', '/changes', '/exports', '/tools', '/plugins', '/jobs'],
  ...['/patients', '/studies', '/series', '/instances'],
  ...['/modalities', '/queries', '/storage-commitment', '/peers', '/transfers'],
]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']

const makeArchive = workAt(import.meta.url, '../../domains/dicom/archive/make-archive.ts', 'makeArchive')
const makeModified = workAt(import.meta.url, '../../domains/dicom/modify/make-modified.ts', 'makeModified')

export const orthanc: Dialect = {
  name: 'orthanc',
  claims,
  // Its jobs are work of ours on its own files, never a program of the caller's choice.
  access: { anonymous: ['read', 'submit', 'operate', 'administer'] },
  work: {
    'dicom.archive': makeArchive,
    'dicom.media': makeArchive,
    'dicom.modify': makeModified,
    'dicom.split': makeModified,
    'dicom.merge': makeModified,
  },
  pools: section => {
    const { concurrentJobs, network } = readSettings(section, process.env)
    const perLabel = { label: 'destination', slots: network.destinationJobsMax }
    return {
      orthanc: {
        ...(concurrentJobs === 0 ? {} : { slots: concurrentJobs }),
        ...(network.destinationJobsMax === 0 ? {} : { perLabel }),
      },
    }
  },
  async open(kit) {
    const opened = Promise.withResolvers<void>()
    const house = makeHouse(kit, opened.promise)
    house.network.register(house)
    house.peers.register(house)
    registerTransfers(house)
    const router = makeRouter(house)
    for (const kind of ['dicom.archive', 'dicom.media'])
      kit.answer(kind, question => house.plans.answer(question))
    serveMaking(house)
    for (const name of house.settings.unknown)
      kit.log.warn({ option: name }, 'an Orthanc option is not known here')
    return {
      routes: async scope => addRoutes(scope, house, router),
      async ready() {
        await house.archive.open()
        await house.history.open({ forgetsAll: !house.settings.savesJobs })
        await house.peers.open()
        await house.transfers.open()
        await house.network.open(house)
        opened.resolve()
      },
      async close() {
        await house.network.close()
        await house.archive.close()
        await house.history.close()
        house.sockets.remove()
      },
    }
  },
}

function makeHouse(kit: Kit, opened: Promise<void>): House {
  const settings = readSettings(kit.settings, process.env)
  const dictionary = makeDictionary(settings.dictionary, { vendors: settings.hasVendorTags })
  const archive = new Archive({
    records: kit.records,
    blobs: kit.blobs,
    write: change => kit.engine.write(change),
    clock: kit.clock,
    random: kit.random,
    dictionary,
    options: {
      overwriteInstances: settings.overwriteInstances,
      stableMs: settings.stableMs,
      sizeBytesMax: settings.storageBytesMax,
      patientsMax: settings.patientsMax,
      defaultTerm: encodingTerms[settings.defaultEncoding] ?? 'ISO_IR 100',
    },
    onError: error => kit.log.error({ err: error }, 'the archive of instances failed in the background'),
  })
  return {
    kit,
    settings,
    dictionary,
    archive,
    history: new JobHistory(kit, {
      dialect: 'orthanc',
      jobsMax: settings.jobsHistorySize,
      archivesMax: settings.mediaArchiveSize,
    }),
    meters: new Meters(() => performance.now()),
    live: liveOptions(settings),
    sockets: new SocketFolder(),
    plans: new ArchivePlans(),
    network: new Network(kit, settings.network),
    peers: new Peers(kit, settings.peers),
    transfers: new Transfers(kit),
    startedAt: kit.clock.now(),
    opened,
    usualLogLevel: kit.log.level,
  }
}

function makeRouter(house: House): Router<Handler> {
  const router = new Router<Handler>()
  const groups = [
    ...[systemRoutes, toolRoutes, resourceRoutes, instanceRoutes, metadataRoutes],
    ...[attachmentRoutes, jobRoutes, archiveRoutes, createRoutes, modifyRoutes, splitMergeRoutes],
    ...[modalityRoutes, queryRoutes, commitmentRoutes, peerRoutes, transferRoutes],
  ]
  for (const addGroup of groups)
    addGroup((method, pattern, handler) => router.add(method, pattern, handler), house)
  return router
}

/** One route of the server for each claim: which handler it is, this dialect's own table tells. */
function addRoutes(scope: FastifyInstance, house: House, router: Router<Handler>): void {
  takeAnyBody(scope, 'stream')
  scope.register(fastifyMultipart, { limits: { fileSize: Number.POSITIVE_INFINITY } })
  scope.setErrorHandler((error, request, reply) => answerError(house, error, request, reply))
  scope.setNotFoundHandler(async (request, reply) => {
    // Paths that nothing has, and methods outside of Fastify's own set.
    if (!(await recognise(house, request, reply))) return reply
    const { method } = request
    // Slashes that do not count may have led here.
    const isReading = method === 'GET' || method === 'DELETE'
    if (isReading && router.match(segmentsOf(pathOf(request.url))))
      await answer(house, router, request, reply)
    else if (method === 'HEAD' || method === 'OPTIONS') sendEmpty(reply, 404)
    else if (!['GET', 'POST', 'PUT', 'DELETE'].includes(method)) sendEmpty(reply, 400)
    else await answerError(house, new OrthancError(codes.unknownResource), request, reply)
    return reply
  })
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    house.meters.activeRequests++
    const done = house.meters.time('orthanc_rest_api_duration_ms')
    try {
      await answer(house, router, request, reply)
    } finally {
      house.meters.activeRequests--
      done()
    }
    return reply
  }
  for (const path of claims) {
    // Clients join a base that ends in a slash with paths that begin with one.
    for (const url of [path, `${path}/`, `${path}/*`, `/${path}`, `/${path}/*`])
      scope.route({ method: methods as Method[], url, handler })
  }
}

async function answer(
  house: House,
  router: Router<Handler>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const principal = await recognise(house, request, reply)
  if (!principal) return
  const url = new URL(request.url.replace(/^\/+/, '/'), 'http://localhost')
  const method = methodOf(request, url.searchParams)
  const options = { ...sendOptions(house), method: method ?? request.method }
  if (request.method === 'PATCH') return sendEmpty(reply, 400)
  if (request.method === 'HEAD' || request.method === 'OPTIONS') return sendEmpty(reply, 404)
  try {
    const match = router.match(segmentsOf(pathOf(request.url)))
    if (!match || method === undefined) throw new OrthancError(codes.unknownResource)
    const handler = match.handlers.get(method)
    if (!handler) return sendUnhandled(request, reply, match, options)
    const call = new Call({
      request,
      reply,
      principal,
      params: match.params,
      rest: match.rest,
      query: url.searchParams,
    })
    house.kit.log.debug({ method, path: pathOf(request.url), user: principal.name }, 'a request')
    const result = await handler(call)
    await sendAnswer(request, reply, result, options)
  } catch (error) {
    await answerError(house, error, request, reply, options.method)
  }
}

/** A path that has other methods, or none: a node within the tree lists what is below it. */
async function sendUnhandled(
  request: FastifyRequest,
  reply: FastifyReply,
  match: Match<Handler>,
  options: ReturnType<typeof sendOptions> & { method: string },
): Promise<void> {
  if (match.handlers.size > 0) {
    reply.header('allow', allowOf(match.handlers))
    sendEmpty(reply, 405)
    return
  }
  if (options.method !== 'GET') {
    reply.header('allow', 'GET')
    sendEmpty(reply, 405)
    return
  }
  await sendAnswer(request, reply, { json: match.children }, options)
}

/** Clients that can only GET and POST name the method that they mean. */
function methodOf(request: FastifyRequest, query: URLSearchParams): Method | undefined {
  const own = request.method.toUpperCase()
  const asked =
    own === 'GET' || own === 'POST'
      ? (request.headers['x-http-method-override'] ?? query.get('_method'))
      : null
  const method = String(asked ?? own).toUpperCase()
  return method === 'GET' || method === 'POST' || method === 'PUT' || method === 'DELETE' ? method : undefined
}

function sendOptions({ settings }: House): { describesErrors: boolean; compresses: boolean } {
  return { describesErrors: settings.describesErrors, compresses: settings.compresses }
}

async function answerError(
  house: House,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  method = request.method,
): Promise<void> {
  if (reply.sent) return
  const options = { ...sendOptions(house), method }
  if (error instanceof OrthancError) return sendFailure(request, reply, error, options)
  if (error instanceof ActionRefused) {
    return sendFailure(request, reply, new OrthancError(error.code, error.message), {
      ...options,
      status: 400,
    })
  }
  const refusal = refusalOf(error)
  if (refusal !== undefined) {
    const known = errorOf(new Refused(refusal))
    const status = refusal.kind === 'too-large' ? { status: 413 } : {}
    return sendFailure(request, reply, known, { ...options, ...status })
  }
  house.kit.log.error({ err: error, method, path: pathOf(request.url) }, 'a request failed')
  return sendFailure(request, reply, new OrthancError(codes.internal), options)
}
