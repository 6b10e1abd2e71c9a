// Guesses a file's media type from its name, for files that come without one.

const byExtension: Readonly<Record<string, string>> = {
  bmp: 'image/bmp',
  bz2: 'application/x-bzip2',
  csv: 'text/csv',
  dcm: 'application/dicom',
  geojson: 'application/vnd.geo+json',
  gif: 'image/gif',
  gz: 'application/gzip',
  h5: 'application/x-hdf',
  htm: 'text/html',
  html: 'text/html',
  jp2: 'image/jp2',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  json: 'application/json',
  kml: 'application/vnd.google-earth.kml+xml',
  kmz: 'application/vnd.google-earth.kmz',
  log: 'text/plain',
  mp4: 'video/mp4',
  mpg: 'video/mpeg',
  nc: 'application/x-netcdf',
  nitf: 'image/x-nitf',
  ntf: 'image/x-nitf',
  pdf: 'application/pdf',
  png: 'image/png',
  sh: 'application/x-sh',
  svg: 'image/svg+xml',
  tar: 'application/x-tar',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  txt: 'text/plain',
  vrt: 'image/vnd.gdal.vrt',
  webp: 'image/webp',
  xml: 'application/xml',
  zip: 'application/zip',
}

/** The media type of a file with this name. */
export function guessMediaType(fileName: string): string {
  const dot = fileName.lastIndexOf('.')
  const extension = dot < 0 ? '' : fileName.slice(dot + 1).toLowerCase()
  return Object.hasOwn(byExtension, extension) ? byExtension[extension]! : 'application/octet-stream'
}
