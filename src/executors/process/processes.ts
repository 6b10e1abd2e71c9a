// What the kernel tells of processes in /proc: whether one still is who it was, and who carries an attempt's mark.

import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'

/** The environment variable by which everything that an attempt started can be told, wherever it went. */
export const markName = 'SWITCHYARD_ATTEMPT'

/**
 * Whether this is still the process that was there at an instant, told in kernel ticks since boot: a later one with
 * its number was started after that. 0 ticks: it is enough that there is one.
 */
export function isStillAlive(pid: number, ticks: number): boolean {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return false
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return false
  return ticks === 0 || Number(fields[19]) <= ticks
}

/** Kills every process with the mark of one of these attempts. Reads the whole of /proc: only for what was lost. */
export async function killMarked(keys: ReadonlySet<string>): Promise<number> {
  let count = 0
  // Without /proc nobody can be found, and nothing more can be done.
  for (const name of await readdir('/proc').catch(() => [])) {
    const pid = Number(name)
    if (!Number.isSafeInteger(pid) || pid === process.pid) continue
    const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '') // gone, or not ours
    const at = environ.indexOf(`${markName}=`)
    if (at < 0 || (at > 0 && environ[at - 1] !== '\0')) continue
    const end = environ.indexOf('\0', at)
    if (!keys.has(environ.slice(at + markName.length + 1, end < 0 ? undefined : end))) continue
    try {
      process.kill(pid, 'SIGKILL')
      count++
    } catch {
      // It ended by itself meanwhile.
    }
  }
  return count
}
