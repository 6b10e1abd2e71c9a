// What a peer sends over an open association: PDVs gathered into commands and data sets, which wait here in bounded memory
// until somebody takes them. While too much waits, the connection is not read on.

import { type Command, commands, isFollowed, readCommand } from './command.ts'
import { type DataSource, IncomingData } from './incoming-data.ts'
import { InvalidPdu, type Pdv } from './pdu.ts'

/** A presentation context that both sides agreed on. */
export interface OpenContext {
  readonly id: number
  readonly abstractSyntax: string
  readonly transferSyntax: string
}

export interface Message {
  readonly context: OpenContext
  readonly command: Command
  /** The data set; read it before the next message is asked for, or it is passed over. */
  readonly data: IncomingData | undefined
}

/** The connection as far as reading goes, and the news of its association. */
export interface Reading extends Omit<DataSource, 'took'> {
  pause(): void
  resume(): void
}

/** Beyond this the connection is not read on until somebody takes what has come. */
const bufferBytesMax = 1024 * 1024
const commandBytesMax = 64 * 1024
/** Each message waits at some cost, also an empty one. */
const messageCost = 1024

export class Inbox {
  readonly #contexts: ReadonlyMap<number, OpenContext>
  readonly #reading: Reading
  readonly #messages: Message[] = []
  #bufferedBytes = 0
  #isPaused = false
  #commandParts: Uint8Array[] = []
  #commandBytes = 0
  /** The data set that is coming, and the context of it or of the command before it. */
  #data: IncomingData | undefined
  #dataContext = 0
  #taken: Message | undefined

  constructor(contexts: ReadonlyMap<number, OpenContext>, reading: Reading) {
    this.#contexts = contexts
    this.#reading = reading
  }

  /** Takes PDVs in. Throws InvalidPdu or InvalidCommand for what cannot come now. */
  deliver(pdvs: readonly Pdv[]): void {
    for (const pdv of pdvs) {
      if (pdv.isCommand) this.#deliverCommand(pdv)
      else this.#deliverData(pdv)
    }
  }

  /** The next message, if one has come. */
  take(): Message | undefined {
    const message = this.#messages.shift()
    if (!message) return undefined
    this.#taken = message
    this.#release(messageCost)
    return message
  }

  /** Passes over what is left of the data set of the message that was taken last. */
  async passOver(): Promise<void> {
    if (this.#taken?.data?.isOpen) await this.#taken.data.drain()
  }

  /** Whether the peer has sent a C-CANCEL for this message; it is taken out of what waits. */
  takeCancel(messageId: number): boolean {
    const index = this.#messages.findIndex(
      ({ command }) => command.field === commands.cancelRq && command.respondsTo === messageId,
    )
    if (index < 0) return false
    this.#messages.splice(index, 1)
    this.#release(messageCost)
    return true
  }

  /** Forgets what waits, and reads on, so that the end can be heard behind it. */
  clear(): void {
    this.#messages.length = 0
    this.#isPaused = false
    this.#reading.resume()
  }

  #deliverCommand(pdv: Pdv): void {
    if (this.#data) throw new InvalidPdu('a command begins within a data set')
    const context = this.#contexts.get(pdv.context)
    if (!context)
      throw new InvalidPdu(`a command in the presentation context ${pdv.context}, which is not open`)
    if (this.#commandBytes > 0 && this.#dataContext !== pdv.context)
      throw new InvalidPdu('a command changes its presentation context')
    this.#dataContext = pdv.context
    this.#commandBytes += pdv.bytes.length
    if (this.#commandBytes > commandBytesMax) throw new InvalidPdu('a command is too long')
    this.#commandParts.push(pdv.bytes)
    if (!pdv.isLast) return
    const command = readCommand(Buffer.concat(this.#commandParts, this.#commandBytes))
    this.#commandParts = []
    this.#commandBytes = 0
    if (isFollowed(command)) {
      this.#data = new IncomingData({
        wait: () => this.#reading.wait(),
        took: bytes => this.#release(bytes),
        failure: () => this.#reading.failure(),
      })
    }
    this.#hold(messageCost)
    this.#messages.push({ context, command, data: this.#data })
  }

  #deliverData(pdv: Pdv): void {
    if (!this.#data || this.#dataContext !== pdv.context)
      throw new InvalidPdu('a data set that no command announced')
    if (pdv.bytes.length > 0) {
      this.#hold(pdv.bytes.length)
      this.#data.push(pdv.bytes)
    }
    if (!pdv.isLast) return
    this.#data.end()
    this.#data = undefined
  }

  #hold(bytes: number): void {
    this.#bufferedBytes += bytes
    if (this.#bufferedBytes <= bufferBytesMax || this.#isPaused) return
    this.#isPaused = true
    this.#reading.pause()
  }

  #release(bytes: number): void {
    this.#bufferedBytes -= bytes
    if (!this.#isPaused || this.#bufferedBytes > bufferBytesMax / 4) return
    this.#isPaused = false
    this.#reading.resume()
  }
}
