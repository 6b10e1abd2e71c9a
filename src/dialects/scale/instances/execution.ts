// Executions have numbers of their own in this API: made from the job and the try, so that nothing has to be stored.

const perJob = 10_000

/** The id of a job's k-th execution. */
export function exeIdOf(job: number, number: number): number {
  return job * perJob + number
}

/** The job and try that an execution id stands for. */
export function readExeId(id: number): { job: number; number: number } {
  return { job: Math.floor(id / perJob), number: id % perJob }
}

/** The name of an execution in the words of the cluster the original ran on. */
export function clusterIdOf(job: number, number: number): string {
  return `scale_job_${job}x${number}`
}
