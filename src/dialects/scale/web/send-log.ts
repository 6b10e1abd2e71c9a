// Log lines of an execution in the three forms that clients ask for by Accept (contracts/scale.md §4.5).

import type { JsonObject } from '../../../core/json.ts'

/** A line of a stream. */
export interface LogLine {
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
}

/** The lines of a stream's bytes. */
export function linesOf(stream: LogLine['stream'], bytes: Uint8Array): LogLine[] {
  const text = new TextDecoder().decode(bytes).replace(/\n$/, '')
  return text === '' ? [] : text.split('\n').map(line => ({ stream, text: line }))
}

/** As plain lines. */
export function plainLog(lines: readonly LogLine[]): string {
  return lines.map(line => `${line.text}\n`).join('')
}

/** As a page for a frame of the user interface. */
export function htmlLog(lines: readonly LogLine[]): string {
  const rows = lines.map(({ stream, text }) => `<div class="${stream}">${escapeHtml(text)}</div>`)
  return `<html><head><style>.stdout {} .stderr {color: red;}</style></head><body>${rows.join('')}</body></html>`
}

/** As an answer of the search engine that the original kept its logs in. */
export function searchLog(lines: readonly LogLine[], facts: { exe: string; at: string }): JsonObject {
  const hits = lines.map(({ stream, text }, index) => ({
    _source: {
      '@timestamp': facts.at,
      scale_order_num: index + 1,
      message: text,
      stream,
      scale_job_exe: facts.exe,
    },
  }))
  return { hits: { total: hits.length, hits } }
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
