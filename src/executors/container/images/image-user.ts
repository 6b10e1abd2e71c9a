// Whom the USER of an image means: numbers as they are, names by the image's own passwd and group files.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { resolveInRoot } from './resolve-in-root.ts'

/** A user and group by number. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

const FILE_BYTES_MAX = 4 * 1024 ** 2

/** The owner for `user` (`name`, `uid`, `user:group` in any mix; '' is root); null when a name is unknown. */
export async function findOwner(rootDir: string, user: string): Promise<Owner | null> {
  const [userPart = '', groupPart] = user.split(':')
  const rows = await readRows(rootDir, '/etc/passwd')
  const isNumber = /^[0-9]{1,10}$/.test(userPart)
  const row = rows.find(each => (isNumber ? each[2] === userPart : each[0] === userPart))
  const uid = userPart === '' ? 0 : isNumber ? Number(userPart) : Number(row?.[2] ?? Number.NaN)
  const gid =
    groupPart === undefined || groupPart === ''
      ? Number(row?.[3] ?? 0)
      : /^[0-9]{1,10}$/.test(groupPart)
        ? Number(groupPart)
        : Number(
            (await readRows(rootDir, '/etc/group')).find(each => each[0] === groupPart)?.[2] ?? Number.NaN,
          )
  return isOwnerNumber(uid) && isOwnerNumber(gid) ? { uid, gid } : null
}

function isOwnerNumber(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 0xffff_ffff
}

async function readRows(rootDir: string, path: string): Promise<string[][]> {
  const found = await resolveInRoot(rootDir, path)
  if (found.kind !== 'file') return []
  const file = join(rootDir, found.path)
  if ((await stat(file)).size > FILE_BYTES_MAX) return []
  return (await readFile(file, 'utf8')).split('\n').map(line => line.split(':'))
}
