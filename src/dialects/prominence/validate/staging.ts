// What a job brings in and takes out: artifacts, outputFiles, outputDirs, inputs, storage.

import {
  bad,
  booleanOr,
  checkFileName,
  has,
  listOr,
  notLonger,
  notMore,
  objectOr,
  onlyKnown,
  staysBelow,
  textOr,
} from './bad.ts'

const artifactItems = new Set(['url', 'mountpoint', 'executable'])
/** What runs jobs takes no more and nothing longer. */
const [inputsMax, entriesMax, mountpointsMax] = [1_000, 5_000, 99]
const [urlLengthMax, pathLengthMax, mountLengthMax] = [8_192, 4_096, 1_024]
const inputItems = new Set(['filename', 'content', 'executable'])

/** Checks everything of a job that moves files, in the contract's order. */
export function checkStaging(job: { [name: string]: unknown }): void {
  checkArtifacts(job)
  checkOutputs(job, 'outputFiles')
  checkOutputs(job, 'outputDirs')
  checkInputs(job)
  checkStorage(job)
}

function checkArtifacts(job: { [name: string]: unknown }): void {
  if (!has(job, 'artifacts')) return
  const words = 'an array of artifacts must be provided'
  let mountpoints = 0
  const artifacts = listOr(job['artifacts'], words, 'artifacts')
  notMore(artifacts, entriesMax, 'artifacts')
  for (const entry of artifacts) {
    const artifact = objectOr(entry, 'each artifact must be defined as a dict', 'artifacts')
    onlyKnown(artifact, artifactItems, item => `invalid item ${item} in artifact`)
    if (!has(artifact, 'url')) bad('an artifact must contain a URL', 'url')
    notLonger(textOr(artifact['url'], 'the URL of an artifact must be a string', 'url'), urlLengthMax, 'url')
    if (has(artifact, 'mountpoint')) {
      checkMountpoint(artifact['mountpoint'])
      if (++mountpoints > mountpointsMax)
        bad(`artifacts must not have more than ${mountpointsMax} mountpoints`, 'mountpoint')
    }
    booleanOr(artifact, 'executable')
  }
}

/** `DIR:/ABS`: a folder of the home directory, seen at an absolute path as well. */
function checkMountpoint(value: unknown): void {
  const mountpoint = textOr(value, 'invalid mountpoint for artifact', 'mountpoint')
  const colon = mountpoint.indexOf(':')
  if (colon < 0) bad('invalid mountpoint for artifact', 'mountpoint')
  const source = mountpoint.slice(0, colon)
  const target = mountpoint.slice(colon + 1)
  if (source === '' || source === '.' || source === '..' || source.includes('/'))
    bad('invalid source in mountpoint for artifact', 'mountpoint')
  if (!target.startsWith('/')) bad('the mountpoint for an artifact must be an absolute path', 'mountpoint')
  if (!isMountable(target)) bad('invalid mountpoint for artifact', 'mountpoint')
  notLonger(source, 255, 'mountpoint')
  notLonger(target, mountLengthMax, 'mountpoint')
}

/** Not the root, nothing that climbs, and nothing of what every task has anyway. */
function isMountable(target: string): boolean {
  const names = target.split('/').filter(name => name !== '' && name !== '.')
  if (names.length === 0 || names.includes('..') || target.includes(':')) return false
  if (['proc', 'dev', 'sys', 'tmp'].includes(names[0]!)) return false
  return names[0] !== 'home' || (names.length > 1 && names[1] !== 'user')
}

function checkOutputs(job: { [name: string]: unknown }, member: 'outputFiles' | 'outputDirs'): void {
  if (!has(job, member)) return
  const names = listOr(job[member], `an array of ${member} must be provided`, member)
  notMore(names, entriesMax, member)
  for (const name of names) {
    if (typeof name !== 'string') bad(`${member} must be a list of strings`, member)
    textOr(name, '', member)
    if (!staysBelow(name))
      bad(`${member} must name things below the home directory of the job: "${name}"`, member)
    notLonger(name, pathLengthMax, member)
  }
}

function checkInputs(job: { [name: string]: unknown }): void {
  if (!has(job, 'inputs')) return
  const inputs = listOr(job['inputs'], 'an array of inputs must be provided', 'inputs')
  notMore(inputs, inputsMax, 'inputs')
  for (const entry of inputs) {
    const input = objectOr(entry, 'each input must be defined as a dict', 'inputs')
    onlyKnown(input, inputItems, item => `invalid item ${item} in input`)
    if (!has(input, 'filename')) bad('each input must contain a filename', 'filename')
    if (!has(input, 'content')) bad('each input must contain base64 encoded content', 'content')
    const filename = textOr(input['filename'], 'the filename of an input must be a string', 'filename')
    const base = filename.slice(filename.lastIndexOf('/') + 1)
    if (base === '' || base === '.' || base === '..') bad(`"${filename}" does not name a file`, 'filename')
    checkFileName(base, 'filename')
    const content = textOr(input['content'], 'the content of an input must be a string', 'content')
    // Encoders that break lines are common; anything else outside the alphabet is a mistake worth telling.
    const packed = content.replace(/\s+/g, '')
    if (packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(packed))
      bad(`the content of input "${filename}" is not valid base64`, 'content')
    booleanOr(input, 'executable')
  }
}

function checkStorage(job: { [name: string]: unknown }): void {
  if (!has(job, 'storage')) return
  const storage = objectOr(job['storage'], 'storage must be defined as a dict', 'storage')
  if (!has(storage, 'type')) bad('storage type must be defined', 'type')
  if (storage['type'] !== 'onedata') bad('storage type must be onedata', 'type')
  if (!has(storage, 'mountpoint')) bad('a mount point must be defined', 'mountpoint')
  const mountpoint = textOr(storage['mountpoint'], 'the mountpoint must be an absolute path', 'mountpoint')
  if (mountpoint !== '' && (!mountpoint.startsWith('/') || mountpoint.split('/').includes('..')))
    bad('the mountpoint must be an absolute path', 'mountpoint')
  notLonger(mountpoint, mountLengthMax, 'mountpoint')
  if (has(storage, 'default') && typeof storage['default'] !== 'boolean')
    bad('default must be either true or false', 'default')
  if (has(storage, 'directory')) {
    const directory = textOr(storage['directory'], 'the storage directory must be a string', 'directory')
    notLonger(directory, mountLengthMax, 'directory')
    if (directory.split('/').includes('..')) bad('the storage directory must not contain ".."', 'directory')
  }
  if (!has(storage, 'onedata')) bad('OneData storage details must be defined', 'onedata')
  const onedata = objectOr(storage['onedata'], 'OneData storage details must be defined', 'onedata')
  if (!has(onedata, 'provider')) bad('OneData provider must be defined', 'provider')
  if (!has(onedata, 'token')) bad('OneData token must be defined', 'token')
  const provider = textOr(onedata['provider'], 'the OneData provider must be a string', 'provider')
  notLonger(provider, 255, 'provider')
  textOr(onedata['token'], 'the OneData token must be a string', 'token')
}
