// Makes a small container image on the spot: a root file system of the machine's own busybox-static, as a tar that
// `switchyard image import` takes. No registry is needed.

import { spawnSync } from 'node:child_process'
import { createWriteStream, existsSync, readFileSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'

const places = ['/bin/busybox', '/usr/bin/busybox']

/** Where the machine's static busybox is; undefined when it has none. */
export function findBusybox(): string | undefined {
  return places.find(place => existsSync(place))
}

/** Writes the image to a file. */
export async function writeBusyboxImage(file: string): Promise<void> {
  const busybox = findBusybox()
  if (busybox === undefined) throw new Error('busybox is not installed (Debian package busybox-static)')
  const applets = spawnSync(busybox, ['--list'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(name => name !== '' && name !== 'busybox')
  const tar = pack()
  for (const name of [
    'bin',
    'etc',
    'tmp',
    'home',
    'home/user',
    'dev',
    'proc',
    'sys',
    'mnt',
    'usr',
    'usr/bin',
  ]) {
    tar.entry({ name: `${name}/`, type: 'directory', mode: name === 'tmp' ? 0o1777 : 0o755 })
  }
  tar.entry({ name: 'bin/busybox', mode: 0o755 }, readFileSync(busybox))
  for (const name of applets) tar.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' })
  tar.entry({ name: 'usr/bin/env', type: 'symlink', linkname: '../../bin/env' })
  tar.entry({ name: 'etc/passwd' }, 'root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n')
  tar.entry({ name: 'etc/group' }, 'root:x:0:\nuser:x:1000:\n')
  tar.finalize()
  await pipeline(tar, createWriteStream(file))
}
