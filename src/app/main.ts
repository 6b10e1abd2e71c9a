// The command line: `switchyard COMMAND`. Each command is one file in cli/, loaded when it is asked for.

import { Command, CommanderError } from 'commander'
import { commands } from './cli/commands.ts'
import { CommandFailed, exitCodes } from './cli/failure.ts'
import { version } from './version.ts'

/** Runs one command; resolves to the exit code of the process. */
export async function main(args: readonly string[]): Promise<number> {
  const program = new Command('switchyard')
    .description('One durable job and workflow server that speaks five existing REST APIs')
    .version(version)
    .showHelpAfterError('(add --help for what this command takes)')
    .exitOverride()
  for (const add of await commands(args)) add(program)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCodes.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    if (error instanceof CommandFailed) {
      process.stderr.write(`switchyard: ${error.message}\n`)
      return error.exitCode
    }
    const { code, syscall } = error as NodeJS.ErrnoException
    // What the machine refuses (a file that is not there, a full disk) is no bug of ours: its sentence says all.
    if (error instanceof Error && code !== undefined && syscall !== undefined) {
      process.stderr.write(`switchyard: ${error.message}\n`)
      return exitCodes.failed
    }
    throw error
  }
}

// A reader that has seen enough (`switchyard logs 7 | head`) ends the command, and is no failure to shout about.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(exitCodes.ok)
})
process.exitCode = await main(process.argv.slice(2))
