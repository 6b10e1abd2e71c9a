// Sends one mail through a configured server: as much of SMTP (RFC 5321, 3207, 4954) as a notification needs.

import net from 'node:net'
import tls from 'node:tls'

export interface MailServer {
  readonly host: string
  readonly port: number
  readonly security: 'none' | 'starttls' | 'tls'
  readonly user?: string
  readonly password?: string
}

export interface Mail {
  readonly from: string
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly date: Date
  readonly messageId: string
}

const silenceMsMax = 30_000
const replyBytesMax = 64 * 1024

/** Hands a mail over; rejects with what the server said where it would not take it. */
export async function sendMail(server: MailServer, mail: Mail): Promise<void> {
  for (const address of [mail.from, mail.to])
    if (!isAddress(address)) throw new Error(`${JSON.stringify(address)} is not a mail address`)
  let talk = await Talk.connect(server)
  try {
    await talk.expect(220)
    let offers = await talk.say(`EHLO ${heloName}`, 250)
    if (server.security === 'starttls') {
      if (!/^\d{3}[ -]STARTTLS\b/im.test(offers)) throw new Error('the mail server does not offer STARTTLS')
      await talk.say('STARTTLS', 220)
      talk = await talk.secure(server.host)
      offers = await talk.say(`EHLO ${heloName}`, 250)
    }
    if (server.user !== undefined) {
      const secret = Buffer.from(`\0${server.user}\0${server.password ?? ''}`).toString('base64')
      await talk.say(`AUTH PLAIN ${secret}`, 235)
    }
    await talk.say(`MAIL FROM:<${mail.from}>`, 250)
    await talk.say(`RCPT TO:<${mail.to}>`, 250)
    await talk.say('DATA', 354)
    await talk.say(`${printMail(mail)}\r\n.`, 250)
    await talk.say('QUIT', 221).catch(() => {}) // The mail is taken; how the goodbye goes is all the same.
  } finally {
    talk.close()
  }
}

const heloName = 'localhost'

/** A mail as it goes over the wire: UTF-8 in base64, so that no line of a user's is ever read as a command. */
export function printMail({ from, to, subject, text, date, messageId }: Mail): string {
  const encoded = Buffer.from(text.replace(/\r?\n/g, '\r\n')).toString('base64')
  return [
    `From: <${from}>`,
    `To: <${to}>`,
    `Subject: ${encodeWords(subject)}`,
    `Date: ${date.toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${messageId}>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
    'Auto-Submitted: auto-generated',
    '',
    encoded.replace(/.{1,76}/g, '$&\r\n').trimEnd(),
  ].join('\r\n')
}

/** RFC 2047 words of at most 75 characters; characters are never split. */
function encodeWords(text: string): string {
  if (/^[\x20-\x7e]{0,200}$/.test(text) && !text.includes('=?')) return text
  const words: string[] = []
  let word = ''
  for (const char of text) {
    if (Buffer.byteLength(word + char) > 45) {
      words.push(word)
      word = ''
    }
    word += char
  }
  words.push(word)
  return words.map(part => `=?utf-8?B?${Buffer.from(part).toString('base64')}?=`).join('\r\n ')
}

function isAddress(text: string): boolean {
  return /^[^\s<>@\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+$/.test(text)
}

/** One connection: a command, then its reply. */
class Talk {
  readonly #socket: net.Socket
  #received = ''
  #wake: (() => void) | undefined
  #ended: Error | undefined

  constructor(socket: net.Socket) {
    this.#socket = socket
    socket.setTimeout(silenceMsMax, () => socket.destroy(new Error('the mail server fell silent')))
    socket.on('data', chunk => {
      this.#received += chunk.toString('latin1')
      if (this.#received.length > replyBytesMax) socket.destroy(new Error('the mail server talks too much'))
      this.#wake?.()
    })
    socket.on('error', error => this.#end(error))
    socket.on('close', () => this.#end(new Error('the mail server closed the connection')))
  }

  static connect({ host, port, security }: MailServer): Promise<Talk> {
    return new Promise((done, fail) => {
      const socket =
        security === 'tls'
          ? tls.connect({ host, port, servername: host }, () => done(new Talk(socket)))
          : net.connect({ host, port }, () => done(new Talk(socket)))
      socket.once('error', fail)
    })
  }

  /** Goes on under TLS. */
  secure(host: string): Promise<Talk> {
    this.#socket.removeAllListeners()
    return new Promise((done, fail) => {
      const socket = tls.connect({ socket: this.#socket, servername: host }, () => done(new Talk(socket)))
      socket.once('error', fail)
    })
  }

  async say(line: string, code: number): Promise<string> {
    this.#socket.write(`${line}\r\n`)
    return this.expect(code)
  }

  async expect(code: number): Promise<string> {
    for (;;) {
      const reply = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r?\n/.exec(this.#received)?.[0]
      if (reply !== undefined) {
        this.#received = this.#received.slice(reply.length)
        if (!reply.trimEnd().split('\n').at(-1)!.startsWith(String(code)))
          throw new Error(`the mail server answered ${reply.trim().slice(0, 500)}`)
        return reply
      }
      if (this.#ended !== undefined) throw this.#ended
      await new Promise<void>(wake => {
        this.#wake = wake
      })
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  #end(error: Error): void {
    this.#ended ??= error
    this.#wake?.()
  }
}
