import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type Mail, printMail, sendMail } from './smtp.ts'

const mail: Mail = {
  from: 'yard@example.org',
  to: 'alice@example.org',
  subject: 'Job 7 (größer): completed',
  text: 'First line\n.\nQUIT\n',
  date: new Date(0),
  messageId: 'notice-1-0@switchyard',
}

let close = () => {}
afterEach(() => close())

/** A mail server that answers each line as told; gives what it heard. */
async function mailServer(answer: (line: string) => string): Promise<{ port: number; heard: string[] }> {
  const heard: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.write('220 here\r\n')
    let isData = false
    socket.on('data', chunk => {
      for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
        heard.push(line)
        if (isData && line !== '.') continue
        const words = isData ? '250 taken\r\n' : answer(line)
        isData = !isData && line === 'DATA'
        socket.write(words)
      }
    })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { port: (server.address() as AddressInfo).port, heard }
}

const usual = (line: string) =>
  line === 'DATA'
    ? '354 go on\r\n'
    : line === 'QUIT'
      ? '221 bye\r\n'
      : line.startsWith('AUTH')
        ? '235 ok\r\n'
        : '250-a\r\n250 b\r\n'

test('a mail is handed over with credentials, and no line of it is read as a command', async () => {
  const { port, heard } = await mailServer(usual)
  await sendMail({ host: '127.0.0.1', port, security: 'none', user: 'u', password: 'p' }, mail)
  expect(heard[1]).toBe(`AUTH PLAIN ${Buffer.from('\0u\0p').toString('base64')}`)
  expect(heard.slice(2, 5)).toEqual(['MAIL FROM:<yard@example.org>', 'RCPT TO:<alice@example.org>', 'DATA'])
  expect(heard.filter(line => line === '.')).toHaveLength(1)
  expect(heard.at(-1)).toBe('QUIT')
})

test('what the server says against it is told', async () => {
  const { port } = await mailServer(line => (line.startsWith('RCPT') ? '550 no such user\r\n' : usual(line)))
  await expect(sendMail({ host: '127.0.0.1', port, security: 'none' }, mail)).rejects.toThrow(
    '550 no such user',
  )
})

test('without the STARTTLS that was asked for nothing is sent', async () => {
  const { port, heard } = await mailServer(usual)
  await expect(sendMail({ host: '127.0.0.1', port, security: 'starttls', user: 'u' }, mail)).rejects.toThrow(
    'STARTTLS',
  )
  expect(heard).toHaveLength(1)
})

test('an address that could carry a command is refused', async () => {
  const server = { host: '127.0.0.1', port: 1, security: 'none' } as const
  await expect(sendMail(server, { ...mail, to: 'a@b>\r\nDATA' })).rejects.toThrow('is not a mail address')
})

test('text and subject are encoded, and come out as they went in', () => {
  const [head = '', body = ''] = printMail(mail).split('\r\n\r\n')
  expect(Buffer.from(body, 'base64').toString()).toBe('First line\r\n.\r\nQUIT\r\n')
  expect(head).toContain('Date: Thu, 01 Jan 1970 00:00:00 +0000')
  const words = [...head.matchAll(/=\?utf-8\?B\?([^?]*)\?=/g)].map(match =>
    Buffer.from(match[1]!, 'base64').toString(),
  )
  expect(words.join('')).toBe(mail.subject)
})

test('a subject cannot bring a header of its own', () => {
  const [head = ''] = printMail({ ...mail, subject: 'x\r\nBcc: mallory@example.org' }).split('\r\n\r\n')
  expect(head).not.toMatch(/^Bcc:/m)
})
