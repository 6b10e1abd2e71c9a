// Writes src/domains/dicom/dictionary/public.json from the entries of the npm package dcmjs (MIT), which is not a
// dependency: install it anywhere outside the repository and name that folder:
//   node scripts/generate-dicom-dictionary.ts /somewhere/node_modules/dcmjs /usr/share/libdcmtk17/private.dic
// The second file, of an installed DCMTK, tells the tags of vendors (private.json): creator, tag, VR, VM and name.
// The corrections below make names and VRs those that Orthanc's clients see (contracts/orthanc.md §4.10).

import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

interface Entry {
  tag: string
  vr: string
  vm: string
  name: string
}

/** Entries whose name differs from the one that clients of the original see. */
const renamed: Record<string, string> = {
  '00221642': 'NumberOfBscansPerFrame',
  '0040a803': 'NumberOfTableColumns',
  '006862f0': 'ViewOrientationModifierCodeSequence',
  '00701305': 'Plane',
  '00701306': 'PlaneNormal',
  '21000140': 'DestinationAE',
  '213000a0': 'ProposedStudySequence',
  '213000c0': 'OriginalImageSequence',
  '300a0088': 'BeamDosePointDepth',
  '300a0089': 'BeamDosePointEquivalentDepth',
  '300a008a': 'BeamDosePointSSD',
  '300a0131': 'AverageBeamDosePointSourceToExternalContourDistance',
  '40101029': 'ThreatDetectionAlgorithmAndVersion',
}

/** Entries that are retired though the package does not say so. OtherPatientIDs (0010,1000) stays plain. */
const retired = new Set(
  (
    '00082229 00101090 00189324 00400300 00400301 0040030e 00404007 00404020 0040a136 00480200 00480201 00480202 ' +
    '00660023 00660024 00660025 00660029 00701206 30060044 30060045 30060049 300600b9 300a000b 300a0082 300a008d ' +
    '300a008e 300a008f 300a0632 300a0650'
  ).split(' '),
)

/** Entries with another value representation. */
const retyped: Record<string, string> = {
  '00660040': 'OL',
  '00660041': 'OL',
  '00660042': 'OL',
  '00660043': 'OL',
  '006862f0': 'SQ',
  '0070150c': 'UL',
  '00760034': 'SQ',
}

/** Entries of the standard that the package lacks: the real-time video meta group. */
const added = [
  '00020026|UR|1|SourcePresentationAddress',
  '00020027|UR|1|SendingPresentationAddress',
  '00020028|UR|1|ReceivingPresentationAddress',
  '00020031|OB|1|RTVMetaInformationVersion',
  '00020032|UI|1|RTVCommunicationSOPClassUID',
  '00020033|UI|1|RTVCommunicationSOPInstanceUID',
  '00020035|OB|1|RTVSourceIdentifier',
  '00020036|OB|1|RTVFlowIdentifier',
  '00020037|UL|1|RTVFlowRTPSamplingRate',
  '00020038|FD|1|RTVFlowActualFrameDuration',
  '00060001|SQ|1|CurrentFrameFunctionalGroupsSequence',
]

/** Groups that repeat: `60xx0010` stands for the even groups 6000 to 60fe. `R` marks a retired entry. */
const repeating = [
  ...['0010|US|1|OverlayRows', '0011|US|1|OverlayColumns', '0015|IS|1|NumberOfFramesInOverlay'],
  ...['0022|LO|1|OverlayDescription', '0040|CS|1|OverlayType', '0045|LO|1|OverlaySubtype'],
  ...['0050|SS|2|OverlayOrigin', '0051|US|1|ImageFrameOrigin', '0100|US|1|OverlayBitsAllocated'],
  ...['0102|US|1|OverlayBitPosition', '1001|CS|1|OverlayActivationLayer', '1301|IS|1|ROIArea'],
  ...[
    '1302|DS|1|ROIMean',
    '1303|DS|1|ROIStandardDeviation',
    '1500|LO|1|OverlayLabel',
    '3000|ox|1|OverlayData',
  ],
  ...['0012|US|1|R OverlayPlanes', '0052|US|1|R OverlayPlaneOrigin', '0060|CS|1|R OverlayCompressionCode'],
  ...['0061|SH|1|R OverlayCompressionOriginator', '0062|SH|1|R OverlayCompressionLabel'],
  ...['0063|CS|1|R OverlayCompressionDescription', '0066|AT|1-n|R OverlayCompressionStepPointers'],
  ...['0068|US|1|R OverlayRepeatInterval', '0069|US|1|R OverlayBitsGrouped', '0110|CS|1|R OverlayFormat'],
  ...['0200|US|1|R OverlayLocation', '0800|CS|1-n|R OverlayCodeLabel', '0802|US|1|R OverlayNumberOfTables'],
  ...['0803|AT|1-n|R OverlayCodeTableLocation', '0804|US|1|R OverlayBitsForCodeWord'],
  ...[
    '1100|US|1|R OverlayDescriptorGray',
    '1101|US|1|R OverlayDescriptorRed',
    '1102|US|1|R OverlayDescriptorGreen',
  ],
  ...['1103|US|1|R OverlayDescriptorBlue', '1200|US|1-n|R OverlaysGray', '1201|US|1-n|R OverlaysRed'],
  ...['1202|US|1-n|R OverlaysGreen', '1203|US|1-n|R OverlaysBlue', '4000|LT|1|R OverlayComments'],
].map(entry => `60xx${entry}`)
const curves = [
  ...[
    '0005|US|1|CurveDimensions',
    '0010|US|1|NumberOfPoints',
    '0020|CS|1|TypeOfData',
    '0022|LO|1|CurveDescription',
  ],
  ...['0030|SH|1-n|AxisUnits', '0040|SH|1-n|AxisLabels', '0103|US|1|DataValueRepresentation'],
  ...['0104|US|1-n|MinimumCoordinateValue', '0105|US|1-n|MaximumCoordinateValue', '0106|SH|1-n|CurveRange'],
  ...[
    '0110|US|1-n|CurveDataDescriptor',
    '0112|US|1-n|CoordinateStartValue',
    '0114|US|1-n|CoordinateStepValue',
  ],
  ...['1001|CS|1|CurveActivationLayer', '2000|US|1|AudioType', '2002|US|1|AudioSampleFormat'],
  ...[
    '2004|US|1|NumberOfChannels',
    '2006|UL|1|NumberOfSamples',
    '2008|UL|1|SampleRate',
    '200a|UL|1|TotalTime',
  ],
  ...['200c|ox|1|AudioSampleData', '200e|LT|1|AudioComments', '2500|LO|1|CurveLabel'],
  ...[
    '2600|SQ|1|CurveReferencedOverlaySequence',
    '2610|US|1|CurveReferencedOverlayGroup',
    '3000|ox|1|CurveData',
  ],
].map(entry => `50xx${entry.replace(/\|([^|]+)$/, '|R $1')}`)
const pixels = ['7fxx0010|ox|1|R VariablePixelData', '7fxx0011|US|1|R VariableNextDataGroup']

const vrs: Record<string, string> = { lt: 'US', up: 'UL', px: 'ox' }

function main(folder: string | undefined, privateFile: string | undefined): void {
  if (folder === undefined) throw new Error('name the folder of the installed package dcmjs')
  const dcmjs = createRequire(import.meta.url)(join(folder, 'build', 'dcmjs.js'))
  const names = (dcmjs.default ?? dcmjs).data.DicomMetaDictionary.nameMap as Record<string, Entry>
  const lines = new Map<string, string>()
  for (const entry of Object.values(names)) {
    const tag = entry.tag.replace(/[(),]/g, '').toLowerCase()
    if (!/^[0-9a-f]{8}$/.test(tag) || entry.vr === 'na') continue
    const vr = retyped[tag] ?? vrs[entry.vr] ?? entry.vr
    const name = (retired.has(tag) ? 'RETIRED_' : '') + (renamed[tag] ?? entry.name)
    lines.set(tag, `${tag}|${vr}|${entry.vm}|${name}`)
  }
  for (const line of added) lines.set(line.slice(0, 8), line)
  const data = {
    about: 'tag|VR|VM|keyword; generated by scripts/generate-dicom-dictionary.ts from dcmjs (MIT)',
    entries: [...lines.keys()].sort().map(tag => lines.get(tag)),
    repeating: [...repeating, ...curves, ...pixels].map(line => line.replace('|R ', '|RETIRED_')),
  }
  write('public.json', data)
  if (privateFile !== undefined) write('private.json', readPrivate(readFileSync(privateFile, 'utf8')))
}

/** Tags of vendors by creator: `ggggee|VR|VM|name`, where xx stands for any odd group that begins so. */
function readPrivate(text: string): object {
  const creators: Record<string, string[]> = {}
  for (const line of text.split('\n')) {
    const parts = /^\((\w{4})(-o-\w{4})?,"([^"]+)",(\w\w)\)\t(\w\w)\t(\S+)\t(\S+)/.exec(line)
    if (!parts) continue
    const [, group, range, creator, element, vr, name, vm] = parts as unknown as string[]
    const where = (range === undefined ? group! : `${group!.slice(0, 2)}xx`) + element!
    creators[creator!] ??= []
    creators[creator!]!.push(`${where.toLowerCase()}|${vrs[vr!] ?? vr}|${vm}|${name}`)
  }
  return {
    about: 'creator to ggggee|VR|VM|name; generated by scripts/generate-dicom-dictionary.ts',
    creators,
  }
}

function write(name: string, data: object): void {
  const file = new URL(`../src/domains/dicom/dictionary/${name}`, import.meta.url)
  writeFileSync(file, JSON.stringify(data, null, 0).replaceAll('","', '",\n"') + '\n')
}

main(process.argv[2], process.argv[3])
