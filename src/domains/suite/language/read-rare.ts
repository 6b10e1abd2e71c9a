// Reading the attributes that few nodes have: zombies, queues, verifies, avisos and mirrors.

import type { Aviso, Mirror, Queue, Zombie } from '../tree/attribute.ts'
import { childCommands, zombieActions, zombieKinds, zombieSeconds } from '../tree/attribute.ts'
import { isNodeState } from '../tree/state.ts'
import { isName, nameRule, readInteger, unquote } from './name.ts'
import type { Statement } from './statement.ts'

/** `TYPE:ACTION[:CHILDCMDS[:SECONDS]]`. */
export function readZombie(statement: Statement): Zombie {
  const [kind, action = '', commandList = '', seconds = '', ...rest] = statement.word(1).split(':')
  if (!zombieKinds.some(it => it === kind)) throw statement.fault(1, `a type: ${zombieKinds.join(', ')}`)
  if (action !== '' && !zombieActions.some(it => it === action)) {
    throw statement.fault(1, `an action: ${zombieActions.join(', ')}`)
  }
  if (rest.length > 0 || (action === '' && seconds === ''))
    throw statement.fault(1, 'TYPE:ACTION[:CHILDCMDS[:SECONDS]]')
  const commands = commandList.split(',').filter(word => word !== '')
  for (const command of commands) {
    if (!childCommands.some(it => it === command))
      throw statement.fault(1, `child commands: ${childCommands.join(', ')}`)
  }
  const given = seconds === '' ? undefined : readInteger(seconds)
  if (seconds !== '' && (given === undefined || given < 0)) throw statement.fault(1, 'a lifetime in seconds')
  statement.expectEnd(2)
  // Shorter lives than a minute could not be told from none: contract ecflow §3.15.
  const lifetimeSeconds = given === undefined ? zombieSeconds[kind as Zombie['kind']] : Math.max(60, given)
  return {
    kind: kind as Zombie['kind'],
    action: action as Zombie['action'],
    commands: commands as unknown as Zombie['commands'],
    lifetimeSeconds,
  }
}

/** `NAME ITEM...`, all items queued. */
export function readQueue(statement: Statement): Queue {
  const name = statement.word(1)
  if (!isName(name)) throw statement.fault(1, nameRule)
  if (statement.count < 3) throw statement.fault(2, 'at least one item')
  const items = statement.words(2).map(unquote)
  return { name, items, states: items.map(() => 'queued'), index: 0 }
}

/** `STATE:COUNT`. */
export function readVerify(statement: Statement): { state: string; count: number } {
  const [state = '', count = ''] = statement.word(1).split(':')
  const number = readInteger(count)
  if (!isNodeState(state) || number === undefined || number < 0) throw statement.fault(1, 'STATE:COUNT')
  statement.expectEnd(2)
  return { state, count: number }
}

/** `--name N --listener 'JSON' …`: values may be quoted and hold blanks. */
function readOptions(
  statement: Statement,
  known: readonly string[],
  flags: readonly string[],
): Map<string, string> {
  const options = new Map<string, string>()
  let at = 1
  while (at < statement.count) {
    const option = statement.word(at)
    if (!option.startsWith('--') || (!known.includes(option.slice(2)) && !flags.includes(option.slice(2)))) {
      throw statement.fault(at, [...known, ...flags].map(name => `--${name}`).join(', '))
    }
    const name = option.slice(2)
    if (options.has(name)) throw statement.fault(at, `${option} only once`)
    if (flags.includes(name)) {
      options.set(name, 'true')
      at++
      continue
    }
    if (at + 1 >= statement.count) throw statement.fault(at + 1, `a value for ${option}`)
    const first = statement.startOf(at + 1)
    const quote = statement.text[first]!
    if (quote !== "'" && quote !== '"') {
      options.set(name, statement.word(at + 1))
      at += 2
      continue
    }
    const close = statement.text.indexOf(quote, first + 1)
    if (close < 0 || close >= statement.end) throw statement.fault(at + 1, `a closing ${quote}`)
    options.set(name, statement.text.slice(first, close + 1))
    at++
    while (at < statement.count && statement.startOf(at) <= close) at++
  }
  return options
}

/** `--name NAME --listener JSON`, and more where it is not as usual. */
export function readAviso(statement: Statement): Aviso {
  const options = readOptions(
    statement,
    ['name', 'listener', 'url', 'schema', 'polling', 'auth', 'revision', 'reason'],
    [],
  )
  const name = options.get('name') ?? ''
  if (!isName(name)) throw statement.fault(1, '--name with a name')
  const listener = options.get('listener')
  if (listener === undefined) throw statement.fault(statement.count, '--listener with a JSON text')
  return {
    name,
    listener: `'${unquote(listener)}'`,
    url: unquote(options.get('url') ?? '%ECF_AVISO_URL%'),
    schema: unquote(options.get('schema') ?? '%ECF_AVISO_SCHEMA%'),
    polling: unquote(options.get('polling') ?? '%ECF_AVISO_POLLING%'),
    auth: unquote(options.get('auth') ?? '%ECF_AVISO_AUTH%'),
    revision: unquote(options.get('revision') ?? '0'),
    reason: unquote(options.get('reason') ?? ''),
    free: false,
  }
}

/** `--name NAME --remote_path PATH`, and more where it is not as usual. */
export function readMirror(statement: Statement): Mirror {
  const options = readOptions(
    statement,
    ['name', 'remote_path', 'remote_host', 'remote_port', 'polling', 'remote_auth', 'reason'],
    ['ssl'],
  )
  const name = options.get('name') ?? ''
  if (!isName(name)) throw statement.fault(1, '--name with a name')
  const remotePath = options.get('remote_path')
  if (remotePath === undefined) throw statement.fault(statement.count, '--remote_path with a path')
  return {
    name,
    remotePath: unquote(remotePath),
    remoteHost: unquote(options.get('remote_host') ?? '%ECF_MIRROR_REMOTE_HOST%'),
    remotePort: unquote(options.get('remote_port') ?? '%ECF_MIRROR_REMOTE_PORT%'),
    polling: unquote(options.get('polling') ?? '%ECF_MIRROR_REMOTE_POLLING%'),
    ssl: options.has('ssl'),
    auth: unquote(options.get('remote_auth') ?? '%ECF_MIRROR_REMOTE_AUTH%'),
    reason: unquote(options.get('reason') ?? ''),
  }
}
