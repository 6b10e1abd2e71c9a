// /system, /statistics, /plugins and the tools that tell or change how the server runs.

import { may } from '../../../core/principal.ts'
import { refuse } from '../../../core/refusal.ts'
import { dicomTime } from '../../../domains/dicom/store/time.ts'
import { encodingTerms } from '../../../domains/dicom/text/decode.ts'
import { makeUid, makeUuid } from '../../../domains/dicom/uid.ts'
import { type Call, emptyText, json, nothingToSay, readSwitch, text } from '../call.ts'
import { codes, fail } from '../errors.ts'
import { type House, liveOptions, logCategories } from '../house.ts'
import { showMetrics } from '../metrics.ts'
import { parseLenient } from '../read-json.ts'
import { expandSyntaxes, readSettings } from '../settings.ts'
import { showSize } from '../shapes.ts'
import type { Routes } from './route.ts'

/** The version that clients switch on: contracts/orthanc.md §2.2. */
const version = { api: 16, name: '1.10.1', database: 6 }

export const systemRoutes: Routes = (add, house) => {
  const { settings, live, archive, kit } = house

  add('GET', '/system', call =>
    json({
      ApiVersion: version.api,
      CheckRevisions: settings.checksRevisions,
      DatabaseBackendPlugin: null,
      DatabaseVersion: version.database,
      DicomAet: settings.dicomAet,
      DicomPort: house.network.port ?? settings.dicomPort,
      HttpPort: portOf(call.request.host) ?? settings.httpPort,
      IsHttpServerSecure: true,
      Name: settings.name,
      PluginsEnabled: true,
      StorageAreaPlugin: null,
      Version: version.name,
    }),
  )

  add('GET', '/statistics', () => {
    const { now } = archive.totals
    return json({
      CountInstances: now.instance,
      CountPatients: now.patient,
      CountSeries: now.series,
      CountStudies: now.study,
      ...showSize('TotalDiskSize', now.bytes),
      ...showSize('TotalUncompressedSize', now.bytes),
    })
  })

  add('GET', '/plugins', () => json([]))
  add('GET', '/plugins/{name}', () => undefined)

  add('GET', '/tools/now', () => text(dicomTime(kit.clock.now())))
  add('GET', '/tools/now-local', () => {
    const now = kit.clock.now()
    return text(dicomTime(now - new Date(now).getTimezoneOffset() * 60_000))
  })
  add('GET', '/tools/generate-uid', call => {
    const level = call.query.get('level')
    if (level === 'patient') return text(makeUuid(kit.random))
    if (level === 'study' || level === 'series' || level === 'instance') return text(makeUid(kit.random))
    return undefined
  })

  add('POST', '/tools/execute-script', () => ({ status: 403 }))
  addLogRoutes(add, house)

  add('GET', '/tools/default-encoding', () => text(live.defaultEncoding))
  add('PUT', '/tools/default-encoding', async call => {
    const given = (await call.text()).trim().toLowerCase()
    const name = Object.keys(encodingTerms).find(known => known.toLowerCase() === given)
    if (name === undefined) fail(codes.outOfRange)
    live.defaultEncoding = name
    archive.parts.options.defaultTerm = encodingTerms[name]!
    return text(name)
  })

  add('GET', '/tools/accepted-transfer-syntaxes', () => json(live.acceptedSyntaxes))
  add('PUT', '/tools/accepted-transfer-syntaxes', async call => {
    const body = await call.text()
    const given = parseLenient(body) ?? body.trim()
    const patterns = Array.isArray(given) ? given : [given]
    if (!patterns.every(pattern => typeof pattern === 'string')) fail(codes.badFormat)
    live.acceptedSyntaxes = expandSyntaxes(patterns)
    return json(live.acceptedSyntaxes)
  })

  add('GET', '/tools/unknown-sop-class-accepted', () => text(live.acceptsUnknownClasses ? '1' : '0'))
  add('PUT', '/tools/unknown-sop-class-accepted', async call => {
    live.acceptsUnknownClasses = readSwitch(await call.text())
    return emptyText
  })

  add('GET', '/tools/metrics', () => text(live.hasMetrics ? '1' : '0'))
  add('PUT', '/tools/metrics', async call => {
    live.hasMetrics = readSwitch(await call.text())
    return emptyText
  })
  add('GET', '/tools/metrics-prometheus', async () => ({
    text: live.hasMetrics ? await showMetrics(house) : '',
    type: 'text/plain; version=0.0.4',
  }))

  // Jobs and connections go on: nothing is gained by dropping them. What clients may change at run time is read anew.
  add('POST', '/tools/reset', call => {
    demandAdministrator(call)
    const anew = readSettings(kit.settings, process.env)
    Object.assign(live, liveOptions(anew))
    archive.parts.options.defaultTerm = encodingTerms[anew.defaultEncoding]!
    applyLogLevels(house)
    return nothingToSay
  })
  add('POST', '/tools/shutdown', call => {
    demandAdministrator(call)
    call.reply.raw.once('close', () => kit.stop('a client asked for it'))
    return nothingToSay
  })
}

function demandAdministrator({ principal }: Call): void {
  if (!may(principal, 'administer')) {
    refuse('not-allowed', `${principal.name} may not stop or reset this server`)
  }
}

const levels: readonly string[] = ['default', 'verbose', 'trace']

function addLogRoutes(add: Parameters<Routes>[0], house: House): void {
  const { live } = house
  const readLevel = (body: string): string => {
    const level = body.trim()
    if (!levels.includes(level))
      fail(codes.outOfRange, `Verbosity can be "default", "verbose" or "trace": ${level}`)
    return level
  }
  add('GET', '/tools/log-level', () => text(live.logLevels.get('generic') ?? 'default'))
  add('PUT', '/tools/log-level', async call => {
    const level = readLevel(await call.text())
    for (const category of logCategories) live.logLevels.set(category, level)
    applyLogLevels(house)
    return emptyText
  })
  for (const category of logCategories) {
    add('GET', `/tools/log-level-${category}`, () => text(live.logLevels.get(category) ?? 'default'))
    add('PUT', `/tools/log-level-${category}`, async call => {
      live.logLevels.set(category, readLevel(await call.text()))
      applyLogLevels(house)
      return emptyText
    })
  }
}

const pinoLevels: Readonly<Record<string, string>> = { trace: 'trace', verbose: 'debug' }

/** One log tells of everything here, so it is as talkative as the most talkative category. */
function applyLogLevels({ live, kit, usualLogLevel }: House): void {
  const asked = [...live.logLevels.values()]
  const most = asked.includes('trace') ? 'trace' : asked.includes('verbose') ? 'verbose' : 'default'
  kit.log.level = pinoLevels[most] ?? usualLogLevel
}

function portOf(host: string | undefined): number | undefined {
  const port = Number(/:(\d+)$/.exec(host ?? '')?.[1])
  return Number.isInteger(port) && port > 0 ? port : undefined
}
