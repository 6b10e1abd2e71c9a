// Small images with the machine's own Open MPI or MPICH in them, and a program that adds up ranks, for a real mpirun.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Item, tarOf } from '../../src/executors/container/images/archive-fixture.ts'

const libraries = '/usr/lib/x86_64-linux-gnu'
/** Modules that want more than this are for hardware that is not here. */
const wanted =
  /lib(open-rte|open-pal|mpi|pmix|munge|event\w*|c|z|hwloc|m|udev|cap|gcc_s|pthread|dl)[-.\d]*\.so|ld-linux|linux-vdso/

interface Flavour {
  /** What is said where it is not. */
  readonly missing: string
  /** The first of them is what `mpirun` is in the image. */
  readonly programs: readonly string[]
  readonly library: string
  /** How C names what the test's program needs: the headers are in yet another package. */
  readonly names: string
}

export type FlavourName = 'openmpi' | 'mpich'

const flavours: Readonly<Record<FlavourName, Flavour>> = {
  openmpi: {
    missing: 'Open MPI is not installed (Debian: openmpi-bin)',
    programs: ['/usr/bin/orterun', '/usr/bin/orted'],
    library: join(libraries, 'libmpi.so.40'),
    names: `struct comm; struct type; struct op;
typedef struct comm *comm_t; typedef struct type *type_t; typedef struct op *op_t;
extern struct comm ompi_mpi_comm_world; extern struct type ompi_mpi_int; extern struct op ompi_mpi_op_sum;
#define WORLD (&ompi_mpi_comm_world)
#define INT (&ompi_mpi_int)
#define SUM (&ompi_mpi_op_sum)
`,
  },
  // Intel MPI has the same names and numbers, by agreement of the two.
  mpich: {
    missing: 'MPICH is not installed (Debian: mpich)',
    programs: ['/usr/bin/mpiexec.hydra', '/usr/bin/hydra_pmi_proxy'],
    library: join(libraries, 'libmpich.so.12'),
    names: `typedef int comm_t; typedef int type_t; typedef int op_t;
#define WORLD 0x44000000
#define INT 0x4c000405
#define SUM 0x58000003
`,
  },
}

/** Why there can be no such image here; undefined when there can. */
export function missingForMpi(name: FlavourName = 'openmpi'): string | undefined {
  const { missing, programs, library } = flavours[name]
  if (![...programs, library].every(existsSync)) return missing
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'there is no C compiler (Debian: gcc)'
}

/** The image as a tar: busybox, the flavour's mpirun, and `/usr/bin/sum`. `dir` is a folder to work in. */
export async function mpiTar(dir: string, name: FlavourName = 'openmpi'): Promise<Buffer> {
  const { programs, library, names } = flavours[name]
  const sum = join(dir, `sum-${name}`)
  await writeFile(`${sum}.c`, names + sumSource)
  execFileSync('cc', [`${sum}.c`, '-o', sum, library])
  const more = name === 'openmpi' ? await openmpiFiles() : { modules: [], texts: [] }
  const needed = new Set([...programs, ...more.modules, sum].flatMap(file => needsOf(file).filter(isPath)))
  const items: Item[] = [
    ['tmp/', {}],
    ['etc/passwd', 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n'],
    ['etc/hosts', ''],
    ['etc/resolv.conf', ''],
    ['bin/sh', { type: 'symlink', linkname: 'busybox' }],
    ['bin/sleep', { type: 'symlink', linkname: 'busybox' }],
    ['bin/busybox', await readFile(await realpath('/bin/busybox'))],
    ['usr/bin/mpirun', { type: 'symlink', linkname: programs[0]!.slice('/usr/bin/'.length) }],
    ['usr/bin/sum', await readFile(sum)],
  ]
  for (const file of [...programs, ...more.modules, ...needed, ...more.texts])
    items.push([file.slice(1), await readFile(await realpath(file))])
  return tarOf(items)
}

/** What Open MPI looks for while it runs: modules, and the texts of its complaints. */
async function openmpiFiles(): Promise<{ modules: string[]; texts: string[] }> {
  const modules: string[] = []
  for (const folder of ['openmpi/lib/openmpi3', 'pmix2/lib/pmix'].map(name => join(libraries, name)))
    for (const name of await readdir(folder))
      if (name.endsWith('.so') && needsOf(join(folder, name)).every(need => wanted.test(need)))
        modules.push(join(folder, name))
  const texts = (await readdir('/usr/share/openmpi')).filter(name => name.startsWith('help-'))
  return { modules, texts: texts.map(name => join('/usr/share/openmpi', name)) }
}

/** The libraries of a program or module: paths where they were found, names where not. */
function needsOf(file: string): string[] {
  const lines = execFileSync('ldd', [file], { encoding: 'utf8' }).trim().split('\n')
  return lines.map(line => /=> (\/\S+)/.exec(line)?.[1] ?? line.trim().split(' ')[0] ?? '')
}

function isPath(need: string): boolean {
  return need.startsWith('/')
}

const sumSource = `#include <stdio.h>
int MPI_Init(int *, char ***); int MPI_Finalize(void); int MPI_Abort(comm_t, int);
int MPI_Comm_rank(comm_t, int *); int MPI_Comm_size(comm_t, int *);
int MPI_Allreduce(const void *, void *, int, type_t, op_t, comm_t);
int main(int argc, char **argv) {
  int rank, size, sum;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(WORLD, &rank);
  MPI_Comm_size(WORLD, &size);
  MPI_Allreduce(&rank, &sum, 1, INT, SUM, WORLD);
  if (rank == 0) printf("%d processes, ranks add up to %d\\n", size, sum);
  fflush(stdout);
  if (argc > 1 && rank == 1) MPI_Abort(WORLD, 9);
  MPI_Finalize();
  return 0;
}
`
