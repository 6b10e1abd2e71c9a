// MPI tasks: their command runs under the image's own mpirun, with processes for all nodes of the job. The nodes are
// shares of one machine, so mpirun is told to start all of them here.

import type { TaskDocument } from './document.ts'
import type { Grant } from './resources.ts'

/** For every flavour: what they are built on looks for hardware in a /sys that a sandbox has not, and complains. */
const quiet = {
  HWLOC_HIDE_ERRORS: '2',
  // It would write its complaints into the job's stdout, between the results.
  UCX_LOG_LEVEL: 'fatal',
}

/** Variables for each flavour. A task's own win over them. */
const flavours: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  openmpi: {
    // It counts cores, and refuses more processes than it finds; what may be used was decided when the job started.
    OMPI_MCA_rmaps_base_oversubscribe: '1',
    PRTE_MCA_rmaps_default_mapping_policy: ':oversubscribe',
    // Bound to cores, two jobs would share the first ones and leave the others idle.
    OMPI_MCA_hwloc_base_binding_policy: 'none',
    PRTE_MCA_hwloc_default_binding_policy: 'none',
    // It wants to know how to reach other machines, also where there are none: images without ssh would fail.
    OMPI_MCA_plm_rsh_agent: 'sh',
    PRTE_MCA_plm_ssh_agent: 'sh',
    ...quiet,
  },
  mpich: { HYDRA_LAUNCHER: 'fork', ...quiet },
  intelmpi: { I_MPI_HYDRA_BOOTSTRAP: 'fork', I_MPI_PIN: 'off', ...quiet },
}

/** Whether a task is one for mpirun. */
export function isMpi({ type }: TaskDocument): boolean {
  return type !== undefined && Object.hasOwn(flavours, type)
}

/** What mpirun finds in its environment unless the task says otherwise. */
export function mpiVariables({ type }: TaskDocument): Readonly<Record<string, string>> {
  return (type === undefined ? undefined : flavours[type]) ?? {}
}

/** The command under mpirun: nodes x (procsPerNode or cpus) processes. */
export function underMpirun(task: TaskDocument, words: readonly string[], grant: Grant): string[] {
  return ['mpirun', '-np', String(grant.nodes * (task.procsPerNode ?? grant.cpus)), ...words]
}
