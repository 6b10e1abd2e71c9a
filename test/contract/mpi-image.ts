// A small image with the machine's own Open MPI in it, and a program that adds up ranks, for a real mpirun.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Item, tarOf } from '../../src/executors/container/images/archive-fixture.ts'

const programs = ['/usr/bin/orterun', '/usr/bin/orted']
const libraries = '/usr/lib/x86_64-linux-gnu'
/** Modules that want more than this are for hardware that is not here. */
const wanted =
  /lib(open-rte|open-pal|mpi|pmix|munge|event\w*|c|z|hwloc|m|udev|cap|gcc_s|pthread|dl)[-.\d]*\.so|ld-linux|linux-vdso/

/** Why there can be no such image here; undefined when there can. */
export function missingForMpi(): string | undefined {
  if (!programs.every(existsSync) || !existsSync(join(libraries, 'libmpi.so.40')))
    return 'Open MPI is not installed (Debian: openmpi-bin)'
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'there is no C compiler (Debian: gcc)'
}

/** The image as a tar: busybox, Open MPI, and `/usr/bin/sum`. `dir` is a folder to work in. */
export async function mpiTar(dir: string): Promise<Buffer> {
  const sum = join(dir, 'sum')
  await writeFile(`${sum}.c`, sumSource)
  execFileSync('cc', [`${sum}.c`, '-o', sum, join(libraries, 'libmpi.so.40')])
  const modules: string[] = []
  for (const folder of ['openmpi/lib/openmpi3', 'pmix2/lib/pmix'].map(name => join(libraries, name)))
    for (const name of await readdir(folder))
      if (name.endsWith('.so') && needsOf(join(folder, name)).every(need => wanted.test(need)))
        modules.push(join(folder, name))
  const needed = new Set([...programs, ...modules, sum].flatMap(file => needsOf(file).filter(isPath)))
  const items: Item[] = [
    ['tmp/', {}],
    ['etc/passwd', 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n'],
    ['etc/hosts', ''],
    ['etc/resolv.conf', ''],
    ['bin/sh', { type: 'symlink', linkname: 'busybox' }],
    ['bin/sleep', { type: 'symlink', linkname: 'busybox' }],
    ['bin/busybox', await readFile(await realpath('/bin/busybox'))],
    ['usr/bin/mpirun', { type: 'symlink', linkname: 'orterun' }],
    ['usr/bin/sum', await readFile(sum)],
  ]
  for (const file of [...programs, ...modules, ...needed])
    items.push([file.slice(1), await readFile(await realpath(file))])
  for (const name of await readdir('/usr/share/openmpi'))
    if (name.startsWith('help-'))
      items.push([`usr/share/openmpi/${name}`, await readFile(join('/usr/share/openmpi', name))])
  return tarOf(items)
}

/** The libraries of a program or module: paths where they were found, names where not. */
function needsOf(file: string): string[] {
  const lines = execFileSync('ldd', [file], { encoding: 'utf8' }).trim().split('\n')
  return lines.map(line => /=> (\/\S+)/.exec(line)?.[1] ?? line.trim().split(' ')[0] ?? '')
}

function isPath(need: string): boolean {
  return need.startsWith('/')
}

/** The library's own names are declared by hand: its headers are in yet another package. */
const sumSource = `#include <stdio.h>
struct comm; struct type; struct op;
extern struct comm ompi_mpi_comm_world; extern struct type ompi_mpi_int; extern struct op ompi_mpi_op_sum;
int MPI_Init(int *, char ***); int MPI_Finalize(void); int MPI_Abort(struct comm *, int);
int MPI_Comm_rank(struct comm *, int *); int MPI_Comm_size(struct comm *, int *);
int MPI_Allreduce(const void *, void *, int, struct type *, struct op *, struct comm *);
int main(int argc, char **argv) {
  int rank, size, sum;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(&ompi_mpi_comm_world, &rank);
  MPI_Comm_size(&ompi_mpi_comm_world, &size);
  MPI_Allreduce(&rank, &sum, 1, &ompi_mpi_int, &ompi_mpi_op_sum, &ompi_mpi_comm_world);
  if (rank == 0) printf("%d processes, ranks add up to %d\\n", size, sum);
  fflush(stdout);
  if (argc > 1 && rank == 1) MPI_Abort(&ompi_mpi_comm_world, 9);
  MPI_Finalize();
  return 0;
}
`
