// An image that a job needs and that cannot be had.

/** An image that the store does not have. */
export class ImageMissing extends Error {}
