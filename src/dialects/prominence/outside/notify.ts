// The work of one notification, run on a worker thread: a mail, or a POST to a web address. A failure is thrown; the
// engine tries again.

import type { Json } from '../../../core/json.ts'
import type { WorkTools } from '../../../core/work.ts'
import { addressRules } from '../../../http/outgoing/address-rules.ts'
import { openUrl } from '../../../http/outgoing/open-url.ts'
import { type MailServer, sendMail } from './smtp.ts'

export interface Notice {
  readonly type: 'email' | 'webhook'
  /** A mail address or a URL. */
  readonly to: string
  readonly event: string
  readonly id: number
  readonly name: string
  readonly status: string
  /** Epoch ms. */
  readonly endedAt: number
  /** What a receiver can tell repeated notices of one end by. */
  readonly key: string
  readonly allow: readonly string[]
  readonly mailServer?: MailServer & { readonly from: string }
}

/** Sends one notice. */
export async function notify(input: Json, tools: Pick<WorkTools, 'signal'>): Promise<void> {
  const notice = input as unknown as Notice
  if (notice.type === 'email') await mail(notice)
  else await post(notice, tools.signal)
}

async function mail(notice: Notice): Promise<void> {
  const { mailServer, event, id, name, status, endedAt, key, to } = notice
  if (mailServer === undefined) throw new Error('no mail server is configured')
  const what = event === 'workflowFinished' ? 'Workflow' : 'Job'
  await sendMail(mailServer, {
    from: mailServer.from,
    to,
    subject: `${what} ${id}${name === '' ? '' : ` (${name})`}: ${status}`,
    text: `${what} ${id}${name === '' ? '' : ` with the name ${name}`} ended ${new Date(endedAt).toISOString()}.\nStatus: ${status}\n`,
    date: new Date(endedAt),
    messageId: `${key}@switchyard`,
  })
}

async function post(
  { to, event, id, name, status, endedAt, key, allow }: Notice,
  signal: AbortSignal,
): Promise<void> {
  const answer = await openUrl(to, {
    rules: addressRules(allow),
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key, 'user-agent': 'switchyard' },
    body: JSON.stringify({ event, id, name, status, endTime: Math.floor(endedAt / 1000) }),
    signal,
  })
  answer.destroy()
  const code = answer.statusCode ?? 0
  if (code < 200 || code > 299) throw new Error(`${new URL(to).host} answered ${code}`)
}

export default notify
