// The member `tasks` of a job.

import { splitWords } from '../command-words.ts'
import {
  atLeastOne,
  bad,
  checkFileName,
  has,
  isCount,
  listOr,
  notLonger,
  notMore,
  objectOr,
  onlyKnown,
  textOr,
} from './bad.ts'

const known = new Set([
  'image',
  'runtime',
  'cmd',
  'env',
  'app',
  'workdir',
  'procsPerNode',
  'type',
  'imagePullCredential',
  'imageSha256',
  'stdout',
])
const tasksMax = 1_000
const imageLengthMax = 512
const pathLengthMax = 1_024
/** Some room for mpirun and its options. */
const wordsMax = 9_990
const mpiTypes = new Set(['openmpi', 'mpich', 'intelmpi'])

/** Checks `tasks` of a job description. */
export function checkTasks(job: { [name: string]: unknown }): void {
  if (!has(job, 'tasks')) bad('a job must contain tasks', 'tasks')
  const tasks = listOr(job['tasks'], 'an array of tasks must be provided', 'tasks')
  const cpus = (job['resources'] as { cpus?: unknown }).cpus
  notMore(tasks, tasksMax, 'tasks')
  let ordinary = 0
  for (const entry of tasks) {
    const task = objectOr(entry, 'each task must be defined as a dict', 'tasks')
    checkTask(task, isCount(cpus) ? cpus : undefined)
    if (task['type'] !== 'sidecar') ordinary++
  }
  if (ordinary === 0) bad('a job cannot contain only sidecar tasks', 'tasks')
}

function checkTask(task: { [name: string]: unknown }, cpus: number | undefined): void {
  onlyKnown(task, known, item => `invalid item "${item}" in task`)
  if (!has(task, 'image')) bad('each task must specify a container image', 'image')
  const image = textOr(task['image'], 'the container image must be a string', 'image')
  if (image === '') bad('the container image must not be empty', 'image')
  notLonger(image, imageLengthMax, 'image')
  checkCredential(task)
  if (!has(task, 'runtime')) bad('a container runtime must be defined', 'runtime')
  if (task['runtime'] !== 'udocker' && task['runtime'] !== 'singularity')
    bad('the container runtime must be either udocker or singularity', 'runtime')
  checkEnvironment(task)
  if (has(task, 'app')) {
    if (task['runtime'] !== 'singularity') bad('app is only supported by Singularity', 'app')
    textOr(task['app'], 'app must be a string', 'app')
  }
  if (has(task, 'procsPerNode')) {
    const procs = atLeastOne(
      task['procsPerNode'],
      'number of processes per node must be an integer',
      'number of processes per node must be at least 1',
      'procsPerNode',
    )
    if (cpus !== undefined && procs > cpus)
      bad('number of processes per node must be less than number of CPU cores per node', 'procsPerNode')
  }
  if (has(task, 'cmd')) textOr(task['cmd'], 'cmd must be a string', 'cmd')
  checkType(task)
  if (typeof task['cmd'] === 'string') {
    const words = splitWords(task['cmd'])
    if (!words.ok) bad(`cmd cannot be split into words: ${words.fault}`, 'cmd')
    if (words.words.length > wordsMax) bad(`cmd must not have more than ${wordsMax} words`, 'cmd')
  }
  if (has(task, 'workdir'))
    notLonger(textOr(task['workdir'], 'workdir must be a string', 'workdir'), pathLengthMax, 'workdir')
  if (has(task, 'imageSha256')) {
    const digest = textOr(task['imageSha256'], 'imageSha256 must be a string', 'imageSha256')
    if (!/^((sha256:)?[0-9a-f]{64})?$/i.test(digest))
      bad('imageSha256 must be 64 hexadecimal digits', 'imageSha256')
  }
  if (has(task, 'stdout')) {
    const name = textOr(task['stdout'], 'stdout must be a string', 'stdout')
    if (name === '' || name === '.' || name === '..' || name.includes('/'))
      bad('stdout must be the name of a file in the home directory of the job', 'stdout')
    checkFileName(name, 'stdout')
  }
}

function checkCredential(task: { [name: string]: unknown }): void {
  if (!has(task, 'imagePullCredential')) return
  const words = 'a username and token must be specified in the image pull credential'
  const credential = objectOr(task['imagePullCredential'], words, 'imagePullCredential')
  if (!has(credential, 'username') || !has(credential, 'token')) bad(words, 'imagePullCredential')
  const { username, token } = credential
  const name = textOr(username, 'the username of the image pull credential must be a string', 'username')
  notLonger(name, 1_024, 'username')
  const secret = textOr(token, 'the token of the image pull credential must be a string', 'token')
  notLonger(secret, 65_536, 'token')
}

function checkEnvironment(task: { [name: string]: unknown }): void {
  if (!has(task, 'env')) return
  const env = objectOr(task['env'], 'environment variables must be defined as a dict', 'env')
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name))
      bad(`"${name}" is not a name for an environment variable`, 'env')
    if (typeof value === 'string') textOr(value, '', 'env')
    else if (typeof value === 'object' && value !== null)
      bad(`the value of environment variable "${name}" must be text or a number`, 'env')
  }
}

function checkType(task: { [name: string]: unknown }): void {
  if (!has(task, 'type')) return
  const type = task['type']
  if (type === 'basic' || type === 'sidecar') return
  if (typeof type !== 'string' || !mpiTypes.has(type)) bad('invalid task type', 'type')
  if (!has(task, 'cmd')) bad('A command to execute must be specified for MPI jobs', 'cmd')
  if ((task['cmd'] as string).startsWith('mpirun '))
    bad('it is not necessary to include mpirun in the cmd if an MPI flavour has been specified', 'cmd')
}
