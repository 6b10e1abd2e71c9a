// Instants as the archive's metadata show them: `20260131T235959`, UTC.

export function dicomTime(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '')
}
