// Installs the Debian packages that the demo, the tests or the benchmarks use, where we are root on Debian. Elsewhere
// it says what is missing; the tests that need them skip with that reason.

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'

/** Each package with a program by which we know that it is there, and what uses it. */
const packages: readonly { name: string; program: string; uses: readonly string[] }[] = [
  { name: 'bubblewrap', program: 'bwrap', uses: ['demo', 'test', 'bench'] },
  { name: 'busybox-static', program: 'busybox', uses: ['demo', 'test', 'bench'] },
  { name: 'time', program: 'time', uses: ['demo', 'test', 'bench'] },
  { name: 'curl', program: 'curl', uses: ['test'] },
  { name: 'unzip', program: 'unzip', uses: ['test'] },
  { name: 'podman', program: 'podman', uses: ['test'] },
  { name: 'runc', program: 'runc', uses: ['test'] },
  { name: 'squashfs-tools', program: 'mksquashfs', uses: ['test'] },
  { name: 'openmpi-bin', program: 'orterun', uses: ['test'] },
  { name: 'mpich', program: 'mpiexec.hydra', uses: ['test'] },
  { name: 'dcmtk', program: 'dcmdump', uses: ['test', 'bench'] },
  { name: 'orthanc', program: 'Orthanc', uses: ['test', 'bench'] },
  { name: 'ecflow-server', program: 'ecflow_server', uses: ['test', 'bench'] },
  { name: 'ecflow-client', program: 'ecflow_client', uses: ['test', 'bench'] },
  { name: 'gdal-bin', program: 'gdal_translate', uses: ['test', 'bench'] },
  { name: 'netcdf-bin', program: 'ncdump', uses: ['test'] },
  { name: 'chromium', program: 'chromium', uses: ['test'] },
  { name: 'redis-server', program: 'redis-server', uses: ['bench'] },
  { name: 'wrk', program: 'wrk', uses: ['bench'] },
]

const { values } = parseArgs({ options: { for: { type: 'string', default: 'test' } } })
const missing = packages.filter(it => it.uses.includes(values.for) && !hasProgram(it.program))
if (missing.length > 0) {
  const names = missing.map(it => it.name)
  if (canInstall()) install(names)
  else console.log(`not installed here, and what needs them is skipped: ${names.join(' ')}`)
}

function hasProgram(name: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false // Not in this folder.
    }
  })
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && hasProgram('apt-get')
}

function install(names: readonly string[]): void {
  console.log(`installing ${names.join(' ')}`)
  // Servers among them are for the tests to start: Debian would start them at once.
  const policy = '/usr/sbin/policy-rc.d'
  const isOurs = !existsSync(policy)
  if (isOurs) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const options = {
      stdio: ['ignore', 'ignore', 'inherit'] as const,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }
    spawnSync('apt-get', ['-qq', 'update'], { ...options, stdio: ['ignore', 'ignore', 'inherit'] })
    const { status } = spawnSync('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...names], {
      ...options,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    if (status !== 0) console.log('apt-get could not install all of them; what needs the rest is skipped')
  } finally {
    if (isOurs) rmSync(policy, { force: true })
  }
}
