// Which executor runs an image (contracts/scale.md §4.4): the built-in shell, programs of this machine that the
// operator registered, and everything else as a container.

import type { ScaleSettings } from '../settings.ts'

/** How an image is run. `argv` begins the command line of a program of this machine. */
export type ImagePlan =
  | { readonly executor: 'function'; readonly kind: 'scale.noop' }
  | {
      readonly executor: 'process'
      readonly kind: 'scale.job'
      readonly run: 'shell'
      readonly argv: readonly string[]
    }
  | {
      readonly executor: 'process'
      readonly kind: 'scale.job'
      readonly run: 'program'
      readonly argv: readonly string[]
    }
  | {
      readonly executor: 'container'
      readonly kind: 'scale.container'
      readonly run: 'container'
      readonly image: string
    }

/** Whether this image is the one that does nothing, and therefore has no directories either. */
export function doesNothing(image: string): boolean {
  return /^local\/noop(:[^:/]*)?$/.test(image)
}

/** The plan for an image name; a text says why it cannot be run at all. */
export function planImage(image: string, settings: ScaleSettings): ImagePlan | string {
  if (!image.startsWith('local/'))
    return { executor: 'container', kind: 'scale.container', run: 'container', image }
  const name = image.slice('local/'.length).replace(/:[^:/]*$/, '')
  if (name === 'shell')
    return { executor: 'process', kind: 'scale.job', run: 'shell', argv: ['/bin/sh', '-c'] }
  // Does nothing and is done at once: for measuring, and for recipes that only need a place to meet.
  if (name === 'noop') return { executor: 'function', kind: 'scale.noop' }
  const argv = settings.images.get(name)
  if (!argv) return `the image ${image} is not registered here: name its program in scale.images.${name}`
  return { executor: 'process', kind: 'scale.job', run: 'program', argv }
}
