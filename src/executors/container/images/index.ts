// The front door of the image room.
export { ImageError, type ImageErrorCode } from './image-error.ts'
export {
  findImage,
  holdImage,
  type Image,
  type ImageStore,
  listHolds,
  listImages,
  type NamedImage,
  openImageStore,
  type Removal,
  releaseImage,
  removeImage,
} from './image-store.ts'
export { type Imported, type ImportProgress, type ImportRequest, importImage } from './import-image.ts'
export { defaultLimits, type ImageLimits } from './limits.ts'
export { type Resolved, resolveInRoot } from './resolve-in-root.ts'
