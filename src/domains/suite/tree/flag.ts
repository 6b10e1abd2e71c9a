// The flags that travel beside a node's state, as bits of one integer. Names and order are those clients see.

export const flagNames = [
  'force_aborted',
  'user_edit',
  'task_aborted',
  'edit_failed',
  'ecfcmd_failed',
  'no_script',
  'killed',
  'late',
  'message',
  'by_rule',
  'queue_limit',
  'task_waiting',
  'locked',
  'zombie',
  'no_reque',
  'archived',
  'restored',
  'threshold',
  'sigterm',
  'log_error',
  'checkpt_error',
  'killcmd_failed',
  'statuscmd_failed',
  'status',
  'remote_error',
] as const
export type FlagName = (typeof flagNames)[number]

const bits = new Map<string, number>(flagNames.map((name, index) => [name, 1 << index]))

/** The bit of one flag. */
export function flagBit(name: FlagName): number {
  return bits.get(name)!
}

/** All set flags joined with commas, in the order in which clients see them; '' when none is set. */
export function showFlags(flags: number): string {
  if (flags === 0) return ''
  return flagNames.filter((_, index) => flags & (1 << index)).join(',')
}

/** The bits of a comma list of flag names; unknown names are left out. */
export function readFlags(text: string): number {
  let flags = 0
  for (const name of text.split(',')) flags |= bits.get(name) ?? 0
  return flags
}
