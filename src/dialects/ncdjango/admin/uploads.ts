// Files on their way in and out: a form's file, a file that is fetched from elsewhere, and a temporary file as it is.

import { basename } from 'node:path'
import { addressRules } from '../../../http/outgoing/address-rules.ts'
import { openUrl, UrlRefused } from '../../../http/outgoing/open-url.ts'
import { ApiRefusal } from '../jobs/read-submission.ts'
import { makeUuid } from '../make-uuid.ts'
import { type AdminCall, send } from './routes.ts'

/** Takes the file of the form's field `file`. */
export async function takeUpload(call: AdminCall): Promise<void> {
  const { house, request } = call
  if (!request.isMultipart()) throw new ApiRefusal(400, '')
  let uuid: string | undefined
  for await (const part of request.parts()) {
    if (part.type !== 'file') continue
    if (part.fieldname !== 'file' || uuid !== undefined) {
      part.file.resume()
      continue
    }
    uuid = makeUuid(house.kit.random)
    await house.files.add(uuid, part.filename, part.file)
  }
  if (uuid === undefined) throw new ApiRefusal(400, '')
  sendUuid(call, uuid)
}

/** Fetches a file, where the operator has named whom to fetch from. */
export async function takeFromUrl(call: AdminCall): Promise<void> {
  const { house, request, query } = call
  const { uploadFrom } = house.settings
  if (uploadFrom.length === 0) throw new ApiRefusal(404, '')
  const form = Buffer.isBuffer(request.body) ? new URLSearchParams(request.body.toString('utf8')) : undefined
  const url = form?.get('url') ?? query.get('url')
  if (!url) throw new ApiRefusal(400, '')
  const uuid = makeUuid(house.kit.random)
  try {
    const answer = await openUrl(url, { rules: addressRules(uploadFrom) })
    if (answer.statusCode !== 200) {
      answer.destroy()
      throw new ApiRefusal(400, `The address answered with ${answer.statusCode}`)
    }
    await house.files.add(uuid, basename(new URL(url).pathname) || 'file', answer)
  } catch (error) {
    if (error instanceof UrlRefused || isNetworkError(error))
      throw new ApiRefusal(400, `The file could not be fetched: ${(error as Error).message}`)
    throw error
  }
  sendUuid(call, uuid)
}

function isNetworkError(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException
  return syscall === 'connect' || syscall === 'getaddrinfo' || code === 'ECONNRESET' || code === 'ETIMEDOUT'
}

function sendUuid({ request, reply }: AdminCall, uuid: string): void {
  // Pages put the answer into a frame, where other types would be downloaded.
  reply.header('content-type', 'text/plain')
  send(request, reply, 201, JSON.stringify({ uuid }))
}

/** A temporary file as it came. */
export async function sendDownload({ house, request, reply }: AdminCall, uuid: string): Promise<void> {
  const file = await house.files.find(uuid)
  if (!file) throw new ApiRefusal(404, '')
  const name = file.filename.replace(/[^\x20-\x7e]|["\\]/g, '_')
  reply
    .header('content-type', 'application/octet-stream')
    .header('content-length', file.sizeBytes)
    .header('content-disposition', `attachment; filename="${name}"`)
  reply.send(request.method === 'HEAD' ? Buffer.alloc(0) : house.kit.blobs.open(file.hash))
}
