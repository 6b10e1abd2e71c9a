// `--data`, for commands that work on the data directory itself.

import { stat } from 'node:fs/promises'
import { Option } from 'commander'
import { dataDirAt, makeDataDir } from '../data-dir.ts'
import { CommandFailed, exitCodes } from './failure.ts'

export function dataOption(): Option {
  return new Option('--data <dir>', 'data directory of the server').env('SWITCHYARD_DATA')
}

/** The path of the data directory; fails when none is named, or it is not there. */
export async function existingDataDir(
  path: string | undefined,
  options: { make?: boolean } = {},
): Promise<string> {
  if (path === undefined) {
    throw new CommandFailed(
      'Say where the data directory is: --data DIR, or SWITCHYARD_DATA',
      exitCodes.usage,
    )
  }
  if (options.make === true) return (await makeDataDir(path)).path
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() !== true)
    throw new CommandFailed(`There is no data directory ${path}`, exitCodes.notFound)
  return dataDirAt(path).path
}

/** Columns of text, aligned; nothing but text, for terminals and pipes alike. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => (row[column] ?? '').length)))
  for (const row of all) {
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}\n`,
    )
  }
}
