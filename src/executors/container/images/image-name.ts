// Names of images: NAME[:TAG], one spelling each, and the file name under which the store keeps it.
import { ImageError } from './image-error.ts'
import { quote } from './tar-reader.ts'

/** Room for the file name's ending within the 255 bytes a file name may have. */
const NAME_LENGTH_MAX = 240
const nameShape = /^[A-Za-z0-9][A-Za-z0-9._-]*(?::[0-9]{1,5}(?=\/))?(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/
const tagShape = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

/** The one spelling of a name: with a tag, without the parts that everyone leaves out. */
export function canonicalName(name: string): string {
  const bad = (why: string) => new ImageError('name', `${quote(name)} is no image name: ${why}`)
  if (name.length > NAME_LENGTH_MAX - 7) throw bad(`longer than ${NAME_LENGTH_MAX - 7} characters`)
  const slash = name.lastIndexOf('/')
  const colon = name.indexOf(':', slash + 1)
  const repository = colon === -1 ? name : name.slice(0, colon)
  const tag = colon === -1 ? 'latest' : name.slice(colon + 1)
  if (repository === 'sha256') throw bad('it would be taken for a digest')
  if (!nameShape.test(repository))
    throw bad('it must look like NAME or NAME:TAG, of letters, digits, ". _ - /"')
  if (!tagShape.test(tag)) throw bad('the tag may hold letters, digits, ". _ -"')
  const short = repository.replace(/^docker\.io\//, '').replace(/^library\/(?=[^/]+$)/, '')
  return `${short}:${tag}`
}

/** The file that holds a canonical name: a slash becomes a plus, which no name holds. */
export function nameFile(canonical: string): string {
  return `${canonical.replaceAll('/', '+')}.json`
}
