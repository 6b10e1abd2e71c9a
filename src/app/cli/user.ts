// `switchyard user add|ls|rm|hash`: people who log in with a name and a password.

import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { type Command, Option } from 'commander'
import { type Role, roles } from '../../core/principal.ts'
import { hashPassword } from '../../http/auth/passwords.ts'
import { listUsers, removeUser, saveUser } from '../../http/auth/user-files.ts'
import { dataOption, existingDataDir, printTable } from './data-dir-option.ts'
import { CommandFailed, exitCodes } from './failure.ts'

export function add(program: Command): void {
  const user = program.command('user').description('People who log in with a name and a password')
  user
    .command('add')
    .description('Add a user, or change one; the password is asked for, or read from a pipe')
    .argument('<name>')
    .addOption(new Option('--role <role>', 'what the user may do').choices(roles).default('submitter'))
    .option(
      '--group <name>',
      'a group of the user; may be repeated',
      (value, before: string[]) => [...before, value],
      [],
    )
    .option('--email <address>', 'where notices go')
    .addOption(dataOption())
    .action(addUser)
  user
    .command('ls')
    .description('List users of the data directory')
    .option('--json', 'for scripts')
    .addOption(dataOption())
    .action(async (options: { data?: string; json?: boolean }) => {
      const users = await listUsers(await existingDataDir(options.data))
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify(users.map(({ passwordHash: _, ...shown }) => shown))}\n`)
        return
      }
      printTable(
        ['name', 'role', 'groups', 'email'],
        users.map(({ name, role, groups, email }) => [name, role, groups.join(','), email ?? '']),
      )
    })
  user
    .command('rm')
    .description('Remove a user; a running server notices within a second')
    .argument('<name>')
    .addOption(dataOption())
    .action(async (name: string, options: { data?: string }) => {
      if (!(await removeUser(await existingDataDir(options.data), name))) {
        throw new CommandFailed(`There is no user ${name}`, exitCodes.notFound)
      }
      process.stdout.write(`removed ${name}\n`)
    })
  user
    .command('hash')
    .description('Print the hash of a password, for auth.users in a configuration file')
    .action(async () => {
      process.stdout.write(`${await hashPassword(await readPassword())}\n`)
    })
}

async function addUser(
  name: string,
  options: { data?: string; role: Role; group: string[]; email?: string },
): Promise<void> {
  if (name === '' || name.includes(':'))
    throw new CommandFailed('A user name may not hold a colon', exitCodes.usage)
  const dir = await existingDataDir(options.data, { make: true })
  const passwordHash = await hashPassword(await readPassword())
  await saveUser(dir, {
    name,
    passwordHash,
    role: options.role,
    groups: options.group,
    ...(options.email !== undefined ? { email: options.email } : {}),
  })
  process.stderr.write(`${name} may log in, as ${options.role}.\n`)
}

/** The first line of stdin; asked for where somebody sits before a terminal, and then not shown. */
async function readPassword(): Promise<string> {
  const isTerminal = process.stdin.isTTY === true
  if (isTerminal) process.stderr.write('Password: ')
  const lines = createInterface({
    input: process.stdin,
    terminal: isTerminal,
    ...(isTerminal ? { output: silent() } : {}),
  })
  try {
    for await (const line of lines) {
      if (line === '') break
      return line
    }
  } finally {
    lines.close()
    if (isTerminal) process.stderr.write('\n')
  }
  throw new CommandFailed('No password was given', exitCodes.usage)
}

function silent(): NodeJS.WritableStream {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}
