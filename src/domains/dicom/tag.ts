// DICOM tags as numbers (group × 65 536 + element), and the ways in which people write them.

/** A tag as one number: 0x00100010 is (0010,0010). */
export type Tag = number

/** `gggg,eeee`, lower case: the form of JSON answers. */
export function tagText(tag: Tag): string {
  const hex = tag.toString(16).padStart(8, '0')
  return `${hex.slice(0, 4)},${hex.slice(4)}`
}

/** Reads `gggg,eeee`, `gggg-eeee` or `ggggeeee`; undefined for anything else, keywords included. */
export function tagFromHex(text: string): Tag | undefined {
  if (text.length === 8) return /^[0-9a-fA-F]{8}$/.test(text) ? Number.parseInt(text, 16) : undefined
  if (text.length !== 9 || !/^[0-9a-fA-F]{4}[,-][0-9a-fA-F]{4}$/.test(text)) return undefined
  return Number.parseInt(text.slice(0, 4) + text.slice(5), 16)
}

/** The first half of a tag. */
export function groupOf(tag: Tag): number {
  return Math.floor(tag / 0x10000)
}

/** The second half of a tag. */
export function elementOf(tag: Tag): number {
  return tag % 0x10000
}

/** Whether a tag belongs to a manufacturer: those have odd groups. */
export function isPrivate(tag: Tag): boolean {
  return groupOf(tag) % 2 === 1
}

/** Whether it reserves a block of private elements for a creator: (odd,0010) to (odd,00ff). */
export function isPrivateCreator(tag: Tag): boolean {
  const element = elementOf(tag)
  return isPrivate(tag) && element >= 0x10 && element <= 0xff
}

/** The element that names the creator of a private one: (gggg,00xx) for (gggg,xxyy). */
export function creatorTagOf(tag: Tag): Tag {
  return groupOf(tag) * 0x10000 + Math.floor(elementOf(tag) / 0x100)
}

/** Tags that code has to name. */
export const tags = {
  MetaGroupLength: 0x00020000,
  MetaVersion: 0x00020001,
  MediaStorageSOPClassUID: 0x00020002,
  MediaStorageSOPInstanceUID: 0x00020003,
  TransferSyntaxUID: 0x00020010,
  ImplementationClassUID: 0x00020012,
  ImplementationVersionName: 0x00020013,
  SpecificCharacterSet: 0x00080005,
  ImageType: 0x00080008,
  InstanceCreationDate: 0x00080012,
  InstanceCreationTime: 0x00080013,
  SOPClassUID: 0x00080016,
  SOPInstanceUID: 0x00080018,
  StudyDate: 0x00080020,
  SeriesDate: 0x00080021,
  AcquisitionDate: 0x00080022,
  ContentDate: 0x00080023,
  StudyTime: 0x00080030,
  SeriesTime: 0x00080031,
  AcquisitionTime: 0x00080032,
  ContentTime: 0x00080033,
  AccessionNumber: 0x00080050,
  ModalitiesInStudy: 0x00080061,
  Modality: 0x00080060,
  ConversionType: 0x00080064,
  StudyDescription: 0x00081030,
  SeriesDescription: 0x0008103e,
  PatientName: 0x00100010,
  PatientID: 0x00100020,
  PatientIdentityRemoved: 0x00120062,
  DeidentificationMethod: 0x00120063,
  StudyInstanceUID: 0x0020000d,
  SeriesInstanceUID: 0x0020000e,
  StudyID: 0x00200010,
  SeriesNumber: 0x00200011,
  InstanceNumber: 0x00200013,
  NumberOfTemporalPositions: 0x00200105,
  ImagesInAcquisition: 0x00201002,
  SamplesPerPixel: 0x00280002,
  PhotometricInterpretation: 0x00280004,
  PlanarConfiguration: 0x00280006,
  NumberOfFrames: 0x00280008,
  Rows: 0x00280010,
  Columns: 0x00280011,
  BitsAllocated: 0x00280100,
  BitsStored: 0x00280101,
  HighBit: 0x00280102,
  PixelRepresentation: 0x00280103,
  LossyImageCompression: 0x00282110,
  EncapsulatedDocument: 0x00420011,
  MIMETypeOfEncapsulatedDocument: 0x00420012,
  NumberOfSlices: 0x00540081,
  NumberOfTimeSlices: 0x00540101,
  CardiacNumberOfImages: 0x00181090,
  ImageIndex: 0x00541330,
  PixelData: 0x7fe00010,
  DataSetTrailingPadding: 0xfffcfffc,
  Item: 0xfffee000,
  ItemEnd: 0xfffee00d,
  SequenceEnd: 0xfffee0dd,
} as const satisfies Record<string, Tag>
