// How a Singularity image wants to be run: by files at known places in it, instead of a configuration beside it.
import { resolveInRoot } from './resolve-in-root.ts'

const RUNSCRIPT = '/.singularity.d/runscript'
const ENVIRONMENT = '/.singularity.d/env'

/** What takes the place of Singularity's own start: it reads the image's variables, and becomes the command. */
const launcher = [
  '/bin/sh',
  '-c',
  `for f in ${ENVIRONMENT}/*.sh; do [ ! -f "$f" ] || . "$f"; done; exec "$@"`,
  'sh',
]

/** What an unpacked Singularity image says. One that is only a root file system says nothing. */
export async function readSingularity(
  rootDir: string,
): Promise<{ config: { entrypoint?: string[] }; launcher: readonly string[] }> {
  const kindOf = async (path: string) => (await resolveInRoot(rootDir, path)).kind
  const hasShell = (await kindOf('/bin/sh')) === 'file'
  const config = (await kindOf(RUNSCRIPT)) === 'file' ? { entrypoint: [RUNSCRIPT] } : {}
  return { config, launcher: hasShell && (await kindOf(ENVIRONMENT)) === 'directory' ? launcher : [] }
}
