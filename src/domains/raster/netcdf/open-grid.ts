// Opens a file of grids by what its first bytes say it is.

import { closeSync, openSync, readSync } from 'node:fs'
import { openClassic } from './classic-reader.ts'
import type { GridFile } from './grid-file.ts'

/** Opens a NetCDF file (classic or NetCDF-4) or a GeoTIFF; throws for anything else. */
export async function openGrid(path: string): Promise<GridFile> {
  const head = firstBytes(path)
  if (head.startsWith('CDF')) return openClassic(path)
  if (head.startsWith('\x89HDF')) return (await import('./netcdf4.ts')).openNetcdf4(path)
  if (/^(II[*+]\0|MM\0[*+])/.test(head)) return (await import('./geotiff.ts')).openGeotiff(path)
  throw new Error('the file is neither NetCDF nor GeoTIFF')
}

function firstBytes(path: string): string {
  const fd = openSync(path, 'r')
  try {
    const head = Buffer.alloc(8)
    const got = readSync(fd, head, 0, 8, 0)
    return head.toString('latin1', 0, got)
  } finally {
    closeSync(fd)
  }
}
