// Random definitions that are valid by the contract, in the part of the language that the real 5.9.2 knows: it cuts
// quoted texts at a #, which 5.17 does not, so none is drawn.

import fc from 'fast-check'

type Dice = fc.GeneratorValue

const names = ['a', 'b', 'c', 'd1', 'long_name', 'x.y', '_u', '7']
const states = ['complete', 'aborted', 'queued', 'active', 'submitted', 'unknown']

/** Draws a whole suite of that name. */
export function drawSuite(dice: Dice, name: string): string {
  const lines = [`suite ${name}`]
  const draw = new Drawing(dice, name)
  draw.containerLines(lines, '  ', { kind: 'suite', above: [] })
  lines.push('endsuite', '')
  return lines.join('\n')
}

class Drawing {
  readonly #dice: Dice
  readonly #suite: string

  constructor(dice: Dice, suite: string) {
    this.#dice = dice
    this.#suite = suite
  }

  #below(count: number): number {
    return this.#dice(fc.nat, count - 1)
  }

  #chance(percent: number): boolean {
    return this.#below(100) < percent
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!
  }

  containerLines(
    lines: string[],
    indent: string,
    at: { kind: 'suite' | 'family'; above: readonly string[] },
  ): void {
    this.#attributes(lines, indent, { kind: at.kind, siblings: at.above })
    const children = names.filter(() => this.#chance(35))
    const known: string[] = []
    for (const child of children) {
      if (indent.length < 8 && this.#chance(35)) {
        lines.push(`${indent}family ${child}`)
        this.containerLines(lines, `${indent}  `, { kind: 'family', above: known })
        lines.push(`${indent}endfamily`)
      } else {
        lines.push(`${indent}task ${child}`)
        this.#attributes(lines, `${indent}  `, { kind: 'task', siblings: known })
      }
      known.push(child)
    }
  }

  #attributes(
    lines: string[],
    indent: string,
    at: { kind: 'suite' | 'family' | 'task'; siblings: readonly string[] },
  ): void {
    const put = (text: string) => lines.push(indent + text)
    if (this.#chance(15)) put(`defstatus ${this.#one(['complete', 'unknown', 'aborted', 'suspended'])}`)
    if (this.#chance(15)) put(`late ${this.#late()}`)
    if (at.kind !== 'suite') {
      if (this.#chance(40) && at.siblings.length > 0) put(`trigger ${this.#expression(at.siblings)}`)
      if (this.#chance(15) && at.siblings.length > 0) put(`complete ${this.#expression(at.siblings)}`)
      if (this.#chance(15)) put(`time ${this.#series()}`)
      if (this.#chance(10)) put(`today ${this.#series()}`)
      if (this.#chance(10)) put(`date ${this.#one(['1.2.2030', '*.*.*', '15.*.*', '*.6.2031', '29.2.2028'])}`)
      if (this.#chance(10)) put(`day ${this.#one(['monday', 'sunday', 'friday'])}`)
    }
    if (this.#chance(20)) put(`repeat ${this.#repeat()}`)
    else if (this.#chance(15)) put(`cron ${this.#cron()}`)
    for (const name of this.#some(['V', 'ECF_TRIES', 'long_one'])) put(`edit ${name} ${this.#value()}`)
    for (const name of this.#some(['lim', 'other'])) put(`limit ${name} ${this.#below(20)}`)
    if (this.#chance(20))
      put(`inlimit ${this.#one(['lim', `/${this.#suite}:lim`])}${this.#one(['', ' 2', ' 10'])}`)
    for (const name of this.#some(['l1', 'info']))
      put(`label ${name} ${this.#one(['"text"', '""', 'two words', '"x\\ny"'])}`)
    for (const name of this.#some(['m1', 'pct']))
      put(`meter ${name} ${this.#one(['0 100', '-5 5', '0 100 90', '1 2 1'])}`)
    for (const event of this.#some(['1', 'go', '2 two', 'start set'])) put(`event ${event}`)
    if (this.#chance(10)) put(`autocancel ${this.#one(['+01:00', '10:00', '0', '3'])}`)
    if (this.#chance(10))
      put(
        `zombie ${this.#one(['ecf:fob::', 'user:fail:event,meter:300', 'ecf_pid:adopt::', 'path:block:init:'])}`,
      )
    if (this.#chance(10)) put(`queue q ${this.#one(['a', '1 2 3', 'x y'])}`)
    if (this.#chance(5)) put('generic g one two')
    if (at.kind === 'suite' && this.#chance(30))
      put(`clock ${this.#one(['real', 'hybrid', 'real +01:00', 'hybrid 1.2.2030', 'real 300'])}`)
  }

  #some(list: readonly string[]): string[] {
    return list.filter(() => this.#chance(20))
  }

  #value(): string {
    return this.#one(["'text'", '42', "''", '"double"', "'it''s'", '%OTHER:default%', "'a; b'"])
  }

  #time(): string {
    const pad = (value: number) => String(value).padStart(2, '0')
    return `${pad(this.#below(24))}:${pad(this.#below(60))}`
  }

  #series(): string {
    const sign = this.#one(['', '', '+'])
    return this.#chance(60)
      ? sign + this.#time()
      : `${sign}${this.#one(['00:00 12:00 00:30', '08:15 20:15 01:00'])}`
  }

  #late(): string {
    return this.#one([
      '-s +00:15',
      '-a 20:00',
      '-c +02:00',
      '-s +00:10 -a 14:00',
      '-s +00:15 -a 20:00 -c 23:00',
    ])
  }

  #cron(): string {
    const options = [
      this.#one(['', '-w 0,1 ', '-w 6 ']),
      this.#one(['', '-d 1,15 ']),
      this.#one(['', '-m 1,12 ']),
    ].join('')
    return options + this.#one(['10:00', '+00:30', '08:00 20:00 02:00'])
  }

  #repeat(): string {
    return this.#one([
      'date YMD 20240226 20240302',
      'date YMD 20240110 20231227 -7',
      'integer N 1 10',
      'integer N 10 0 -2',
      'enumerated E "red" "green"',
      'string S "one" "two"',
      'day 1',
    ])
  }

  #expression(siblings: readonly string[], depth = 0): string {
    const path = () => this.#path(siblings)
    const simple = () =>
      this.#one([
        () => `${path()} ${this.#one(['==', 'eq', '!=', 'ne'])} ${this.#one(states)}`,
        () => `not ${path()} == ${this.#one(states)}`,
        () => `! ( ${path()} == ${this.#one(states)} )`,
        () => `${this.#below(50)} ${this.#one(['<', '>=', 'le', 'gt'])} ${this.#below(50)}`,
        () => `${this.#below(9)} + ${this.#below(9)} * 2 == ${this.#below(30)}`,
        () => `cal::date_to_julian(20240229) == ${2460370 + this.#below(2)}`,
      ])()
    if (depth > 2 || this.#chance(45)) return simple()
    const join = this.#one(['and', 'or', '&&', '||', 'AND', 'OR'])
    const left = this.#chance(40) ? `(${this.#expression(siblings, depth + 1)})` : simple()
    return `${left} ${join} ${this.#expression(siblings, depth + 1)}`
  }

  /** A sibling; one whose name is a number or begins with a digit needs the long form. */
  #path(siblings: readonly string[]): string {
    const name = this.#one(siblings)
    return this.#chance(30) || /^\d/.test(name) ? `./${name}` : name
  }
}
