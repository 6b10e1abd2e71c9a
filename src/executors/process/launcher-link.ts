// Our end of the launcher (launcher.pl): starts it, sends it orders, and reads the news of its keepers.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Ending, readEnding } from './ending.ts'

const launcherFile = fileURLToPath(new URL('./launcher.pl', import.meta.url))

export type KeeperNews =
  | { readonly type: 'forked'; readonly key: string; readonly pid: number }
  | {
      readonly type: 'began'
      readonly key: string
      readonly pid: number
      readonly ticks: number
      readonly at: number
    }
  | { readonly type: 'ended'; readonly key: string; readonly ending: Ending }

export interface LauncherLink {
  readonly pid: number
  /** Hands orders over; each is a frame made by orderFrame. */
  send(frames: readonly Buffer[]): void
  /** Lets it end by itself; keepers stay. */
  close(): Promise<void>
}

export interface LauncherOptions {
  readonly tablePath: string
  readonly lockPath: string
  /** How long to wait for an earlier launcher to finish. */
  readonly lockWaitMs: number
  /** The perl program. */
  readonly perl: string
  onNews(news: KeeperNews[]): void
  /** The launcher is gone without having been closed. */
  onGone(): void
}

/** Starts a launcher; ready when every start of an earlier one is in the table or will never happen. */
export function startLauncher(options: LauncherOptions): Promise<LauncherLink> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(
      options.perl,
      [launcherFile, options.tablePath, options.lockPath, `${options.lockWaitMs}`],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true, // a signal to the server's terminal or group is not meant for attempts
        cwd: '/',
        env: { PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' },
      },
    )
    let state: 'starting' | 'ready' | 'closing' | 'gone' = 'starting'
    let problem = ''
    let rest = ''
    const gone = new Promise<void>(done => {
      const leave = (why: string) => {
        const before = state
        state = 'gone'
        done()
        if (before === 'starting') reject(new Error(`cannot start ${options.perl}: ${problem.trim() || why}`))
        else if (before === 'ready') options.onGone()
      }
      child.once('error', error =>
        leave((error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it is not installed' : error.message),
      )
      child.once('exit', (code, signal) => {
        const why = `it ended with ${signal ?? `exit code ${code}`}`
        // Its last words may not have been read yet; later its pipes are shared with keepers and stay open.
        if (state === 'starting') child.once('close', () => leave(why))
        else leave(why)
      })
    })
    const link: LauncherLink = {
      pid: child.pid ?? 0,
      send(frames) {
        if (state === 'ready') child.stdin!.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames))
      },
      async close() {
        if (state === 'ready') state = 'closing'
        child.stdin!.end()
        await gone
        // Keepers have this pipe, too, and go on; their news is in the table for whoever comes next.
        child.stdout!.destroy()
      },
    }
    child.stdin!.on('error', () => {}) // told by its exit
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      problem = (problem + text).slice(-2000)
    })
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      const news: KeeperNews[] = []
      for (const line of lines) {
        const item = readNews(line)
        if (item) news.push(item)
        else if (line.startsWith('failed ')) problem = line.slice(7)
        else if (line.startsWith('ready ') && state === 'starting') {
          state = 'ready'
          resolve(link)
        }
      }
      if (news.length > 0) options.onNews(news)
    })
  })
}

function readNews(line: string): KeeperNews | undefined {
  const keyEnd = line.indexOf(' ', 2)
  const key = line.slice(2, keyEnd)
  const facts = line.slice(keyEnd + 1)
  switch (line.slice(0, 2)) {
    case 'F ':
      return { type: 'forked', key, pid: Number(facts) }
    case 'B ': {
      const [pid, ticks, at] = facts.split(' ').map(Number)
      return { type: 'began', key, pid: pid!, ticks: ticks!, at: at! }
    }
    case 'E ':
      return { type: 'ended', key, ending: readEnding(facts) }
    default:
      return undefined
  }
}

/** An order in the launcher's terms. */
export interface LauncherOrder {
  readonly key: string
  readonly slot: number
  readonly cwd: string
  readonly stdinFile: string
  readonly outFile: string
  readonly errFile: string
  /** Where the slot's spare streams are (`.out` and `.err` are added); empty for none. */
  readonly spare: string
  readonly graceMs: number
  readonly leftovers: 'end' | 'leave'
  readonly memoryHow: 'v1' | 'v2' | 'rlimit' | ''
  readonly memoryFolder: string
  readonly memoryBytes: number
  readonly cpuSeconds: number
  readonly fileBytes: number
  readonly streamBytes: number
  readonly files: readonly string[]
  readonly argv: readonly string[]
  readonly env: readonly string[]
}

/** An order as `start` of launcher.pl reads it: its length, then its fields with NULs between them. */
export function orderFrame(order: LauncherOrder): Buffer {
  const fields = [
    order.key,
    order.slot,
    order.cwd,
    order.stdinFile,
    order.outFile,
    order.errFile,
    order.spare,
    order.graceMs,
    order.leftovers,
    order.memoryHow,
    order.memoryFolder,
    order.memoryBytes,
    order.cpuSeconds,
    order.fileBytes,
    order.streamBytes,
    ...[order.files, order.argv, order.env].flatMap(list => [list.length, ...list]),
  ].join('\0')
  return Buffer.from(`${Buffer.byteLength(fields)}\n${fields}`)
}
