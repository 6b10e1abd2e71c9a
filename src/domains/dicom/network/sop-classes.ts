// The services that associations are about, by UID.

import table from './sop-classes.json' with { type: 'json' }

export const sopClasses = {
  verification: '1.2.840.10008.1.1',
  commitment: '1.2.840.10008.1.20.1',
  patientFind: '1.2.840.10008.5.1.4.1.2.1.1',
  patientMove: '1.2.840.10008.5.1.4.1.2.1.2',
  patientGet: '1.2.840.10008.5.1.4.1.2.1.3',
  studyFind: '1.2.840.10008.5.1.4.1.2.2.1',
  studyMove: '1.2.840.10008.5.1.4.1.2.2.2',
  studyGet: '1.2.840.10008.5.1.4.1.2.2.3',
  worklistFind: '1.2.840.10008.5.1.4.31',
} as const

/** The one instance that storage commitment is asked of: DICOM PS3.4 annex J. */
export const commitmentInstance = '1.2.840.10008.1.20.1.1'

/** Classes of instances that are taken from anybody. */
export const storageClasses: ReadonlySet<string> = new Set(table.storage)

const queries: ReadonlySet<string> = new Set(Object.values(sopClasses))

/** Whether a class is one of services, not of instances. */
export function isService(sopClass: string): boolean {
  return queries.has(sopClass)
}
